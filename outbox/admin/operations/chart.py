"""The last 24 hours as bars and as a table, from the figures per minute; the message table has no part in it.

Each outcome has a scale of its own: beside ten thousand successes five failures would be nothing to see.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Case, DateTimeField, F, Func, Sum, When
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from outbox.admin.bars import outline
from outbox.admin.tones import Tone
from outbox.models import MinuteStat
from outbox.models.stats import MINUTE

DAY, HOUR = timedelta(hours=24), timedelta(hours=1)
STEP = timedelta(minutes=30)
BARS = DAY // STEP
WIDTH, HEIGHT, GAP = 10, 40, 2
"""Of a bar's place, of the chart and between two bars, in the chart's own units."""

CHART_OUTCOMES: Mapping[str, tuple[Tone, Promise, tuple[str, ...]]] = {
    "successes": (Tone.GOOD, _("Succeeded"), ("successes",)),
    "attempts": (Tone.BAD, _("Failed attempts"), ("failed", "rejected", "lost", "late")),
    "put_off": (Tone.WAIT, _("Put off: not ready, or unavailable"), ("snoozed", "unavailable")),
    "exhausted": (Tone.BAD, _("Given up: waiting for a person"), ("exhausted",)),
}
"""Tone, name, and the counters that make each line of the chart."""


@dataclass(frozen=True, slots=True)
class Line:
    """One outcome: its half hours, their total, the most in one of them, and the bars as an outline to be filled."""

    tone: Tone
    label: Promise
    counts: Sequence[int]

    @property
    def total(self) -> int:
        """How many in the whole day."""
        return sum(self.counts)

    @property
    def most(self) -> int:
        """How many in the half hour that had the most."""
        return max(self.counts)

    @property
    def path(self) -> str:
        """The outline of the bars, as an SVG path; a count above zero always has some height."""
        return outline(self.counts, width=WIDTH, height=HEIGHT, gap=GAP)


@dataclass(frozen=True, slots=True)
class Hour:
    """One row of the table: an hour and the count of each outcome."""

    at: datetime
    counts: Sequence[int]


@dataclass(frozen=True, slots=True)
class Chart:
    """A day in lines, in a table with the newest hour first, and the last 60 minutes by outcome."""

    lines: Sequence[Line]
    hours: Sequence[Hour]
    last_hour: Mapping[str, int]
    width: int = WIDTH * BARS
    height: int = HEIGHT


CountRow = Sequence[int]
Minutes = Sequence[tuple[datetime, CountRow]]
NOTHING: CountRow = [0] * len(CHART_OUTCOMES)


class HalfHour(Func):
    """The beginning of the half hour that a moment is in."""

    arity = 1
    output_field = DateTimeField()
    template = "DATE_BIN('30 minutes', %(expressions)s, 'epoch')"

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_context: Any) -> Any:
        """Return the same for SQLite."""
        template = "DATETIME(STRFTIME('%%%%s', %(expressions)s) / 1800 * 1800, 'unixepoch')"
        return self.as_sql(compiler, connection, template=template)


def read_chart() -> Chart:
    """Read the day up to now: the last hour by the minute, what was before by the half hour."""
    now = timezone.now()
    sums = {
        slug: Sum(sum((F(name) for name in names[1:]), F(names[0]))) for slug, (_t, _l, names) in CHART_OUTCOMES.items()
    }
    at = Case(When(minute__gt=now - HOUR, then=F("minute")), default=HalfHour("minute"))
    steps = MinuteStat.objects.within(DAY).values(at=at).annotate(**sums).order_by("at").values_list("at", *sums)
    return build_chart([(at, counts) for at, *counts in steps], now=now)


def build_chart(minutes: Minutes, *, now: datetime) -> Chart:
    """Return the day before ``now`` as it is shown; steps are the clock's own."""
    by_half_hour = _summed(minutes, STEP)
    half_hours = [by_half_hour.get(at, NOTHING) for at in _steps(now, STEP)]
    by_hour = _summed(list(by_half_hour.items()), HOUR)
    hours = [Hour(at, by_hour.get(at, NOTHING)) for at in reversed(_steps(now, HOUR))]
    recent = [counts for at, counts in minutes if at > now - HOUR]
    return Chart(
        [
            Line(tone, label, [counts[number] for counts in half_hours])
            for number, (tone, label, _names) in enumerate(CHART_OUTCOMES.values())
        ],
        hours,
        dict(zip(CHART_OUTCOMES, _added(recent), strict=True)),
    )


def _summed(counted: Minutes, step: timedelta) -> dict[datetime, CountRow]:
    grouped: dict[datetime, list[CountRow]] = {}
    for at, counts in counted:
        grouped.setdefault(_floor(at, step), []).append(counts)
    return {at: _added(rows) for at, rows in grouped.items()}


def _added(rows: Sequence[CountRow]) -> CountRow:
    return [sum(column) for column in zip(*rows, strict=True)] if rows else NOTHING


def _steps(now: datetime, step: timedelta) -> list[datetime]:
    """Return where each step of the day begins; the last one is the one that ``now`` is in."""
    last = _floor(now, step)
    return [last - step * back for back in reversed(range(DAY // step))]


def _floor(at: datetime, step: timedelta) -> datetime:
    utc = at.astimezone(UTC)
    minute = utc.minute - utc.minute % (step // MINUTE) if step < HOUR else 0
    return utc.replace(minute=minute, second=0, microsecond=0)
