"""The operators' desk in Django's admin. A project describes its messages to it with ``describe``."""

from outbox.admin.audit import AuditEntryAdmin, HeartbeatAdmin
from outbox.admin.consumers.admin import ConsumerStateAdmin
from outbox.admin.descriptions import Description, Fact, describe
from outbox.admin.failures.admin import FailureGroupAdmin
from outbox.admin.messages.admin import MessageAdmin

__all__ = [
    "AuditEntryAdmin",
    "ConsumerStateAdmin",
    "Description",
    "Fact",
    "FailureGroupAdmin",
    "HeartbeatAdmin",
    "MessageAdmin",
    "describe",
]
