"""Counting each minute once, so that charts and scrapes never touch the message table.

Commit order is not clock order: a row may show up seconds after the minute its ``finished_at`` names. So every pass
counts the last few minutes again, through indexes that hold a minute together. What has happened never un-happens, it
is only pruned, retried or reopened later; so a second count may add to a minute and never takes away, and passes may
overlap, be doubled or be repeated without counting anything twice.

Celery-beat calls ``roll_up`` every minute. After a pause it goes on where it stopped, as far as its time allows.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from django.db import transaction
from django.db.models import Case, Count, DurationField, ExpressionWrapper, F, IntegerField, Max, Sum, Value, When
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.models import Attempt, Heartbeat, Message, MinuteStat, Resolution, Status, TotalStat
from outbox.models.stats import BOUNDS, COUNTED, MINUTE, Counts, add_latencies, no_latencies
from outbox.monitoring.planned import must_take_over

log = logging.getLogger("outbox.rollup")

ROLLUP_HEARTBEAT = "rollup"
TAKEOVER = "rollup by a worker"
OVERDUE = timedelta(minutes=3)
"""Age of the last count at which workers count themselves."""
COVER_BUDGET = timedelta(seconds=2)
"""How long a worker counts at once; it has other work to do."""
RECOUNTED = timedelta(minutes=3)
"""How far back a pass counts again. A row is committed milliseconds after its ``finished_at``, at worst after what a
handler does inside ``message.settling()``."""
FORGOTTEN_AT_ONCE = 5_000
"""Minutes deleted by one pass at most that are older than ``KEEP_STATS``."""


@dataclass(frozen=True, slots=True)
class RolledUp:
    """How many minutes a pass has counted, and how far the figures are behind the clock now."""

    minutes: int
    behind: timedelta


@dataclass(slots=True)
class MinuteCounts:
    """What one minute of one consumer came to, under the names of the columns."""

    successes: int = 0
    failed: int = 0
    rejected: int = 0
    snoozed: int = 0
    unavailable: int = 0
    lost: int = 0
    late: int = 0
    exhausted: int = 0
    latency_sum: float = 0.0
    latency_max: float = 0.0
    latency_counts: list[int] = field(default_factory=no_latencies)

    def grown_to(self, seen: "MinuteCounts") -> "MinuteCounts":
        """Return the later count of the same minute; what is not seen any more has happened all the same."""
        counts = {name: max(getattr(self, name), getattr(seen, name)) for name in COUNTED}
        timed = seen if seen.successes >= self.successes else self
        return MinuteCounts(
            **counts,
            latency_sum=timed.latency_sum,
            latency_max=timed.latency_max,
            latency_counts=timed.latency_counts,
        )

    def plus(self, after: "MinuteCounts", before: "MinuteCounts") -> "MinuteCounts":
        """Return a total to which the growth of one minute from ``before`` to ``after`` is added."""
        counts = {name: getattr(self, name) + getattr(after, name) - getattr(before, name) for name in COUNTED}
        taken = [-count for count in before.latency_counts]
        return MinuteCounts(
            **counts,
            latency_sum=self.latency_sum + after.latency_sum - before.latency_sum,
            latency_max=max(self.latency_max, after.latency_max),
            latency_counts=add_latencies(self.latency_counts, after.latency_counts, taken),
        )


COLUMNS = tuple(MinuteCounts.__dataclass_fields__)


def roll_up(*, budget: timedelta = timedelta(seconds=10)) -> RolledUp:
    """Count the minutes since the last pass and the last few again, oldest first, for about ``budget``."""
    until = monotonic() + budget.total_seconds()
    now, minute = _where_to_begin()
    counted = 0
    behind = timedelta(0)
    while minute <= now and (not counted or monotonic() < until):
        seen = _count_minute(minute)
        minute += MINUTE
        counted += 1
        behind = max(now + MINUTE - minute, timedelta(0))
        with transaction.atomic(using=conf().database):
            # One writer at a time: a total is read and written back.
            Heartbeat.objects.select_for_update(no_key=True).get(name=ROLLUP_HEARTBEAT)
            _write(minute - MINUTE, seen)
            Heartbeat.objects.record(ROLLUP_HEARTBEAT, next=minute.isoformat(), behind=behind.total_seconds())
    _prune_minutes()
    return RolledUp(counted, behind)


def roll_up_if_overdue() -> bool:
    """Count if nobody has for three minutes; tell whether it was us. How workers cover for a dead beat."""
    if not must_take_over(ROLLUP_HEARTBEAT, after=OVERDUE, turn=TAKEOVER):
        return False
    roll_up(budget=COVER_BUDGET)
    return True


def _where_to_begin() -> tuple[datetime, datetime]:
    """Return the minute that the database's clock is in, and the first minute that must be counted."""
    Heartbeat.objects.get_or_create(name=ROLLUP_HEARTBEAT)
    now, data = Heartbeat.objects.filter(name=ROLLUP_HEARTBEAT).annotate(now=Now()).values_list("now", "data").get()
    now = _minute_of(now)
    if "next" in data:
        # The last minutes are always counted again, and so they are when the clock was set back.
        return now, min(datetime.fromisoformat(data["next"]), now - RECOUNTED)
    firsts = (
        Message.objects.prunable(older_than=timedelta(0)).values_list("finished_at", flat=True).first(),
        Message.objects.exhausted().order_by("exhausted_at").values_list("exhausted_at", flat=True).first(),
        Attempt.objects.order_by("ended_at").values_list("ended_at", flat=True).first(),
    )
    first = min((at for at in firsts if at is not None), default=now)
    return now, max(min(_minute_of(first), now - RECOUNTED), now - conf().keep_stats)


