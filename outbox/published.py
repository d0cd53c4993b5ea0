"""What code does about messages that it has published, by topic and key: take them back, hurry them, ask about them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db import connections
from django.db.models import Exists, OuterRef, Q
from django.utils.asyncio import async_unsafe

from outbox import registry
from outbox.broker import dispatcher, receipts
from outbox.broker.waking import wake_and_hint
from outbox.conf import conf
from outbox.drafts import Key, as_key
from outbox.errors import OutsideTransaction
from outbox.models import Attempt, AttemptOutcome, Message, Resolution, Status
from outbox.models.queryset import MessageQuerySet
from outbox.models.sql.order import OrderOfKey
from outbox.publishing import in_own_transaction

IN_A_FUNCTION = "cannot be used in async code: call it in a plain function, by asgiref.sync.sync_to_async"

CUT_OFF = Q(outcome__in=[AttemptOutcome.LOST, AttemptOutcome.LATE]) | Q(
    outcome=AttemptOutcome.FAILED, may_have_acted=True
)
"""Attempts after which the other side may have acted, unless the consumer is atomic."""


class Withdrawal(StrEnum):
    """What ``withdraw`` answers for a consumer. Each is its own word, to be kept or shown."""

    NEVER_THERE = "never there"
    """There is no row: not published, not committed yet, or removed long after it was settled."""
    WITHDRAWN = "withdrawn"
    """It is taken back, by this call or before: nobody is called any more, and no call has had an effect."""
    MAY_HAVE_ACTED = "may have acted"
    """It is taken back as well, but an earlier call was cut off: the other side may have acted. Ask it."""
    FAILED = "failed"
    """The machine has given up on it, and it waits for a person, who may still retry it."""
    FINISHED = "finished"
    """It is over: done, or closed by a person or by its deadline. ``status`` says which."""
    UNDER_WAY = "under way"
    """A worker has it, or is just taking it up. It may succeed, or wait again after a failed attempt."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a message to one consumer has come."""

    status: Status | None
    """``pending``, ``started``, ``success`` or ``failed``; None: there is no row, or not any more."""
    resolution: Resolution
    """How it was closed otherwise: ``handled``, ``discarded``, ``overdue``, ``withdrawn``; else empty."""
    attempts: int
    """How often it was started."""
    finished_at: datetime | None
    """When it came to its end, which for a failed one is when the machine gave up."""

    @property
    def is_done(self) -> bool:
        """Whether what was promised has been done, by the machine or by hand. False for a row that is gone."""
        return self.status == Status.SUCCESS

    @property
    def is_open(self) -> bool:
        """Whether it waits for a worker, or is with one."""
        return self.status in (Status.PENDING, Status.STARTED)

    @property
    def needs_a_person(self) -> bool:
        """Whether the machine has given up on it, and nobody has closed it yet."""
        return self.status == Status.FAILED and not self.resolution


NOT_THERE = Progress(None, Resolution.NONE, 0, None)


@async_unsafe(f"outbox.withdraw() and the transaction it needs {IN_A_FUNCTION}")
def withdraw(topic: str, *, key: Key, consumers: Collection[str] | None = None) -> dict[str, Withdrawal]:
    """Take back what waits of the event ``topic`` and ``key``, and answer for each of its consumers, by name.

    Call it inside ``transaction.atomic()``, after the UPDATE of the business row that says why. It never waits for a
    worker: what one has, or is just taking up, is *under way*, and its handler must read the business row again.
    ``consumers`` names those from whom it is taken back; by default all that listen to the topic or have a row.

    What was withdrawn before it was ever started can be published again under the same key. Raises
    ``OutsideTransaction`` and ``InvalidMessage``.
    """
    rows = _rows_of(topic, key, consumers)
    _insist_on_transaction("withdraw")
    waiting = rows.filter(status=Status.PENDING).order_by("pk").select_for_update(skip_locked=True, no_key=True)
    taken = list(waiting.only("consumer", "ordering_key"))
    if taken:
        ids = [row.pk for row in taken]
        Message.objects.filter(pk__in=ids).close_as_withdrawn()
        receipts.publish_receipts_of(ids, end=receipts.BY_HAND)
        _let_next_go(taken)
    answers = dict.fromkeys(_names(topic, consumers), Withdrawal.NEVER_THERE)
    cut_off = Exists(Attempt.objects.filter(CUT_OFF, message=OuterRef("pk")))
    for row in rows.annotate(cut_off=cut_off).defer("payload", "headers"):
        answers[row.consumer] = max(answers.get(row.consumer, Withdrawal.NEVER_THERE), _answer(row), key=_weight)
    return answers


