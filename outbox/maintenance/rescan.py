"""The rescan: bring back what was lost, and send again what is unfinished.

Called by celery-beat every second, and by workers when beat is dead. Any number of rescans may overlap: rows are
claimed with SKIP LOCKED and their ``due_at`` is pushed before anything is sent. No transaction is open across the
network, and neither an attempt nor a send is spent on a broker that is away.
"""

import logging
import random
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from time import monotonic, sleep
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now

from outbox import registry
from outbox.broker.connection import BrokerConnection, Hint
from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery import breaker
from outbox.delivery.ends import publish_ends
from outbox.errors import BrokerAway, BrokerDistrusted, BrokerRefuses
from outbox.failures import counting
from outbox.failures.fingerprint import without_error
from outbox.maintenance import dead_letters
from outbox.maintenance.alone import alone
from outbox.maintenance.order import wake_forgotten_heads
from outbox.maintenance.recovery import recover_all
from outbox.maintenance.set_back import mend_if_set_back
from outbox.maintenance.width import width_of
from outbox.memory import Memory
from outbox.models import ConsumerState, Heartbeat, Message, Status
from outbox.models.queryset import MessageQuerySet
from outbox.models.sql.backlog import due_consumers, unfinished_consumers
from outbox.models.sql.low_water import LowWater
from outbox.models.sql.order import OrderOfKey, wake_heads
from outbox.monitoring.planned import must_take_over, read_plans
from outbox.policy import Reason

log = logging.getLogger("outbox.rescan")

RESCAN_HEARTBEAT = "rescan"
TAKEOVER = "rescan by a worker"
CLAIM = 1000
"""Rows claimed by one statement at most."""
LOOK_AGAIN = 0.02
"""Seconds after which full queues are looked at again: workers may empty one many times between two passes."""
STAYS_FULL = 0.1
"""Seconds without room after which a pass leaves a queue to the next: its workers have enough until then."""
UNCONFIRMED_WAIT = timedelta(seconds=1)
"""When a row is looked at again whose hint the broker did not take."""

_low_water = Memory(lambda: LowWater(asks_time=False))
"""Where the searches for due rows begin; workers look further ahead, and have another."""
_connection: Memory[BrokerConnection] = Memory(BrokerConnection, per_thread=True, discard=BrokerConnection.abandon)
"""A connection of each thread's own, kept open between passes."""


@dataclass
class RescanResult:
    """What one pass did: rows taken back from lost workers, failed, sent, and whether the broker answered.

    ``alarmed`` says that it is there and takes nothing, as its memory or its disk is full, ``distrusted`` why there is
    no TLS with it. ``refused`` has, by queue,
    what the broker said that refuses it; the empty name is the broker's door. ``failing`` has, by consumer, what went
    wrong that is nobody else's trouble; the empty name is a search for all of them. ``dropped`` has, by queue, why the
    broker itself threw hints away.
    """

    lost: int = 0
    failed: int = 0
    sent: int = 0
    broker_away: bool = False
    alarmed: bool = False
    distrusted: str = ""
    refused: dict[str, dict[str, Any]] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, dict[str, str]] = field(default_factory=dict)


def rescan() -> RescanResult:
    """Make one pass over everything unfinished and return what it did. Safe to run anywhere, any number of times."""
    result = RescanResult()
    mend_if_set_back()
    names = unfinished_consumers()
    recovered = recover_all(names)
    result.lost, result.failed, result.failing = recovered.lost, recovered.failed, recovered.failing
    with alone("", result.failing):
        wake_forgotten_heads()
    paused = set(ConsumerState.objects.paused().values_list("consumer", flat=True))
    broken = set(ConsumerState.objects.open().values_list("consumer", flat=True))
    flowing = [entry for name in names if name not in paused and (entry := registry.get(name))]
    due = set(due_consumers()) | broken if flowing else set()
    turns = [entry for entry in flowing if entry.name in due]
    _send_due(turns, broken, result)
    if not turns:
        _see_the_broker(result)
    result.alarmed = result.broker_away and thread_connection().alarmed
    if (refusal := thread_connection().dead_letters_refused) is not None:
        result.refused[refusal.queue] = refusal.details
    with alone("", result.failing):
        dead_letters.follow(thread_connection())
    result.dropped = thread_connection().dropped()
    Heartbeat.objects.record(RESCAN_HEARTBEAT, **asdict(result))
    return result


def rescan_if_overdue() -> bool:
    """Make a pass if nobody has for ``rescan_overdue``; tell whether it was us. How workers cover for a dead beat.

    What is set in the admin holds: a longer interval is waited for, and nobody covers for what is switched off there. A
    worker also makes one if whoever rescans runs older code, and takes a consumer for gone that we have.
    """
    ours = registry.consumer_names()
    taken_for_gone = ConsumerState.objects.filter(consumer__in=ours, gone_since__isnull=False)
    came_back = taken_for_gone.update(gone_since=None) and not read_plans()[RESCAN_HEARTBEAT].switched_off
    if not came_back and not must_take_over(RESCAN_HEARTBEAT, after=conf().rescan_overdue, turn=TAKEOVER):
        return False
    rescan()
    return True


