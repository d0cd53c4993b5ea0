"""Delivering what is pending, through the loop that a worker runs, in the test's own transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

from django.db import connections
from django.db.models import Max
from django.db.models.functions import Now

from outbox import memory, registry
from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery import chunks
from outbox.errors import OutboxError
from outbox.models import Attempt, AwaitedReceipt, ConsumerState, Message, Status
from outbox.options import Handler
from outbox.publishing import in_own_transaction
from outbox.testing.hints import silenced

ROUNDS = 20
SENT = "sent"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message: the row as it is now, and how the attempts made for it ended, in order.

    An outcome is "success", or what the row of the attempt says: "failed", "rejected", "snoozed", "unavailable". The
    last is "sent" while a forward waits for its receipt.
    """

    message: Message
    outcomes: tuple[str, ...]


@contextmanager
def captured_messages() -> Iterator[list[Message]]:
    """Collect what is published in the block, one message per consumer, in a list that is filled at its end.

    What was rolled back, or was a no-op because it had been published before, is not among them. No hints are sent.
    """
    captured: list[Message] = []
    last = Message.objects.aggregate(last=Max("pk"))["last"] or 0
    with silenced():
        yield captured
    captured.extend(Message.objects.filter(pk__gt=last).order_by("pk"))


def deliver_pending(
    consumer: str | Handler | None = None, *, rounds: int = ROUNDS, ignore_waits: bool = False
) -> list[Delivery]:
    """Deliver what is pending, and what that publishes, until nothing is due; return what happened, by message.

    ``consumer`` is one consumer by name or function, None means all. With ``ignore_waits`` delays, backoff, snoozes and
    an open breaker are skipped instead of waited for, so that a message is tried until it is finished; ``rounds`` is
    how often any one of them is tried, which ends a snooze without end. A paused consumer's messages are left alone.
    """
    if in_own_transaction(connections[conf().database]):
        raise OutboxError(
            "deliver_pending() was called inside transaction.atomic(), where no worker could see the messages; call it "
            "after the block. The transaction of the TestCase itself does not count"
        )
    consumers = _chosen(consumer)
    before: dict[int, int] = {}
    with silenced(), _as_in_a_new_process():
        while _pass(consumers, before, rounds, ignore_waits):
            continue
    return _deliveries(before)


@contextmanager
def _as_in_a_new_process() -> Iterator[None]:
    """Forget what the process remembers of the tables, before and after: a test takes back what it has written."""
    memory.forget_all()
    try:
        yield
    finally:
        memory.forget_all()


def _chosen(consumer: str | Handler | None) -> list[Consumer]:
    everybody = registry.all_consumers()
    chosen = [entry for entry in everybody if consumer is None or consumer in (entry.name, entry.handler)]
    if consumer is not None and not chosen:
        raise LookupError(f"{consumer!r} is no consumer; there are {[entry.name for entry in everybody]}")
    return chosen


def _pass(consumers: Sequence[Consumer], before: dict[int, int], rounds: int, ignore_waits: bool) -> bool:
    """Offer every message to its consumer once; tell whether any was tried. ``before`` keeps attempts made earlier."""
    moved = False
    for consumer in consumers:
        pending = Message.objects.filter(consumer=consumer.name, status=Status.PENDING).order_by("due_at", "pk")
        rows = list(pending.values_list("pk", "attempts", "lost"))
        for id, attempts, _lost in rows:
            before.setdefault(id, attempts)
        tried = _times_tried(before)
        waiting = [(id, lost) for id, _attempts, lost in rows if tried.get(id, 0) < rounds]
        if ignore_waits:
            _skip_waits(consumer, [id for id, _lost in waiting])
        for ids in _cut_into_hints(consumer, waiting):
            chunks.deliver(consumer.name, ids)
        made = {id: attempts for id, attempts, _lost in rows}
        after = Message.objects.filter(pk__in=[id for id, _lost in waiting]).values_list("pk", "attempts")
        moved |= any(attempts > made[id] for id, attempts in after)
    return moved


def _cut_into_hints(consumer: Consumer, waiting: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Cut the rows into what one hint would name: chunks, and once more alone what a worker was lost over."""
    ids = [id for id, _lost in waiting]
    yield from (ids[start : start + consumer.chunk] for start in range(0, len(ids), consumer.chunk))
    yield from ([id] for id, lost in waiting if lost)


def _skip_waits(consumer: Consumer, ids: Sequence[int]) -> None:
    Message.objects.filter(pk__in=ids).update(not_before=Now(), due_at=Now())
    if ids:
        ConsumerState.objects.open().filter(consumer=consumer.name).update(canary=ids[0])


def _times_tried(before: dict[int, int]) -> dict[int, int]:
    """Return how often each message has been tried since; one that was given back without a call was not tried."""
    return {id: len(list(attempts)) for id, attempts in groupby(_attempts(before), lambda attempt: attempt.message_id)}


def _attempts(before: dict[int, int]) -> list[Attempt]:
    ours = Attempt.objects.filter(message_id__in=before).order_by("message_id", "number")
    return [attempt for attempt in ours if attempt.number > before[attempt.message_id]]


def _deliveries(before: dict[int, int]) -> list[Delivery]:
    outcomes = {
        id: tuple(str(attempt.outcome) for attempt in attempts)
        for id, attempts in groupby(_attempts(before), lambda attempt: attempt.message_id)
    }
    messages = list(Message.objects.filter(pk__in=before).order_by("pk"))
    sent = AwaitedReceipt.objects.sent(message for message in messages if message.status == Status.STARTED)
    deliveries = []
    for message in messages:
        ended = outcomes.get(message.pk, ())
        if message.status == Status.SUCCESS and message.attempts > before[message.pk]:
            ended = (*ended, str(Status.SUCCESS))
        if message.pk in sent and message.attempts > before[message.pk]:
            ended = (*ended, SENT)
        if ended:
            deliveries.append(Delivery(message, ended))
    return deliveries
