"""Counting what was won, by prize and day."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from django.utils import timezone

from awards.models import Award, DailyStatistic


def count_wins(awards: Iterable[Award]) -> None:
    """Add ``awards`` to the statistics: one statement for each prize and day among them.

    Call it inside a transaction. The rows are taken in one order, so that two who count never deadlock.
    """
    values: dict[tuple[int, date], list[Decimal]] = defaultdict(list)
    for award in awards:
        values[award.prize_id, day_of(award)].append(award.value)
    for (prize_id, day), won in sorted(values.items()):
        DailyStatistic.objects.add(prize_id, day, won=len(won), value=sum(won))


def count_revoked(award: Award, times: int = 1) -> None:
    """Count that ``award`` was taken back, on the day it had been won; -1 if that is undone.

    Call it inside a transaction.
    """
    DailyStatistic.objects.add(award.prize_id, day_of(award), revoked=times)


def day_of(award: Award) -> date:
    """Return the day on which ``award`` was won, in the site's time zone."""
    return timezone.localdate(award.won_at, timezone.get_default_timezone())
