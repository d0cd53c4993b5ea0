"""The operators' desk in Django's admin. A project describes its messages to it with ``describe``, and finds
them by its own words with ``find``. ``edit_form`` gives a consumer's payloads a form for editing.

Without ``django.contrib.admin`` among the apps there is no desk, and its pages are not even imported.
"""

from django.apps import apps

from outbox.admin.descriptions import Description, Fact, admin_url, describe
from outbox.admin.edit_forms import edit_form
from outbox.admin.finders import find
from outbox.admin.sheets import csv_lines
from outbox.registry import consumer_names

__all__ = [
    "Description",
    "Fact",
    "admin_url",
    "consumer_names",
    "csv_lines",
    "describe",
    "edit_form",
    "find",
]

if apps.is_installed("django.contrib.admin"):
    from outbox.admin.audit.admin import AuditEntryAdmin
    from outbox.admin.base import client_address
    from outbox.admin.books.admin import BookStateAdmin
    from outbox.admin.broker.admin import DeadLetterAdmin
    from outbox.admin.bulk.admin import BulkOperationAdmin
    from outbox.admin.consumers.admin import ConsumerStateAdmin
    from outbox.admin.failures.admin import FailureGroupAdmin
    from outbox.admin.gaps.admin import GapAdmin, SequenceStreamAdmin, WatchedStreamAdmin
    from outbox.admin.halves.admin import HalfAdmin
    from outbox.admin.heartbeats import HeartbeatAdmin
    from outbox.admin.messages.admin import MessageAdmin
    from outbox.admin.quarantine.admin import QuarantinedAdmin, SourceStateAdmin
    from outbox.admin.tokens.admin import ApiTokenAdmin

    __all__ += [
        "ApiTokenAdmin",
        "AuditEntryAdmin",
        "BookStateAdmin",
        "BulkOperationAdmin",
        "ConsumerStateAdmin",
        "DeadLetterAdmin",
        "FailureGroupAdmin",
        "GapAdmin",
        "HalfAdmin",
        "HeartbeatAdmin",
        "MessageAdmin",
        "QuarantinedAdmin",
        "SequenceStreamAdmin",
        "SourceStateAdmin",
        "WatchedStreamAdmin",
        "client_address",
    ]
