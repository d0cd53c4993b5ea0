"""Bringing back what will not move by itself: lost leases, passed deadlines, consumers gone from the code.

This goes on whatever the room in the queues, a pause or a breaker says.
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic

from django.db import connections, transaction
from django.db.models import Q
from django.db.models.functions import Now

from outbox import logs, registry
from outbox.conf import conf
from outbox.failures import counting
from outbox.failures.fingerprint import without_error
from outbox.failures.reasons import TITLES
from outbox.memory import Memory
from outbox.models import Attempt, AttemptOutcome, ConsumerState, Message, Status
from outbox.models.queryset import MessageQuerySet
from outbox.policy import Again, Counters, Done, Exhausted, Reason, WorkerLost, decide
from outbox.registry import Consumer

log = logging.getLogger("outbox.rescan")

FAIL_BATCH = 1000
"""Rows failed by one transaction at most."""
LOST_BATCH = 100
"""Rows taken back by one transaction at most; each takes some statements of its own."""
RESTARTED = "the database server was started again in the meantime"
DUTY = 20
"""A long backlog is searched at most a 20th of the time."""
SHORT = 0.05
"""Seconds up to which a search is no burden and is made in every pass."""


@dataclass
class Recovered:
    """How many rows were taken back from lost workers, how many failed for good, and whether there are more."""

    lost: int = 0
    failed: int = 0
    more: bool = False

    def __add__(self, other: "Recovered") -> "Recovered":
        return Recovered(self.lost + other.lost, self.failed + other.failed, self.more or other.more)


@dataclass
class _Rhythm:
    """When each consumer's rows are worth searching again, on this thread's monotonic clock."""

    again_at: dict[str, float] = field(default_factory=dict)


_rhythm = Memory(_Rhythm, per_thread=True)


def recover_all(names: Sequence[str]) -> Recovered:
    """Recover the rows of all these consumers, in any order, within one ``rescan_budget`` for all together."""
    until = monotonic() + conf().rescan_budget.total_seconds()
    return sum((recover_consumer(name, until=until) for name in random.sample(names, len(names))), Recovered())


def recover_consumer(name: str, *, until: float) -> Recovered:
    """Look through the due rows of consumer ``name`` and bring back, or fail, what would wait for ever.

    Goes on ``until`` a moment of the monotonic clock, at least one transaction of each kind; what is left is for the
    next pass. A search takes as long as the backlog is: a long one that found everything is repeated only after 20
    times what it took.
    """
    if monotonic() < _rhythm.value.again_at.get(name, 0.0):
        return Recovered()
    began = monotonic()
    consumer = registry.get(name)
    if consumer is not None:
        ConsumerState.objects.filter(consumer=name, gone_since__isnull=False).update(gone_since=None)
        recovered = _recover_lost(consumer, until)
    else:
        recovered = _fail_gone(name, until)
    recovered += _fail(name, Message.objects.filter(consumer=name, expires_at__lt=Now()), Reason.EXPIRED, until)
    took = monotonic() - began
    _rhythm.value.again_at[name] = monotonic() + (took * DUTY if took > SHORT and not recovered.more else 0.0)
    return recovered


def _recover_lost(consumer: Consumer, until: float) -> Recovered:
    recovered = Recovered(more=True)
    while recovered.more:
        with transaction.atomic(using=conf().database):
            over = Message.objects.filter(consumer=consumer.name).due().lease_over().defer("payload", "headers")
            rows = list(over.select_for_update(skip_locked=True, no_key=True)[:LOST_BATCH])
            recovered.more = len(rows) == LOST_BATCH
            server_since = _server_started_at() if rows else None
            for message in rows:
                with logs.at_work_on(message):
                    recovered += _take_back(consumer, message, server_since)
        if monotonic() >= until:
            break
    if recovered.failed:
        counting.count_failures({without_error(consumer.name, Reason.WORKER_LOST): recovered.failed})
    return recovered


def _server_started_at() -> datetime | None:
    """Return since when the database server runs; None where there is no server."""
    connection = connections[conf().database]
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_postmaster_start_time()")
        (since,) = cursor.fetchone()
    return datetime.fromisoformat(str(since))


def _take_back(consumer: Consumer, message: Message, server_since: datetime | None) -> Recovered:
    """Settle an attempt whose lease is over: pending again, or failed when no tries are left.

    All that is known is that nobody settled it in time, and whether the server was started again in between.
    """
    counters = Counters(message.attempts, message.attempt_limit, message.lost)
    restarted = bool(server_since and message.started_at and message.started_at < server_since)
    outcome, uniform = WorkerLost(with_database=restarted), random.random()  # noqa: S311  # jitter, no secret
    decision = decide(outcome, counters, consumer.retry, uniform=uniform)
    held = Message.objects.held([message.fence])
    # First the attempt, then what follows from it: people read them in this order.
    Attempt.objects.create(
        message=message,
        number=message.attempts,
        outcome=AttemptOutcome.LOST,
        started_at=message.started_at,
        worker=message.worker,
        error=RESTARTED if restarted else "",
    )
    match decision:
        case Again(wait, free, lost):
            held.mark_pending(wait=wait, free=free, lost=lost, error=None)
        case Exhausted(reason, lost):
            held.mark_failed(reason=reason, failure=without_error(consumer.name, reason).digest, lost=lost)
        case Done():
            raise AssertionError("a lost worker does not make a success")
    log.warning(
        "message %d of %s: the worker %s did not settle attempt %d in time: %s",
        message.pk,
        consumer.name,
        message.worker,
        message.attempts,
        RESTARTED if restarted else "the process, the database or the network was gone",
    )
    return Recovered(lost=1, failed=isinstance(decision, Exhausted))


def _fail_gone(name: str, until: float) -> Recovered:
    """Fail the rows of a consumer that has been missing for longer than a rolling deploy takes."""
    ConsumerState.objects.get_or_create(consumer=name)
    state = ConsumerState.objects.filter(consumer=name)
    if state.filter(gone_since__isnull=True).update(gone_since=Now()):
        log.warning("%s has unfinished messages but is not in the code; they fail after %s", name, conf().gone_after)
    if not state.filter(gone_since__lt=Now() - conf().gone_after).exists():
        return Recovered()
    return _fail(name, Message.objects.filter(consumer=name), Reason.CONSUMER_GONE, until)


def _fail(consumer: str, rows: MessageQuerySet, reason: Reason, until: float) -> Recovered:
    """Fail those of ``rows`` that are due and that no worker holds, until time is up."""
    failure = without_error(consumer, reason)
    recovered = Recovered(more=True)
    while recovered.more:
        with transaction.atomic(using=conf().database):
            idle = rows.due().filter(Q(status=Status.PENDING) | Q(lease_until__lt=Now()))
            locked = idle.select_for_update(skip_locked=True, no_key=True)
            ids = list(locked.values_list("pk", flat=True)[:FAIL_BATCH])
            recovered.more = len(ids) == FAIL_BATCH
            if ids:
                recovered.failed += Message.objects.filter(pk__in=ids).mark_failed(
                    reason=reason, failure=failure.digest
                )
                log.error("%d messages of %s failed: %s", len(ids), consumer, TITLES[reason])
        if monotonic() >= until:
            break
    if recovered.failed:
        counting.count_failures({failure: recovered.failed})
    return recovered
