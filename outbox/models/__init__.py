"""The tables of the outbox: the message table is the truth, everything else serves it."""

import outbox.models.installed  # noqa: F401  # refuses, and so comes first
from outbox.models.alert import Alert
from outbox.models.api import ApiAnswer, ApiToken, TokenScope
from outbox.models.attempt import Attempt, AttemptOutcome
from outbox.models.audit import AuditEntry
from outbox.models.book import BookDay, BookDifference, BookState, BookWindow, Difference, WindowState
from outbox.models.bulk import BulkConsumer, BulkItem, BulkOperation
from outbox.models.dead_letter import DeadLetter
from outbox.models.evidence import Evidence, EvidenceKind
from outbox.models.exchange import Exchange
from outbox.models.failure import FailureCount, FailureGroup, FailureHour, GroupState
from outbox.models.half import Half, HalfAnswer, HalfState, Said, SettledBy
from outbox.models.ingest import (
    InHand,
    Quarantined,
    QuarantineReason,
    QuarantineState,
    SourceHold,
    SourceState,
    TakenId,
)
from outbox.models.message import Message
from outbox.models.note import Note
from outbox.models.payload import PayloadVersion
from outbox.models.places import Places
from outbox.models.queryset import Fence
from outbox.models.receipt import AwaitedReceipt, ReceiptCount, ReceiptKind
from outbox.models.rehearsal import BulkRehearsal
from outbox.models.saved_view import SavedView
from outbox.models.sequence import (
    Gap,
    GapEnd,
    NumberState,
    SaidOfGap,
    SequenceNumber,
    SequenceStream,
    WatchedStream,
)
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
    "AwaitedReceipt",
    "BookDay",
    "BookDifference",
    "BookState",
    "BookWindow",
    "BulkConsumer",
    "BulkItem",
    "BulkOperation",
    "BulkRehearsal",
    "ConsumerState",
    "DeadLetter",
    "Difference",
    "Evidence",
    "EvidenceKind",
    "Exchange",
    "FailureCount",
    "FailureGroup",
    "FailureHour",
    "Fence",
    "Gap",
    "GapEnd",
    "GroupState",
    "Half",
    "HalfAnswer",
    "HalfState",
    "HandledAs",
    "Heartbeat",
    "InHand",
    "Message",
    "MinuteStat",
    "Note",
    "NumberState",
    "PayloadVersion",
    "Places",
    "QuarantineReason",
    "QuarantineState",
    "Quarantined",
    "ReceiptCount",
    "ReceiptKind",
    "Resolution",
    "Said",
    "SaidOfGap",
    "SavedView",
    "SequenceNumber",
    "SequenceStream",
    "SettledBy",
    "SourceHold",
    "SourceState",
    "Status",
    "TakenId",
    "TokenScope",
    "TotalStat",
    "WatchedStream",
    "WindowState",
]