@async_unsafe(f"outbox.hurry() and the transaction it needs {IN_A_FUNCTION}")
def hurry(topic: str, *, key: Key, consumers: Collection[str] | None = None) -> list[str]:
    """Let what waits for its own time, delayed or between two attempts, be due now; return the consumers of it.

    It never waits for a worker. A handler that is to act on a date reads the date in the business's own row, and raises
    ``Snooze`` where it is called early. Raises ``OutsideTransaction`` and ``InvalidMessage``.
    """
    rows = _rows_of(topic, key, consumers)
    _insist_on_transaction("hurry")
    waiting = rows.delayed().order_by("pk").select_for_update(skip_locked=True, no_key=True)
    taken = list(waiting.only("consumer", "ordering_key"))
    if not taken:
        return []
    Message.objects.filter(pk__in=[row.pk for row in taken]).make_due(after_a_call=conf().lease)
    _let_next_go(taken)
    hinted = {row.consumer: [row.pk] for row in taken if not row.ordering_key}
    if hinted:
        dispatcher.dispatch_on_commit(hinted)
    return sorted({row.consumer for row in taken})


@async_unsafe(f"outbox.status() {IN_A_FUNCTION}")
def status(topic: str, *, key: Key) -> dict[str, Progress]:
    """Answer for each consumer of the event ``topic`` and ``key``, by name, how far it has come: one query.

    Consumers that listen to the topic and have no row are in the answer as well, and are not done: the event was never
    published, was published before they listened, or its row was removed long after it was settled. Of an event that
    was replayed to a consumer, the newest replay counts. Raises ``InvalidMessage``.
    """
    columns = ("consumer", "status", "resolution", "attempts", "finished_at")
    rows = _rows_of(topic, key, None).order_by("replay").values_list(*columns)
    found = {
        consumer: Progress(Status(status), Resolution(resolution), attempts, finished_at)
        for consumer, status, resolution, attempts, finished_at in rows
    }
    return {name: found.get(name, NOT_THERE) for name in sorted({*_names(topic, None), *found})}


def _rows_of(topic: str, key: Key, consumers: Collection[str] | None) -> MessageQuerySet:
    rows = Message.objects.filter(key=as_key(key), topic=topic)
    return rows if consumers is None else rows.filter(consumer__in=consumers)


def _names(topic: str, consumers: Collection[str] | None) -> list[str]:
    return sorted(consumers) if consumers is not None else sorted(each.name for each in registry.consumers_of(topic))


def _insist_on_transaction(verb: str) -> None:
    if not in_own_transaction(connections[conf().database]):
        raise OutsideTransaction(
            f"{verb}() must be called inside transaction.atomic() on the database {conf().database!r}, together with "
            "the change of your business row that is the reason for it"
        )


def _let_next_go(rows: Collection[Message]) -> None:
    """Wake what comes first by the ordering keys of these rows, and hint it once the transaction has committed."""
    wake_and_hint({OrderOfKey(row.consumer, row.ordering_key) for row in rows if row.ordering_key})


def _answer(row: Message) -> Withdrawal:
    if row.resolution == Resolution.WITHDRAWN:
        consumer = registry.get(row.consumer)
        is_atomic = consumer is not None and consumer.atomic
        acted = getattr(row, "cut_off", False) and not is_atomic
        return Withdrawal.MAY_HAVE_ACTED if acted else Withdrawal.WITHDRAWN
    if row.finished_at is None:
        return Withdrawal.UNDER_WAY
    return Withdrawal.FAILED if row.exhausted_at is not None else Withdrawal.FINISHED


def _weight(answer: Withdrawal) -> int:
    """Return which of two answers for one consumer counts: of a replayed event, that which may still have an effect."""
    return list(Withdrawal).index(answer)
