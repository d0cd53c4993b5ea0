"""The tables of the outbox: the message table is the truth, everything else serves it."""

from outbox.models.alert import Alert
from outbox.models.api import ApiAnswer, ApiToken, TokenScope
from outbox.models.attempt import Attempt, AttemptOutcome
from outbox.models.audit import AuditEntry
from outbox.models.bulk import BulkConsumer, BulkItem, BulkOperation
from outbox.models.evidence import Evidence, EvidenceKind
from outbox.models.exchange import Exchange
from outbox.models.failure import FailureCount, FailureGroup, FailureHour, GroupState
from outbox.models.message import Message
from outbox.models.note import Note
from outbox.models.payload import PayloadVersion
from outbox.models.places import Places
from outbox.models.queryset import Fence
from outbox.models.rehearsal import BulkRehearsal
from outbox.models.saved_view import SavedView
from outbox.models.state import ConsumerState, Heartbeat
from outbox.models.stats import MinuteStat, TotalStat
from outbox.models.status import HandledAs, Resolution, Status

__all__ = [
    "Alert",
    "ApiAnswer",
    "ApiToken",
    "Attempt",
    "AttemptOutcome",
    "AuditEntry",
    "BulkConsumer",
    "BulkItem",
    "BulkOperation",
    "BulkRehearsal",
    "ConsumerState",
    "Evidence",
    "EvidenceKind",
    "Exchange",
    "FailureCount",
    "FailureGroup",
    "FailureHour",
    "Fence",
    "GroupState",
    "HandledAs",
    "Heartbeat",
    "Message",
    "MinuteStat",
    "Note",
    "PayloadVersion",
    "Places",
    "Resolution",
    "SavedView",
    "Status",
    "TokenScope",
    "TotalStat",
]