def _send_due(consumers: Iterable[Consumer], broken: set[str], result: RescanResult) -> None:
    """Send for each consumer in turn, round and round, until nothing is due, queues stay full, or time is up.

    A consumer in ``broken``, whose breaker is open, gets one canary when it is time for a probe.
    """
    until = monotonic() + conf().rescan_budget.total_seconds()
    # In any order, so that neither a long backlog nor a broken queue always stands in front of the same others.
    turns = list(consumers)
    random.shuffle(turns)
    waiting = deque(turns)
    had_room: dict[str, float] = {}
    full_in_a_row = 0
    while waiting and (now := monotonic()) < until:
        consumer = waiting.popleft()
        turn = Turn.DONE
        with alone(consumer.name, result.failing):
            turn = _take_turn(consumer, result, broken=consumer.name in broken, again=consumer.name in had_room)
        if turn is Turn.MORE:
            had_room[consumer.name] = now
            waiting.append(consumer)
            full_in_a_row = 0
        elif turn is Turn.FULL and now - had_room.setdefault(consumer.name, now) < STAYS_FULL:
            waiting.append(consumer)
            full_in_a_row += 1
        if full_in_a_row and full_in_a_row >= len(waiting):
            sleep(LOOK_AGAIN)
            full_in_a_row = 0


class Turn(Enum):
    """How a consumer's turn in a pass ended: nothing more to send, more to send, or no room in its queue."""

    DONE = auto()
    MORE = auto()
    FULL = auto()


def _see_the_broker(result: RescanResult) -> None:
    """Ask for one queue where nothing is to be sent, so that each pass says how the broker is."""
    if consumers := registry.all_consumers():
        consumer = random.choice(consumers)  # noqa: S311  # so that in time each queue that is refused is found
        with alone(consumer.name, result.failing), _noting_the_broker(result):
            thread_connection().depth(consumer.name)


def _take_turn(consumer: Consumer, result: RescanResult, *, broken: bool, again: bool) -> Turn:
    """Send what there is to send for one consumer; what the broker says to it is noted."""
    with _noting_the_broker(result):
        if not broken:
            return _send_some(consumer, result, again=again)
        _send_canary(consumer, result)
    return Turn.DONE


@contextmanager
def _noting_the_broker(result: RescanResult) -> Iterator[None]:
    """Note what the broker says while the block runs, or that it says nothing; what is due stays due."""
    try:
        yield
    except BrokerRefuses as error:
        result.refused[error.queue] = error.details
        result.broker_away |= not error.queue
        log.warning("%s; its messages stay due", error)
    except BrokerAway as error:
        result.broker_away = True
        result.distrusted = str(error) if isinstance(error, BrokerDistrusted) else ""
        log.warning("%s; what is due stays due", error)


