"""Bringing back what will not move by itself: lost leases, passed deadlines, consumers gone from the code.

This goes on whatever the room in the queues, a pause or a breaker says. One statement searches for all consumers; what
it finds is brought back consumer by consumer, so that what goes wrong for one is no harm to the others.
"""

import logging
import random
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from time import monotonic
from typing import NamedTuple

from django.db import connections, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from outbox import logs, registry
from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery.ends import publish_ends
from outbox.failures import counting
from outbox.failures.fingerprint import without_error
from outbox.failures.reasons import TITLES
from outbox.maintenance.alone import alone
from outbox.maintenance.silence import settle_silent
from outbox.memory import Memory
from outbox.models import Attempt, AttemptOutcome, ConsumerState, Message, Status
from outbox.models.queryset import MessageQuerySet
from outbox.models.sql.order import OrderOfKey, wake_heads
from outbox.models.sql.runs import ids_behind
from outbox.policy import Again, Awaited, Counters, Decision, Done, Exhausted, Reason, WorkerLost, decide

log = logging.getLogger("outbox.rescan")

FOUND = 10_000
"""Rows that one search returns at most; they are brought back before there is another search."""
FAIL_BATCH = 1000
"""Rows failed by one transaction at most."""
LOST_BATCH = 100
"""Rows taken back by one transaction at most; each takes some statements of its own."""
SERVER_SINCE = "SELECT pg_postmaster_start_time()"
RESTARTED = "the database server was started again in the meantime"
DUTY = 20
"""A long backlog is searched at most a 20th of the time ..."""
LONGEST_REST = 10.0
"""... but never less often than every so many seconds, besides what the search takes itself."""
SHORT = 0.05
"""Seconds up to which a search is no burden and is made in every pass."""

_OVER = Q(status=Status.STARTED, lease_until__lt=Now())
_EXPIRED = Q(expires_at__lt=Now()) & (Q(status=Status.PENDING) | _OVER)


@dataclass
class Recovered:
    """How many rows were taken back from lost workers, how many failed for good, and whether there are more.

    ``failing`` has, by consumer, what went wrong when its rows were to be brought back.
    """

    lost: int = 0
    failed: int = 0
    more: bool = False
    failing: dict[str, str] = field(default_factory=dict)

    def __add__(self, other: "Recovered") -> "Recovered":
        return Recovered(
            self.lost + other.lost, self.failed + other.failed, self.more or other.more, self.failing | other.failing
        )


class Kind(Enum):
    """What keeps rows from going on by themselves: their lease is over, or their deadline has passed."""

    LOST = auto()
    EXPIRED = auto()


class Batch(NamedTuple):
    """Rows of one consumer that were found, and that one transaction brings back."""

    consumer: str
    kind: Kind
    ids: Sequence[int]


@dataclass
class _Rhythm:
    """When the backlog is worth searching again, on this thread's monotonic clock; what the last search has found.

    Of that, what is ``left`` and what is ``failing``.
    """

    again_at: float = 0.0
    left: deque[Batch] = field(default_factory=deque)
    failing: dict[str, str] = field(default_factory=dict)


_rhythm = Memory(_Rhythm, per_thread=True)


def recover_all(names: Collection[str]) -> Recovered:
    """Look through the due rows of these consumers and bring back, or fail, what would wait for ever.

    Goes on for ``rescan_budget``, at least one transaction; what is left is for the next pass, which searches no more
    before it is done. A search takes as long as the backlog is: a long one is repeated only after 20 times what it
    took, or 10 s.
    """
    until = monotonic() + conf().rescan_budget.total_seconds()
    recovered = _fail_gone(names, until)
    rhythm = _rhythm.value
    if names and not rhythm.left and monotonic() >= rhythm.again_at:
        rhythm.failing = {}
        with alone("", rhythm.failing):
            _search_into(rhythm, names)
    recovered += _bring_back(rhythm.left, rhythm.failing, until)
    recovered.failing |= rhythm.failing
    recovered.more |= bool(rhythm.left)
    return recovered


def _search_into(rhythm: _Rhythm, names: Collection[str]) -> None:
    began = monotonic()
    found = search(names)
    ended = monotonic()
    took = ended - began
    is_all = sum(len(ids) for ids in found.values()) < FOUND
    rhythm.again_at = ended + (min(took * DUTY, LONGEST_REST) if took > SHORT and is_all else 0.0)
    rhythm.left = _in_turns(found)


def search(names: Collection[str]) -> dict[tuple[str, Kind], list[int]]:
    """Find for all consumers at once what no worker holds any more and what has passed its deadline; lock nothing."""
    known = [name for name in names if registry.get(name)]
    lost = _OVER if len(known) == len(names) else _OVER & Q(consumer__in=known)
    stuck = Message.objects.filter(consumer__in=names).due().filter(lost | _EXPIRED)
    found: dict[tuple[str, Kind], list[int]] = defaultdict(list)
    for id, consumer, status in stuck.values_list("pk", "consumer", "status")[:FOUND]:
        is_lost = status == Status.STARTED and registry.get(consumer)
        found[consumer, Kind.LOST if is_lost else Kind.EXPIRED].append(id)
    return found


