"""The day as bars and as a table: every minute is in it once, and in the right place."""

from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from django.utils import timezone

from outbox.admin.operations import chart
from outbox.models import MinuteStat
from outbox.models.stats import COUNTED

NOW = datetime(2026, 5, 4, 12, 40, 30, tzinfo=UTC)
KOLKATA = timezone.get_fixed_timezone(timedelta(hours=5, minutes=30))


def minutes(*given: tuple[timedelta, int]) -> list[tuple[datetime, list[int]]]:
    start = NOW.replace(second=0)
    return sorted((start - back, [count, 0, 0, 0]) for back, count in given)


def test_each_minute_is_in_the_half_hour_of_the_clock_that_it_belongs_to() -> None:
    drawn = chart.build_chart(
        minutes((timedelta(0), 1), (timedelta(minutes=10), 2), (timedelta(minutes=11), 4), (timedelta(hours=20), 8)),
        now=NOW,
    )

    line = drawn.lines[0]
    assert len(line.counts) == 48
    assert {place: count for place, count in enumerate(line.counts) if count} == {47: 3, 46: 4, 7: 8}
    assert (line.total, line.most) == (15, 8)


def test_the_table_has_the_newest_hour_first_and_the_same_total() -> None:
    drawn = chart.build_chart(
        minutes((timedelta(minutes=41), 5), (timedelta(minutes=40), 7), (timedelta(hours=3), 9)), now=NOW
    )

    assert len(drawn.hours) == 24
    assert [hour.at.hour for hour in drawn.hours[:3]] == [12, 11, 10]
    assert [hour.counts[0] for hour in drawn.hours[:4]] == [7, 5, 0, 9]


def test_the_last_hour_is_the_last_sixty_minutes_and_not_the_clock_s() -> None:
    drawn = chart.build_chart(minutes((timedelta(minutes=59), 1), (timedelta(minutes=61), 2)), now=NOW)

    assert drawn.last_hour == {"successes": 1, "attempts": 0, "put_off": 0, "exhausted": 0}


def test_the_smallest_count_is_still_to_be_seen_and_nothing_is_not() -> None:
    drawn = chart.build_chart(minutes((timedelta(0), 1), (timedelta(hours=1), 100_000)), now=NOW)

    assert drawn.lines[0].path == "M450 40V0h8V40zM470 40V39h8V40z"
    assert drawn.lines[1].path == ""


def test_a_day_without_figures_is_an_empty_chart() -> None:
    drawn = chart.build_chart([], now=NOW)

    assert [line.total for line in drawn.lines] == [0, 0, 0, 0]
    assert set(drawn.last_hour.values()) == {0}


def test_a_clock_that_is_half_an_hour_off_makes_no_difference() -> None:
    given = minutes((timedelta(minutes=11), 4))

    here = chart.build_chart(given, now=NOW)
    there = chart.build_chart([(at.astimezone(KOLKATA), counts) for at, counts in given], now=NOW.astimezone(KOLKATA))

    assert (there.lines, there.hours, there.last_hour) == (here.lines, here.hours, here.last_hour)


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_the_day_is_read_as_if_every_minute_of_it_were(zone: str) -> None:
    now = timezone.now()
    this_minute = now.replace(second=0, microsecond=0)
    days = [
        MinuteStat(minute=this_minute - timedelta(minutes=back), consumer=consumer, successes=1 + back, lost=back % 7)
        for back in range(25 * 60)
        for consumer in ("a", "b")
    ]
    MinuteStat.objects.bulk_create(days)

    with mock.patch.object(timezone, "now", return_value=now), timezone.override(zone):
        read = chart.read_chart()

    whole = chart.build_chart([(stat.minute, [stat.successes, stat.lost, 0, 0]) for stat in days], now=now)
    assert (read.lines, read.hours, read.last_hour) == (whole.lines, whole.hours, whole.last_hour)


@pytest.mark.django_db
def test_every_counter_of_a_minute_is_in_exactly_one_line() -> None:
    at = datetime.now(UTC).replace(second=0, microsecond=0)
    values = {name: 10**place for place, name in enumerate(COUNTED)}
    for consumer in ("a", "b"):
        MinuteStat.objects.create(minute=at, consumer=consumer, **values)
    MinuteStat.objects.create(minute=at - timedelta(hours=25), consumer="a", **values)

    drawn = chart.read_chart()

    assert sum(line.total for line in drawn.lines) == 2 * sum(values.values())
    assert drawn.last_hour["successes"] == 2 * values["successes"]