def _send_some(consumer: Consumer, result: RescanResult, *, again: bool) -> Turn:
    """Claim, commit and send as much as the consumer's queue has room for; ``again`` only if half of it is free."""
    connection = thread_connection()
    depth = connection.depth(consumer.name)
    room = consumer.hint_limit - depth
    if room <= (consumer.hint_limit // 2 if again else 0):
        return Turn.FULL
    width = width_of(consumer)
    if width.calls == 0 or (width.calls is not None and again):
        return Turn.DONE
    many = min(room * consumer.chunk, CLAIM, CLAIM if width.calls is None else width.calls)
    # Where a worker has said that it has places, it is there: its queue is empty because it takes each hint at once.
    counted = depth == 0 and not width.is_known
    claim = _claim(consumer, many, room=room, counted=counted)
    if claim.failed:
        result.failed += claim.failed
        counting.count_failures({without_error(consumer.name, Reason.NOT_TAKEN): claim.failed})
    missing = _send(connection, _hints_for(consumer, claim.rows), room, result, counted=counted)
    return Turn.MORE if claim.full and not missing else Turn.DONE


def _send_canary(consumer: Consumer, result: RescanResult) -> None:
    """Send the oldest due row alone, if it is time for a probe and the row becomes the canary."""
    connection = thread_connection()
    connection.depth(consumer.name)
    with transaction.atomic(using=conf().database):
        claim = _claim(consumer, 1, room=1, counted=False, due=_probe(consumer))
        if claim.rows and not breaker.take_turn(consumer, claim.rows[0].id):
            transaction.set_rollback(True, using=conf().database)
            return
    _send(connection, _hints_for(consumer, claim.rows), 1, result, counted=False)


def _probe(consumer: Consumer) -> MessageQuerySet:
    """Return what may be the canary: the one whose hint still waits to be started, or else what is due, heads only."""
    ready = Message.objects.filter(consumer=consumer.name).pending().at_head()
    last = ready.filter(pk__in=ConsumerState.objects.filter(consumer=consumer.name).values("canary"))
    return last if last.exists() else ready.due()


def _send(
    connection: BrokerConnection, hints: Sequence[Hint], room: int, result: RescanResult, *, counted: bool
) -> list[Hint]:
    """Send hints as far as there is room, make the rows of the others due again, and return those others."""
    missing = [*connection.send(hints[:room]), *hints[room:]]
    _make_due_again(missing, counted=counted)
    result.broker_away |= bool(missing) and bool(connection.trouble)
    result.sent += sum(len(hint.ids) for hint in hints) - sum(len(hint.ids) for hint in missing)
    return missing


class Row(NamedTuple):
    """What sending needs to know of a claimed row."""

    id: int
    lost: int
    sends: int
    ordering_key: str
    due_at: datetime


class Claim(NamedTuple):
    """The rows to be sent, how many failed instead, and whether there may be more."""

    rows: Sequence[Row]
    failed: int
    full: bool


def _claim(consumer: Consumer, limit: int, *, room: int, counted: bool, due: MessageQuerySet | None = None) -> Claim:
    """Claim due rows for ``room`` hints by pushing their ``due_at``, oldest first; nobody else sends them meanwhile.

    A send is ``counted`` when it goes into an empty queue; a row with too many of those fails, for no worker is there.
    """
    with transaction.atomic(using=conf().database):
        ready = _lock_due(consumer, limit) if due is None else _lock(due, limit)
        found = list(_fitting(ready, consumer.chunk, room))
        unwanted = [row for row in found if counted and row.sends >= conf().send_limit]
        behind = _behind(found)
        rows = [row for row in found if row.id not in behind and row not in unwanted]
        if unwanted:
            failing = Message.objects.filter(pk__in=[row.id for row in unwanted])
            failing.mark_failed(reason=Reason.NOT_TAKEN, failure=without_error(consumer.name, Reason.NOT_TAKEN).digest)
            publish_ends(consumer.name, [row.id for row in unwanted])
        Message.objects.filter(pk__in=behind).put_to_sleep()
        if rows:
            claimed = Message.objects.filter(pk__in=[row.id for row in rows])
            claimed.update(due_at=Now() + conf().resend_after, sends=F("sends") + (1 if counted else 0))
    if behind:
        # Their head may have been settled meanwhile, by somebody who could not wake what was held here.
        wake_heads({OrderOfKey(consumer.name, row.ordering_key) for row in found if row.id in behind})
    return Claim(rows, len(unwanted), len(ready) == limit or len(found) < len(ready))


def _lock_due(consumer: Consumer, limit: int) -> list[Row]:
    search = _low_water.value.begin(consumer.name)
    due = Message.objects.filter(consumer=consumer.name).due().pending()
    rows = _lock(due if search.since is None else due.filter(due_at__gte=search.since), limit)
    _low_water.value.learn(search, [row.due_at for row in rows], full=len(rows) == limit)
    return rows


def _lock(due: MessageQuerySet, limit: int) -> list[Row]:
    locked = due.select_for_update(skip_locked=True, no_key=True)
    return [Row(*row) for row in locked.values_list(*Row._fields)[:limit]]


def _fitting(rows: Iterable[Row], chunk: int, room: int) -> Iterator[Row]:
    """Yield as many rows as ``room`` hints carry: a row that a worker was lost over may take a hint of its own."""
    places = room * chunk
    for row in rows:
        places -= chunk if row.lost else 1
        if places < 0:
            return
        yield row


def _behind(found: Sequence[Row]) -> set[int]:
    """Return the ids of rows that must wait for an earlier one of their ordering key."""
    ordered = {row.id for row in found if row.ordering_key}
    if not ordered:
        return set()
    return ordered - set(Message.objects.filter(pk__in=ordered).at_head().values_list("pk", flat=True))


def _hints_for(consumer: Consumer, rows: Sequence[Row]) -> list[Hint]:
    """Return the hints for ``rows``: chunks, but what workers were lost over apart, as few as may run together."""
    by_losses: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        by_losses[row.lost].append(row.id)
    hints = []
    for lost, ids in sorted(by_losses.items(), reverse=True):
        size = consumer.suspects_together(lost) if lost else consumer.chunk
        hints += [Hint(consumer.name, tuple(ids[at : at + size])) for at in range(0, len(ids), size)]
    return hints


def _make_due_again(missing: Sequence[Hint], *, counted: bool) -> None:
    """Make rows due again whose hints the broker did not take, and take the counted send back."""
    ids = [id for hint in missing for id in hint.ids]
    if ids:
        Message.objects.filter(pk__in=ids, status=Status.PENDING).update(
            due_at=Now() + UNCONFIRMED_WAIT, sends=Greatest(F("sends") - (1 if counted else 0), 0)
        )


def thread_connection() -> BrokerConnection:
    """Return the connection of this thread, which stays open between passes."""
    return _connection.value
