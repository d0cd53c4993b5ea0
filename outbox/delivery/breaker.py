"""The breaker: when what a consumer needs is down, ask it with one row at a time instead of with all.

Opens when three different rows in a row say ``Unavailable``, or when one says for how long (``after=``). Then one
canary, the oldest due row, is sent per probe, after 5 s (or what was said) at first and every 30 s at the most; any
other outcome of the canary closes the breaker. What is noted here is shared by all workers, so it is never written
inside a handling transaction.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import monotonic

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery.execution import Report
from outbox.memory import Memory
from outbox.models import Attempt, AttemptOutcome, ConsumerState, Message, Status
from outbox.models.state import Breaker
from outbox.policy import LONGEST_PROBE, FoundUnavailable, GivenBack, Interrupted

log = logging.getLogger("outbox.breaker")

ROWS_TO_OPEN = 3
TRUSTED_SECONDS = 1.0
"""Seconds for which a process believes what it last read about troubled consumers."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """The breaker of one consumer as a value: the rows that said unavailable in a row, and the canary under way."""

    open: bool = False
    unavailable: tuple[int, ...] = ()
    canary: int | None = None
    probe_after: timedelta = timedelta(0)

    def after(self, row: int, *, down: bool, first_probe: timedelta, told: timedelta | None = None) -> "Circuit":
        """Return what the breaker is once the message with the id ``row`` has ended.

        ``down`` is whether its handler said ``Unavailable``. ``first_probe`` is the wait before the first canary; each
        canary that is down doubles it. Other rows that were under way when it opened change nothing. A wait that the
        other side itself has ``told`` opens it at once, and nobody asks before that time.
        """
        if told is not None:
            return Circuit(open=True, unavailable=(*self.unavailable, row)[-ROWS_TO_OPEN:], probe_after=told)
        if self.open:
            if row != self.canary:
                return self
            if not down:
                return Circuit()
            return replace(self, canary=None, probe_after=min(self.probe_after * 2, LONGEST_PROBE))
        if not down:
            return replace(self, unavailable=())
        if row in self.unavailable:
            return self
        rows = (*self.unavailable, row)
        if len(rows) < ROWS_TO_OPEN:
            return replace(self, unavailable=rows)
        return Circuit(open=True, unavailable=rows, probe_after=first_probe)


@dataclass
class _Seen:
    """Which consumers were in trouble when this thread last looked, and when that was."""

    consumers: frozenset[str] = field(default_factory=frozenset)
    at: float = float("-inf")


last_seen = Memory(_Seen, per_thread=True)


def record_outcomes(consumer: Consumer, reports: Sequence[Report]) -> None:
    """Tell the breaker of ``consumer`` how its rows ended, in order. Costs nothing while nobody is in trouble."""
    ended = [report for report in reports if not isinstance(report.outcome, GivenBack | Interrupted)]
    trouble = any(isinstance(report.outcome, FoundUnavailable) for report in ended)
    if not ended or (not trouble and consumer.name not in _unavailable_consumers()):
        return
    with transaction.atomic(using=conf().database):
        ConsumerState.objects.get_or_create(consumer=consumer.name)
        state = ConsumerState.objects.select_for_update().get(consumer=consumer.name)
        before = circuit = _circuit_of(state)
        for report in ended:
            down = isinstance(report.outcome, FoundUnavailable)
            told = _told(report)
            after = circuit.after(report.message.pk, down=down, first_probe=conf().probe_after, told=told)
            if after.open and not circuit.open and told is None:
                after = _opened_if_in_a_row(consumer, after, closed=circuit)
            circuit = after
        if circuit != before:
            _save_circuit(state, circuit)
    last_seen.value.at = float("-inf")
    if circuit.open != before.open:
        log.warning("the breaker of %s is %s", consumer.name, "open" if circuit.open else "closed again")


def _told(report: Report) -> timedelta | None:
    """Return how long the other side has said to wait, a second at least; None if it has not."""
    match report.outcome:
        case FoundUnavailable(after, told=True):
            return max(after, timedelta(seconds=1))
    return None


def _opened_if_in_a_row(consumer: Consumer, opened: Circuit, *, closed: Circuit) -> Circuit:
    """Return ``opened``, or what is left of the row if the table has another end in between.

    Other workers do not write down here that their rows ended well while nobody seemed to be in trouble.
    """
    said = Attempt.objects.filter(message_id__in=opened.unavailable, outcome=AttemptOutcome.UNAVAILABLE)
    ends = dict(said.values_list("message_id").annotate(Max("ended_at")))
    if not ends:
        return opened
    broken_at = _last_other_end(consumer, since=min(ends.values()))
    if broken_at is None:
        return opened
    return replace(
        closed, unavailable=tuple(row for row in opened.unavailable if row in ends and ends[row] > broken_at)
    )


def _last_other_end(consumer: Consumer, *, since: datetime) -> datetime | None:
    """Return when a row of the consumer last ended otherwise than unavailable, if that was later than ``since``."""
    done = Message.objects.filter(
        consumer=consumer.name, status=Status.SUCCESS, resolution="", finished_at__gt=since, exhausted_at__isnull=True
    )
    others = Attempt.objects.filter(message__consumer=consumer.name, ended_at__gt=since)
    others = others.exclude(outcome__in=[AttemptOutcome.UNAVAILABLE, AttemptOutcome.LOST, AttemptOutcome.LATE])
    ends = [done.aggregate(last=Max("finished_at"))["last"], others.aggregate(last=Max("ended_at"))["last"]]
    return max((end for end in ends if end is not None), default=None)


def _unavailable_consumers() -> frozenset[str]:
    seen = last_seen.value
    if monotonic() - seen.at > TRUSTED_SECONDS:
        seen.consumers = frozenset(ConsumerState.objects.seen_unavailable().values_list("consumer", flat=True))
        seen.at = monotonic()
    return seen.consumers


def _circuit_of(state: ConsumerState) -> Circuit:
    return Circuit(
        open=state.breaker == Breaker.OPEN,
        unavailable=tuple(state.unavailable),
        canary=state.canary,
        probe_after=timedelta(seconds=state.probe_seconds),
    )


def _save_circuit(state: ConsumerState, circuit: Circuit) -> None:
    ConsumerState.objects.filter(pk=state.pk).update(
        breaker=Breaker.OPEN if circuit.open else Breaker.CLOSED,
        unavailable=list(circuit.unavailable),
        canary=circuit.canary,
        probe_seconds=round(circuit.probe_after.total_seconds()),
        probe_at=Now() + circuit.probe_after if circuit.open else None,
    )


def take_turn(consumer: Consumer, row: int) -> bool:
    """Make ``row`` the canary if it is time for a probe; a lost canary is followed by another after lease + 10 s."""
    wait = consumer.lease + conf().resend_after
    due = ConsumerState.objects.filter(consumer=consumer.name, breaker=Breaker.OPEN, probe_at__lte=Now())
    return bool(due.update(canary=row, probe_at=Now() + wait))