def _in_turns(found: dict[tuple[str, Kind], list[int]]) -> deque[Batch]:
    """Return what was found in batches: consumers in any order, one batch of each and then the next of each."""
    turns = list(found)
    random.shuffle(turns)
    sizes = {Kind.LOST: LOST_BATCH, Kind.EXPIRED: FAIL_BATCH}
    in_rounds = [
        (start // sizes[kind], turn, Batch(consumer, kind, found[consumer, kind][start : start + sizes[kind]]))
        for turn, (consumer, kind) in enumerate(turns)
        for start in range(0, len(found[consumer, kind]), sizes[kind])
    ]
    return deque(batch for _round, _turn, batch in sorted(in_rounds, key=lambda entry: entry[:2]))


def _bring_back(left: deque[Batch], failing: dict[str, str], until: float) -> Recovered:
    """Bring back batch after batch until time is up; the rows of one that fails are tried once more, each alone."""
    recovered = Recovered()
    act: dict[Kind, Callable[[Batch], Recovered]] = {Kind.LOST: _recover_lost, Kind.EXPIRED: _expire}
    while left:
        batch = left.popleft()
        wrong: dict[str, str] = {}
        with alone(batch.consumer, wrong):
            recovered += act[batch.kind](batch)
        if wrong and len(batch.ids) > 1:
            left.extend(batch._replace(ids=[id]) for id in batch.ids)
        failing |= wrong if len(batch.ids) == 1 else {}
        if monotonic() >= until:
            break
    return recovered


def _recover_lost(batch: Batch) -> Recovered:
    consumer = registry.get(batch.consumer)
    if consumer is None:
        return Recovered()
    with transaction.atomic(using=conf().database):
        rows = _lock_over(batch.ids)
        if ordered := [row.pk for row in rows if row.ordering_key]:
            # What was started behind them sleeps, so no search finds it.
            rows += _lock_over(set(ids_behind(ordered, limit=consumer.chunk)).difference(ordered))
        silent = settle_silent(consumer, rows)
        rows = [row for row in rows if row.pk not in {report.message.pk for report in silent}]
        recovered = _take_back(consumer, rows) if rows else Recovered()
    behind = [row for row in rows if row.ordering_key and not row.holds_key]
    if behind:
        # They sleep again, but one may come first by now: its head was taken back before it, and settled.
        wake_heads({OrderOfKey(consumer.name, row.ordering_key) for row in behind})
    if recovered.failed:
        counting.count_failures({without_error(consumer.name, Reason.WORKER_LOST): recovered.failed})
    if silent:
        counting.count_failures({without_error(consumer.name, Reason.NO_RECEIPT): len(silent)})
    recovered.lost += len(silent)
    return recovered


def _lock_over(ids: Collection[int]) -> list[Message]:
    """Lock those whose leases are over and that nobody else holds, the oldest first."""
    over = Message.objects.filter(pk__in=ids).unfinished().lease_over().defer("payload", "headers")
    return list(over.select_for_update(skip_locked=True, no_key=True).order_by("due_at", "id")) if ids else []


def _server_started_at() -> datetime | None:
    """Return since when the database server runs; None where there is no server."""
    connection = connections[conf().database]
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(SERVER_SINCE)
        (since,) = cursor.fetchone()
    return datetime.fromisoformat(str(since))


def _take_back(consumer: Consumer, rows: Sequence[Message]) -> Recovered:
    """Settle attempts whose leases are over: pending again, or failed where no tries are left.

    All that is known is that nobody settled them in time, and whether the server was started again in between.
    """
    server_since = _server_started_at()
    restarted = {row.pk for row in rows if server_since and row.started_at and row.started_at < server_since}
    # First the attempts, then what follows from them: people read them in this order.
    Attempt.objects.bulk_create([_lost_attempt(row, restarted=row.pk in restarted) for row in rows])
    alike: dict[Decision, list[Message]] = defaultdict(list)
    for message in rows:
        counters = Counters(message.attempts, message.attempt_limit, message.lost)
        outcome = WorkerLost(
            with_database=message.pk in restarted,
            among=consumer.suspects_together(message.lost),
            never_again=consumer.at_most_once,
            innocent=consumer.relay is not None,
        )
        uniform = random.random()  # noqa: S311  # jitter
        alike[decide(outcome, counters, consumer.retry, uniform=uniform)].append(message)
    for decision, together in alike.items():
        _write_down(consumer, decision, together)
    for message in rows:
        with logs.at_work_on(message):
            log.warning(
                "message %d of %s: the worker %s did not settle attempt %d in time: %s",
                message.pk,
                consumer.name,
                message.worker,
                message.attempts,
                RESTARTED if message.pk in restarted else "the process, the database or the network was gone",
            )
    failed = sum(len(together) for decision, together in alike.items() if isinstance(decision, Exhausted))
    return Recovered(lost=len(rows), failed=failed)


def _lost_attempt(message: Message, *, restarted: bool) -> Attempt:
    return Attempt(
        message=message,
        number=message.attempts,
        outcome=AttemptOutcome.LOST,
        started_at=message.started_at,
        worker=message.worker,
        error=RESTARTED if restarted else "",
    )


def _write_down(consumer: Consumer, decision: Decision, rows: Sequence[Message]) -> None:
    held = Message.objects.held([row.fence for row in rows])
    match decision:
        case Again(wait, free, lost):
            held.mark_pending(wait=wait, free=free, lost=lost, error=None)
        case Exhausted(reason, lost):
            held.mark_failed(reason=reason, failure=without_error(consumer.name, reason).digest, lost=lost)
            publish_ends(consumer.name, [row.pk for row in rows])
        case Done() | Awaited():
            raise AssertionError("a lost worker does not make a success")


def _expire(batch: Batch) -> Recovered:
    """Fail what is past its deadline; close what nobody needs any more, if no call was ever made for it."""
    rows = Message.objects.filter(pk__in=batch.ids).unfinished().filter(_EXPIRED)
    consumer = registry.get(batch.consumer)
    if consumer is not None and consumer.overdue == "discard":
        called = Attempt.objects.filter(message=OuterRef("pk"))
        _discard(batch.consumer, rows.filter(~Exists(called), status=Status.PENDING))
    return Recovered(failed=_fail(batch.consumer, rows, Reason.EXPIRED))


def _discard(consumer: str, rows: MessageQuerySet) -> None:
    """Close the first of ``rows`` as overdue, but none that somebody has locked: no work for a person."""
    with transaction.atomic(using=conf().database):
        locked = rows.order_by("due_at", "id").select_for_update(skip_locked=True, no_key=True)
        keys: dict[int, str] = dict(locked.values_list("pk", "ordering_key")[:FAIL_BATCH])
        if keys:
            Message.objects.filter(pk__in=keys).close_as_overdue()
            publish_ends(consumer, keys)
    if keys:
        log.info("%d messages of %s were overdue and are closed; no call was made for them", len(keys), consumer)
        wake_heads({OrderOfKey(consumer, ordering_key) for ordering_key in keys.values() if ordering_key})


def _fail_gone(names: Collection[str], until: float) -> Recovered:
    """Fail the rows of consumers that have been missing for longer than a rolling deploy takes."""
    recovered = Recovered()
    for name in _gone_for_good(names):
        rows = Message.objects.filter(consumer=name).due().filter(Q(status=Status.PENDING) | _OVER)
        with alone(name, recovered.failing):
            many = FAIL_BATCH
            while many == FAIL_BATCH:
                many = _fail(name, rows, Reason.CONSUMER_GONE)
                recovered.failed += many
                if monotonic() >= until:
                    recovered.more |= many == FAIL_BATCH
                    break
    return recovered


def _gone_for_good(names: Collection[str]) -> Iterator[str]:
    """Note which consumers are missing from the code, and which are back; yield those that will not come any more."""
    missing = {name for name in names if registry.get(name) is None}
    states = ConsumerState.objects.filter(gone_since__isnull=False)
    over = Q(gone_since__lt=Now() - conf().gone_after)
    gone = dict(states.annotate(for_good=over).values_list("consumer", "for_good"))
    if back := [name for name in gone.keys() & set(names) if name not in missing]:
        ConsumerState.objects.filter(consumer__in=back).update(gone_since=None)
    for name in sorted(missing - gone.keys()):
        ConsumerState.objects.update_or_create(consumer=name, defaults={"gone_since": Now()})
        log.warning("%s has unfinished messages but is not in the code; they fail after %s", name, conf().gone_after)
    yield from (name for name in sorted(missing) if gone.get(name))


def _fail(consumer: str, rows: MessageQuerySet, reason: Reason) -> int:
    """Fail the first of ``rows``, but none that somebody has locked; return how many."""
    failure = without_error(consumer, reason)
    with transaction.atomic(using=conf().database):
        locked = rows.order_by("due_at", "id").select_for_update(skip_locked=True, no_key=True)
        ids = list(locked.values_list("pk", flat=True)[:FAIL_BATCH])
        failed = Message.objects.filter(pk__in=ids).mark_failed(reason=reason, failure=failure.digest) if ids else 0
        publish_ends(consumer, ids)
    if failed:
        log.error("%d messages of %s failed: %s", failed, consumer, TITLES[reason])
        counting.count_failures({failure: failed})
    return failed
