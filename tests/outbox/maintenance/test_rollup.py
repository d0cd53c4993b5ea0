"""Counting minutes: everything once, whatever the order of commits, passes, prunings and pauses."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from outbox.maintenance import rollup
from outbox.models import AttemptOutcome, Heartbeat, Message, MinuteStat, Status, TotalStat
from outbox.models.stats import BOUNDS, COUNTED
from tests.harness.clock import HOUR, MINUTE, SECOND, database_time
from tests.harness.rows import BOOK, TAKE, attempt, sales

pytestmark = pytest.mark.django_db


def minute_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def counted(model: Any = MinuteStat) -> dict[Any, dict[str, int]]:
    """Read the counters that are not zero, by minute and consumer, or by consumer for the totals."""
    keys = ("minute", "consumer") if model is MinuteStat else ("consumer",)
    return {
        tuple(getattr(stat, key) for key in keys): {name: n for name in COUNTED if (n := getattr(stat, name))}
        for stat in model.objects.all()
    }


def buckets(stat: Any) -> dict[float, int]:
    """Read the latency buckets that are not empty, by their upper bound."""
    bounds = [*BOUNDS, float("inf")]
    return {bound: many for bound, many in zip(bounds, stat.latency_counts, strict=True) if many}


def test_a_success_is_counted_in_the_minute_in_which_it_finished():
    then = minute_of(database_time()) - 30 * MINUTE
    sales.success(at=then + 59 * SECOND)
    sales.success(at=then + 60 * SECOND)
    sales.success(at=then + 61 * SECOND, consumer=TAKE)

    rollup.roll_up()

    assert counted() == {
        (then, BOOK): {"successes": 1},
        (then + MINUTE, BOOK): {"successes": 1},
        (then + MINUTE, TAKE): {"successes": 1},
    }
    assert counted(TotalStat) == {(BOOK,): {"successes": 2}, (TAKE,): {"successes": 1}}


def test_attempts_are_counted_by_how_they_ended_and_messages_when_they_are_exhausted():
    then = minute_of(database_time()) - 5 * MINUTE
    waiting = sales.pending()
    for many, outcome in enumerate(AttemptOutcome.values, start=1):
        for _ in range(many):
            attempt(waiting, outcome=outcome, at=then)
    sales.failed(at=then)

    rollup.roll_up()

    counters = {"failed": 1, "rejected": 2, "snoozed": 3, "unavailable": 4, "lost": 5, "late": 6, "exhausted": 1}
    assert counted() == {(then, BOOK): counters}


def test_the_time_to_success_is_kept_as_a_histogram_with_sum_and_maximum():
    then = minute_of(database_time()) - 5 * MINUTE
    for took in (0.004, 0.005, 0.02, 0.02, 4000):
        sales.success(at=then, took=timedelta(seconds=took))

    rollup.roll_up()

    stat = MinuteStat.objects.get()
    assert buckets(stat) == {0.005: 2, 0.025: 2, float("inf"): 1}
    assert stat.latency_max == pytest.approx(4000)
    assert stat.latency_sum == pytest.approx(4000.049)


def test_a_delay_is_no_latency_but_the_waits_between_attempts_are():
    then = minute_of(database_time()) - 5 * MINUTE
    sales.success(at=then, took=HOUR, not_before=then - 2 * SECOND)
    sales.success(at=then, took=20 * SECOND, not_before=then - SECOND, attempts=2)

    rollup.roll_up()

    assert buckets(MinuteStat.objects.get()) == {2.5: 1, 30.0: 1}


def test_what_a_person_closed_is_no_success_of_the_machine():
    sales.handled(at=minute_of(database_time()) - 5 * MINUTE)

    rollup.roll_up()

    assert counted() == {}


def test_counting_again_counts_nothing_twice():
    then = minute_of(database_time()) - MINUTE
    sales.success(at=then)
    attempt(sales.failed(at=then), outcome="failed", at=then)

    for _ in range(3):
        rollup.roll_up()

    assert counted(TotalStat) == {(BOOK,): {"successes": 1, "failed": 1, "exhausted": 1}}
    assert buckets(TotalStat.objects.get()) == {1.0: 1}
    assert TotalStat.objects.get().latency_sum == pytest.approx(1)


def test_a_row_committed_after_its_minute_was_counted_is_added():
    then = minute_of(database_time()) - 2 * MINUTE
    sales.success(at=then)
    rollup.roll_up()

    sales.success(at=then)
    rollup.roll_up()

    assert counted() == {(then, BOOK): {"successes": 2}}
    assert counted(TotalStat) == {(BOOK,): {"successes": 2}}
    assert buckets(TotalStat.objects.get()) == {1.0: 2}


def test_what_was_pruned_or_retried_meanwhile_has_happened_all_the_same():
    then = minute_of(database_time()) - MINUTE
    pruned, retried = sales.success(at=then), sales.failed(at=then)
    sales.success(at=then)
    rollup.roll_up()

    pruned.delete()
    Message.objects.filter(pk=retried.pk).update(
        status=Status.PENDING, attempt_limit=16, finished_at=None, exhausted_at=None, reason=""
    )
    rollup.roll_up()

    assert counted() == {(then, BOOK): {"successes": 2, "exhausted": 1}}
    assert counted(TotalStat) == {(BOOK,): {"successes": 2, "exhausted": 1}}
    assert buckets(MinuteStat.objects.get()) == {1.0: 2}


def test_after_a_pause_it_goes_on_where_it_stopped_in_bounded_steps():
    now = minute_of(database_time())
    for back in (60, 40, 1):
        sales.success(at=now - back * MINUTE)

    passes = [rollup.roll_up(budget=timedelta(0)) for _ in range(21)]

    assert [done.minutes for done in passes] == [1] * 21
    assert passes[0].behind >= 59 * MINUTE
    assert counted(TotalStat) == {(BOOK,): {"successes": 2}}
    assert rollup.roll_up().behind == timedelta(0)
    assert counted(TotalStat) == {(BOOK,): {"successes": 3}}


def test_a_pass_without_a_backlog_looks_at_the_last_few_minutes_only():
    sales.success(at=minute_of(database_time()) - HOUR)
    rollup.roll_up(budget=HOUR)

    assert rollup.roll_up(budget=HOUR).minutes in (4, 5)


def test_a_clock_that_was_set_back_stops_nothing():
    Heartbeat.objects.record("rollup", next=(database_time() + 3 * HOUR).isoformat())
    sales.success(at=minute_of(database_time()) - MINUTE)

    rollup.roll_up()

    assert counted(TotalStat) == {(BOOK,): {"successes": 1}}


def test_minutes_are_forgotten_after_a_time_and_totals_are_not(configure):
    sales.success(at=minute_of(database_time()) - 5 * MINUTE)
    rollup.roll_up()
    MinuteStat.objects.update(minute=Now() - timedelta(days=91))

    rollup.roll_up()

    assert counted() == {}
    assert counted(TotalStat) == {(BOOK,): {"successes": 1}}


def test_pages_read_sums_per_consumer():
    then = minute_of(database_time()) - 5 * MINUTE
    sales.success(at=then, took=2 * SECOND)
    sales.success(at=then, consumer=TAKE, took=3 * SECOND)
    sales.success(at=then + MINUTE, consumer=TAKE)
    rollup.roll_up()

    per_consumer = MinuteStat.objects.within(HOUR).per_consumer()

    assert [(row["consumer"], row["successes"], row["seconds"], row["slowest"]) for row in per_consumer] == [
        (BOOK, 1, pytest.approx(2), pytest.approx(2)),
        (TAKE, 2, pytest.approx(4), pytest.approx(3)),
    ]
    assert MinuteStat.objects.within(SECOND).per_consumer() == []


@pytest.mark.services
def test_a_minute_is_counted_through_indexes_whatever_the_size_of_the_tables():
    plans: list[str] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT") and ("outbox_message" in sql or "outbox_attempt" in sql):
            with context["connection"].connection.cursor() as cursor:
                cursor.execute("SET LOCAL enable_seqscan = off")
                cursor.execute(f"EXPLAIN {sql}", params)
                plans.append("\n".join(line for (line,) in cursor.fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        rollup._count_minute(minute_of(database_time()))

    used = {index for plan in plans for index in re.findall(r"(?:using|on) (outbox_(?:message|attempt)_\w+)", plan)}
    # While nothing is exhausted, each of the indexes of what is exhausted costs the same, and any may be taken.
    stuck = {"outbox_message_stuck_at", "outbox_message_stuck", "outbox_message_stuck_of", "outbox_message_groups"}
    assert len(plans) == 3
    assert {"outbox_message_prune", "outbox_attempt_ended"} <= used
    assert len(used & stuck) == 1
    assert not [plan for plan in plans if "Seq Scan" in plan]
