"""The tables of the outbox: the message table is the truth, everything else serves it."""

from outbox.models.audit import AuditEntry
from outbox.models.message import Attempt, AttemptOutcome, Fence, Message, Resolution, Status
from outbox.models.state import ConsumerState, Pulse

__all__ = [
    "Attempt",
    "AttemptOutcome",
    "AuditEntry",
    "ConsumerState",
    "Fence",
    "Message",
    "Pulse",
    "Resolution",
    "Status",
]
