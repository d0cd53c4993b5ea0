"""The operators' desk in Django's admin. A project describes its messages to it with ``describe``."""

from outbox.admin.business import Description, Fact, describe
from outbox.admin.consumers import ConsumerStateAdmin
from outbox.admin.failures import FailureGroupAdmin
from outbox.admin.message import MessageAdmin
from outbox.admin.readonly import AuditEntryAdmin, PulseAdmin

__all__ = [
    "AuditEntryAdmin",
    "ConsumerStateAdmin",
    "Description",
    "Fact",
    "FailureGroupAdmin",
    "MessageAdmin",
    "PulseAdmin",
    "describe",
]
