"""The operators' desk in Django's admin. A project describes its messages to it with ``describe``."""

from outbox.admin.business import Description, Fact, describe
from outbox.admin.message import MessageAdmin
from outbox.admin.readonly import AuditEntryAdmin, ConsumerStateAdmin, PulseAdmin

__all__ = [
    "AuditEntryAdmin",
    "ConsumerStateAdmin",
    "Description",
    "Fact",
    "MessageAdmin",
    "PulseAdmin",
    "describe",
]
