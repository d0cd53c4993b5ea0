"""One chunk of an operation: a few rows changed and their results written, in one short transaction.

The operation's row is locked first, so that one worker at a time goes on with it and a kill leaves nothing half done:
each message's change, its item's result, the counters and the place to go on commit together. Messages are locked with
SKIP LOCKED and compared with the revision that was frozen; what somebody holds is left for a later chunk.

Chunks are cut by time: the next is as large as what the last one did in ``CHUNK_TIME``, and never over ``MOST_ROWS``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from time import monotonic
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Subquery
from django.db.models.functions import Now

from outbox import registry
from outbox.broker import dispatcher, receipts
from outbox.broker.waking import wake_and_hint
from outbox.bulk import business, editing, transitions
from outbox.bulk.business import ChunkLost, Frozen
from outbox.bulk.freezing import state_for
from outbox.conf import conf
from outbox.models import BulkItem, BulkOperation, Message, Status
from outbox.models.bulk import BulkItemQuerySet, BulkState, BulkVerb, ItemResult, StoppedBecause, Why
from outbox.models.sql.conditions import Named
from outbox.models.sql.order import OrderOfKey
from outbox.operate import changes

CHUNK_TIME = 0.05
"""Seconds that a chunk's transaction is to take."""
MOST_ROWS = 1_000
FEWEST_ROWS = 50
SPAN = 2_000
"""Items that one look goes over at most, whatever the planner knows of a table that has just been filled."""
WINDOW = MOST_ROWS
"""Retried messages without an outcome at most, while a stop rule is on."""
RATE_SPAN = timedelta(seconds=0.2)
"""For how long a rate that was not used may be made up for. More would come at once, and others would feel it."""
RATE_TICK = 0.05
"""Seconds whose messages are released together, so that a rate takes no statement a message."""


class Step(Enum):
    """How an operation is after a chunk: it can go on at once, must wait a moment, or has nothing to do for now."""

    MORE = auto()
    WAIT = auto()
    REST = auto()


class Locked(NamedTuple):
    """A message that is locked and in the state that the act is for."""

    id: int
    revision: int
    consumer: str
    ordering_key: str


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The items of a chunk: those to do with their messages, and those that are refused by why. Others are busy.

    Of those that the business refuses, ``said`` has the words.
    """

    able: list[tuple[Frozen, Locked]]
    refused: dict[Why, list[Frozen]]
    said: Mapping[int, str]


def advance(operation_id: int) -> Step:
    """Do one chunk of an operation, or change its state where that is due."""
    try:
        return _advance(operation_id)
    except ChunkLost as lost:
        _refuse_alone(operation_id, lost)
        return Step.MORE


def _refuse_alone(operation_id: int, lost: ChunkLost) -> None:
    """Write down the refusal of a message whose hook has ended the transaction of its chunk."""
    with transaction.atomic(using=conf().database):
        items = BulkItem.objects.filter(operation_id=operation_id, pk=lost.item.item).todo()
        refused = items.update(result=ItemResult.REFUSED, why=Why.BUSINESS, said=str(lost))
        BulkOperation.objects.filter(pk=operation_id).update(refused=F("refused") + refused)


def _advance(operation_id: int) -> Step:
    with transaction.atomic(using=conf().database):
        rows = BulkOperation.objects.active().filter(pk=operation_id).annotate(now=Now())
        operation = rows.select_for_update(skip_locked=True, no_key=True).first()
        if operation is None:
            return Step.REST
        if transitions.change_if_due(operation):
            return Step.MORE
        if operation.state == BulkState.SUSPENDED:
            return Step.REST
        allowed = _allowed(operation, now=getattr(operation, "now"))  # noqa: B009  # annotated above
        if allowed < 1:
            return Step.WAIT
        return _do_chunk(operation, allowed)


def _allowed(operation: BulkOperation, *, now: datetime) -> int:
    """Return how many rows the next chunk may have, by its time, the trial, the stop rule and the rate."""
    limits = [operation.chunk_size, MOST_ROWS, operation.remaining]
    if operation.state == BulkState.CANARY:
        limits.append(operation.canary_size - operation.done)
    if operation.stop_percent is not None:
        limits.append(WINDOW - operation.awaited)
    if operation.rate is not None:
        limits.append(_permitted_by_rate(operation, now))
    return min(limits)


def _permitted_by_rate(operation: BulkOperation, now: datetime) -> int:
    """Return how many messages the rate permits by now; none while they would be but a part of ``RATE_TICK``'s."""
    rate = operation.rate or 0
    if operation.next_at is None:
        return max(1, int(rate * RATE_TICK))
    since = max(operation.next_at, now - RATE_SPAN)
    permitted = int((now - since).total_seconds() * rate)
    return permitted if permitted >= max(1, min(rate * RATE_TICK, operation.remaining)) else 0


