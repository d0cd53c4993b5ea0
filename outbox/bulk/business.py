"""Hooks of the business in a bulk operation: each message is asked about for itself, and a refusal is its own result.

They are called before anything of the chunk is written. What a hook ends or leaves behind takes back the whole chunk.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Generic, NamedTuple, Protocol, TypeVar

from django.db import OperationalError

from outbox import registry
from outbox.closings import Closing, Hook
from outbox.errors import NotAllowed
from outbox.models import BulkOperation, Evidence, EvidenceKind, HandledAs, Message, Resolution
from outbox.models.bulk import BulkVerb
from outbox.models.evidence import digest_of
from outbox.models.sql.errors import is_conflict
from outbox.operate.evidence import latest_evidence
from outbox.operate.hooks import TransactionLost, call_hook, waiting_briefly

OPTIONS = {BulkVerb.HANDLE: "on_handled", BulkVerb.DISCARD: "on_discarded", BulkVerb.REOPEN: "on_reopened"}
"""The option of a consumer that is told of the act. A retry is told to nobody."""


class Frozen(NamedTuple):
    """An item as it was frozen."""

    item: int
    message: int
    revision: int


class OfConsumer(Protocol):
    """What must be known of a message that is locked."""

    @property
    def consumer(self) -> str:
        """Its consumer."""


M = TypeVar("M", bound=OfConsumer)


@dataclass(slots=True)
class Asked(Generic[M]):
    """What may be done, what the business refuses and why, and the item before which time was up, if it was."""

    able: list[tuple[Frozen, M]] = field(default_factory=list)
    refused: list[tuple[Frozen, str]] = field(default_factory=list)
    cut_at: Frozen | None = None


class ChunkLost(Exception):
    """A hook ended the chunk's transaction: all of it is taken back, and the item is refused in another."""

    def __init__(self, item: Frozen, said: str) -> None:
        super().__init__(said)
        self.item = item


def ask(operation: BulkOperation, able: Sequence[tuple[Frozen, M]], *, until: float) -> Asked[M]:
    """Call their consumers' hooks for the operation's verb (``OPTIONS``), one message after the other.

    The messages are locked. ``until`` is a moment of the monotonic clock; at least one is asked. A consumer without a
    hook agrees. A message whose hook met others over locks is in neither list, and left for a later chunk. Raises
    ``ChunkLost`` if a hook ended the transaction.
    """
    asked: Asked[M] = Asked()
    hooks = {row.consumer: _hook(operation, row.consumer) for _item, row in able}
    told = [item.message for item, row in able if hooks[row.consumer] is not None]
    messages = Message.objects.in_bulk(told)
    for item, row in able:
        hook = hooks[row.consumer]
        if hook is None:
            asked.able.append((item, row))
            continue
        if (asked.able or asked.refused) and monotonic() >= until:
            asked.cut_at = item
            break
        try:
            with waiting_briefly():
                call_hook(hook, [_closing(operation, messages[item.message])])
        except TransactionLost as lost:
            raise ChunkLost(item, str(lost)) from lost
        except NotAllowed as refusal:
            asked.refused.append((item, str(refusal)))
        except OperationalError as error:
            if not is_conflict(error):
                raise
        else:
            asked.able.append((item, row))
    return asked


def keep_evidence(operation: BulkOperation, message_ids: Sequence[int]) -> None:
    """Write what proves that these messages were handled: a note, as one text speaks of them all."""
    said = {"text": operation.evidence, "digest": digest_of(operation.evidence)}
    Evidence.objects.bulk_create(
        [
            Evidence(
                message_id=id,
                kind=EvidenceKind.NOTE,
                outcome=operation.handled_as,
                actor=operation.started_by,
                **said,
            )
            for id in message_ids
        ]
    )


def issued_among(message_ids: Sequence[int]) -> set[int]:
    """Return those of the messages of which evidence says that they were issued: a retry may do it again."""
    return set(Evidence.objects.issued().filter(message_id__in=message_ids).values_list("message_id", flat=True))


def for_good(consumers: Sequence[str]) -> list[str]:
    """Return those of the consumers whose business has no way to take back what closed a message by hand."""
    entries = [registry.get(name) for name in consumers]
    return [entry.name for entry in entries if entry is not None and entry.closes_for_good]


def _hook(operation: BulkOperation, consumer: str) -> Hook | None:
    option = OPTIONS.get(BulkVerb(operation.verb))
    hook: Hook | None = getattr(registry.get(consumer), option, None) if option else None
    return hook


def _closing(operation: BulkOperation, message: Message) -> Closing:
    outcome, evidence = Resolution.DISCARDED.value, ""
    if operation.verb == BulkVerb.HANDLE:
        outcome, evidence = HandledAs(operation.handled_as).value, operation.evidence
    elif operation.verb == BulkVerb.REOPEN:
        proof = latest_evidence(message.pk) if message.resolution == Resolution.HANDLED else None
        outcome, evidence = (proof.outcome, proof.text) if proof else (message.resolution, "")
    return Closing(
        message=message, outcome=outcome, evidence=evidence, reason=operation.reason, actor=operation.started_by
    )