def _minute_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def _count_minute(minute: datetime) -> Mapping[str, MinuteCounts]:
    """Count what ended in the minute that begins at ``minute``, by consumer: three scans, each of one index range."""
    tallies: dict[str, MinuteCounts] = defaultdict(MinuteCounts)
    for consumer, bucket, many, total, longest in _successes(minute):
        tally = tallies[consumer]
        tally.successes += many
        tally.latency_sum += total.total_seconds()
        tally.latency_max = max(tally.latency_max, longest.total_seconds())
        tally.latency_counts[bucket] += many
    attempts = Attempt.objects.filter(ended_at__gte=minute, ended_at__lt=minute + MINUTE)
    for consumer, outcome, many in attempts.values_list("message__consumer", "outcome").annotate(many=Count("id")):
        setattr(tallies[consumer], outcome, many)
    exhausted = Message.objects.exhausted().filter(exhausted_at__gte=minute, exhausted_at__lt=minute + MINUTE)
    for consumer, many in exhausted.values_list("consumer").annotate(many=Count("id")):
        tallies[consumer].exhausted = many
    return tallies


def _successes(minute: datetime) -> Any:
    """Return consumer, latency bucket, how many, their seconds summed and the longest; what people closed is left out.

    Latency is from commit to success, in good approximation: from the statement that wrote the row, or where the first
    attempt did it, from the end of its ``delay``.
    """
    written = Case(When(attempts=1, then=F("not_before")), default=F("created_at"))
    latency = ExpressionWrapper(F("finished_at") - written, output_field=DurationField())
    steps = [When(latency__lte=timedelta(seconds=bound), then=Value(step)) for step, bound in enumerate(BOUNDS)]
    settled = Message.objects.filter(
        finished_at__gte=minute,
        finished_at__lt=minute + MINUTE,
        exhausted_at__isnull=True,
        status=Status.SUCCESS,
        resolution=Resolution.NONE,
    )
    bucketed = settled.annotate(latency=latency).annotate(
        bucket=Case(*steps, default=Value(len(BOUNDS)), output_field=IntegerField())
    )
    grouped = bucketed.values_list("consumer", "bucket")
    return grouped.annotate(many=Count("id"), total=Sum("latency"), longest=Max("latency")).order_by()


def _write(minute: datetime, seen: Mapping[str, MinuteCounts]) -> None:
    """Write the minute as far as it has grown, and add the growth to the totals; the caller holds the lock."""
    if not seen:
        return
    known = {stat.consumer: _counts_of(stat) for stat in MinuteStat.objects.filter(minute=minute, consumer__in=seen)}
    totals = {stat.consumer: _counts_of(stat) for stat in TotalStat.objects.filter(consumer__in=seen)}
    grown = {name: known.get(name, MinuteCounts()).grown_to(tally) for name, tally in seen.items()}
    changed = {name: tally for name, tally in grown.items() if tally != known.get(name)}
    MinuteStat.objects.bulk_create(
        [MinuteStat(minute=minute, consumer=name, **asdict(tally)) for name, tally in changed.items()],
        update_conflicts=True,
        unique_fields=["minute", "consumer"],
        update_fields=COLUMNS,
    )
    TotalStat.objects.bulk_create(
        [
            TotalStat(
                consumer=name,
                **asdict(totals.get(name, MinuteCounts()).plus(tally, known.get(name, MinuteCounts()))),
            )
            for name, tally in changed.items()
        ],
        update_conflicts=True,
        unique_fields=["consumer"],
        update_fields=COLUMNS,
    )


def _counts_of(stat: Counts) -> MinuteCounts:
    return MinuteCounts(**{name: getattr(stat, name) for name in COLUMNS})


def _prune_minutes() -> None:
    """Delete minutes older than ``KEEP_STATS``; the totals stay."""
    old = MinuteStat.objects.filter(minute__lt=Now() - conf().keep_stats).order_by("minute")
    ids = list(old.values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    if ids:
        MinuteStat.objects.filter(pk__in=ids).delete()
        log.info("forgot the figures of %d minutes", len(ids))