def _do_chunk(operation: BulkOperation, limit: int) -> Step:
    trying = operation.state == BulkState.CANARY
    items = _find_for_trial(operation, limit) if trying else _next_items(operation, limit)
    if not items:
        return _try_no_more(operation) if trying else _look_further(operation)
    began = monotonic()
    found = _sort_out(operation, items)
    if operation.verb == BulkVerb.EDIT:
        found = _edit(operation, found)
    sorted_out, items = _ask_the_business(operation, found, items, until=began + CHUNK_TIME)
    _apply(operation, sorted_out.able)
    _write_results(operation, sorted_out)
    done, refused = len(sorted_out.able), sum(map(len, sorted_out.refused.values()))
    took = max(monotonic() - began, 0.001)
    BulkOperation.objects.filter(pk=operation.pk).update(
        done=F("done") + done,
        refused=F("refused") + refused,
        chunk_size=_next_size(operation.chunk_size, len(items), took),
        **({} if trying else {"position": items[-1].item}),
        **_spent(operation, done),
    )
    return Step.MORE if done + refused else Step.WAIT


def _edit(operation: BulkOperation, found: _Sorted) -> _Sorted:
    """Change the payloads, and return what is left to do with those that the change does not fit refused."""
    said = editing.edit_payloads(operation, [message.id for _item, message in found.able])
    able = [(item, message) for item, message in found.able if message.id not in said]
    unfit = [item for item, message in found.able if message.id in said]
    refused = {**found.refused, Why.UNFIT: unfit} if unfit else found.refused
    return _Sorted(able, refused, {item.item: said[item.message] for item in unfit})


def _ask_the_business(
    operation: BulkOperation, found: _Sorted, items: list[Frozen], *, until: float
) -> tuple[_Sorted, list[Frozen]]:
    """Return what is left to do when the hooks were called, and the items that were looked at until time was up."""
    asked = business.ask(operation, found.able, until=until)
    refused = {why: [*those] for why, those in found.refused.items()}
    if asked.refused:
        refused[Why.BUSINESS] = [item for item, _said in asked.refused]
    if asked.cut_at is not None:
        end = asked.cut_at.item
        items = [item for item in items if item.item < end]
        refused = {why: [item for item in those if item.item < end] for why, those in refused.items()}
    said = {**found.said, **{item.item: why for item, why in asked.refused}}
    return _Sorted(asked.able, refused, said), items


def _next_items(operation: BulkOperation, limit: int) -> list[Frozen]:
    return _frozen(_todo_behind(operation, operation.position), limit)


def _find_for_trial(operation: BulkOperation, limit: int) -> list[Frozen]:
    """Return what can run now: it waits behind no other of its ordering key."""
    can_run = Message.objects.filter(pk=OuterRef("message_id")).exhausted().at_head()
    found: list[Frozen] = []
    for position in range(operation.first_item - 1, operation.last_item, SPAN):
        found += _frozen(_todo_behind(operation, position).filter(Exists(can_run)), limit - len(found))
        if len(found) == limit:
            break
    return found


def _todo_behind(operation: BulkOperation, position: int) -> BulkItemQuerySet:
    behind = BulkItem.objects.filter(pk__gt=position, pk__lte=min(position + SPAN, operation.last_item))
    return behind.filter(operation=operation).todo().order_by("pk")


def _frozen(items: BulkItemQuerySet, limit: int) -> list[Frozen]:
    return [Frozen(*row) for row in items.values_list("pk", "message_id", "revision")[:limit]]


def _try_no_more(operation: BulkOperation) -> Step:
    """End a trial with what it has, as nothing else can run now; with nothing at all it cannot tell, and stops."""
    if operation.done:
        BulkOperation.objects.filter(pk=operation.pk).update(canary_size=operation.done)
        return Step.WAIT
    transitions.move(operation, BulkState.STOPPED, stopped_because=StoppedBecause.CANARY.value)
    return Step.MORE


def _look_further(operation: BulkOperation) -> Step:
    """Go on behind what was looked at; at the end go back to the beginning, where rows were left that somebody held."""
    further = operation.position + SPAN
    is_over = further >= operation.last_item
    position = operation.first_item - 1 if is_over else further
    BulkOperation.objects.filter(pk=operation.pk).update(position=position)
    return Step.WAIT if is_over else Step.MORE


def _sort_out(operation: BulkOperation, items: Sequence[Frozen]) -> _Sorted:
    """Lock the messages and tell apart what can be done, what cannot, and what somebody holds at this moment."""
    ids = [item.message for item in items]
    wanted = Message.objects.filter(state_for(operation.verb), Named(ids)).order_by("pk")
    rows = wanted.select_for_update(skip_locked=True, no_key=True).values_list(*Locked._fields)
    locked = {row[0]: Locked(*row) for row in rows}
    issued = business.issued_among(ids) if operation.retries else set()
    able, refused, others = [], defaultdict(list), []
    for item in items:
        message = locked.get(item.message)
        if message is None:
            others.append(item)
        elif message.revision != item.revision:
            refused[Why.CHANGED].append(item)
        elif operation.retries and registry.get(message.consumer) is None:
            refused[Why.NO_CONSUMER].append(item)
        elif item.message in issued:
            refused[Why.ISSUED].append(item)
        else:
            able.append((item, message))
    for why, item in _why_not(operation, others):
        refused[why].append(item)
    return _Sorted(able, dict(refused), {})


def _why_not(operation: BulkOperation, others: Sequence[Frozen]) -> list[tuple[Why, Frozen]]:
    """Return why each of these cannot be done; what is in the right state, but held by somebody, is not among them."""
    if not others:
        return []
    rows = Message.objects.filter(Named([item.message for item in others]))
    states = {id: rest for id, *rest in rows.values_list("pk", "revision", "status")}
    right = set(rows.filter(state_for(operation.verb)).values_list("pk", flat=True))
    found = []
    for item in others:
        if item.message not in states:
            found.append((Why.GONE, item))
            continue
        revision, status = states[item.message]
        if revision != item.revision:
            found.append((Why.CHANGED, item))
        elif item.message not in right:
            unfinished = status in (Status.PENDING, Status.STARTED)
            found.append((Why.STARTED if unfinished else Why.CLOSED, item))
    return found


def _apply(operation: BulkOperation, able: Sequence[tuple[Frozen, Locked]]) -> None:
    """Change the messages, which are locked, and let workers know of what may be started."""
    by_consumer: dict[str, list[Locked]] = defaultdict(list)
    for _item, message in able:
        by_consumer[message.consumer].append(message)
    for consumer, rows in by_consumer.items():
        ids = [row.id for row in rows]
        Message.objects.filter(Named(ids)).update(revision=F("revision") + 1, **_changes(operation, consumer))
        if operation.verb == BulkVerb.HANDLE:
            business.keep_evidence(operation, ids)
        if operation.retries:
            dispatcher.dispatch_on_commit({consumer: ids})
        elif operation.verb != BulkVerb.REOPEN:
            receipts.publish_receipts_of(ids, end=receipts.BY_HAND)
            wake_and_hint({OrderOfKey(consumer, row.ordering_key) for row in rows if row.ordering_key})


def _changes(operation: BulkOperation, consumer: str) -> Mapping[str, Any]:
    match operation.verb:
        case BulkVerb.RETRY | BulkVerb.EDIT:
            entry = registry.get(consumer)
            if entry is None:
                raise LookupError(consumer)
            return changes.retried(entry)
        case BulkVerb.HANDLE:
            return changes.handled()
        case BulkVerb.DISCARD:
            return changes.discarded()
    return changes.reopened()


def _write_results(operation: BulkOperation, sorted_out: _Sorted) -> None:
    items = BulkItem.objects.filter(operation=operation)
    if sorted_out.able:
        attempts = Message.objects.filter(pk=OuterRef("message_id")).values("attempts")
        ids = [item.item for item, _message in sorted_out.able]
        items.filter(Named(ids)).update(result=ItemResult.DONE, attempts=Subquery(attempts))
    for item, said in sorted_out.said.items():
        items.filter(pk=item).update(said=said)
    for why, refused in sorted_out.refused.items():
        items.filter(Named([item.item for item in refused])).update(result=ItemResult.REFUSED, why=why)


def _next_size(size: int, rows: int, took: float) -> int:
    """Return how many rows a chunk does in ``CHUNK_TIME``, no more than twice as many as the last time."""
    return max(FEWEST_ROWS, min(MOST_ROWS, 2 * size, int(rows * CHUNK_TIME / took) + 1))


def _spent(operation: BulkOperation, done: int) -> dict[str, Any]:
    """Return until when the rate is used up by so many messages."""
    if operation.rate is None:
        return {}
    now: datetime = getattr(operation, "now")  # noqa: B009  # annotated
    since = max(operation.next_at or now, now - RATE_SPAN)
    return {"next_at": since + timedelta(seconds=done / operation.rate)}
