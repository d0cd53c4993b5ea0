"""Measuring: what waits, how long, what holds it back; always at the same small price."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from outbox.models import Status
from outbox.monitoring import causes
from outbox.monitoring import health as health_module
from outbox.monitoring.findings import Level
from outbox.monitoring.health import health, measure, unready
from outbox.monitoring.measurements import ConsumerMeasurements
from tests.harness.clock import HOUR, MINUTE, SECOND, database_time
from tests.harness.rows import BOOK, TAKE, all_is_well, rescanned, sales, set_consumer

pytestmark = pytest.mark.django_db

STARTED = {"status": Status.STARTED, "attempts": 1}


def figures_of(name: str = BOOK) -> ConsumerMeasurements:
    """Measure one consumer."""
    (found,) = [consumer for consumer in measure().consumers if consumer.name == name]
    return found


def whole_seconds(consumer: ConsumerMeasurements) -> ConsumerMeasurements:
    """Round the spans, for what a test took itself is not the point."""
    spans = ("oldest", "paused_for", "resumes_in", "probe_in", "gone_for")
    rounded: dict[str, Any] = {
        name: timedelta(seconds=round(span.total_seconds())) for name in spans if (span := getattr(consumer, name))
    }
    return replace(consumer, **rounded)


def test_a_fresh_installation_is_critical_until_the_rescan_has_run_and_then_in_order():
    before = health().level
    all_is_well()

    assert (before, health().level) == (Level.CRITICAL, Level.OK)


def test_a_rescan_that_stopped_turns_everything_critical_although_nothing_waits():
    all_is_well()
    rescanned(16 * SECOND)

    assert health().level is Level.CRITICAL


def test_the_last_rescan_tells_for_which_consumers_it_failed():
    rescanned(failing={BOOK: "OperationalError: lock timeout"})

    assert measure().failing == {BOOK: "OperationalError: lock timeout"}


def test_the_last_rescan_tells_whether_the_broker_answered():
    rescanned(broker_away=True)

    assert measure().broker_away


def test_a_consumer_is_measured_by_what_is_not_settled():
    now = database_time()
    sales.pending(at=now - 3 * MINUTE)
    sales.pending(**STARTED, started_at=now, lease_until=now)
    sales.success(at=now)
    sales.failed(at=now)
    sales.failed(at=now - HOUR)
    sales.handled(at=now)
    sales.pending(consumer=TAKE)

    assert whole_seconds(figures_of()) == ConsumerMeasurements(
        name=BOOK, pending=1, started=1, oldest=3 * MINUTE, exhausted=2, new_exhausted=1
    )
    assert measure().exhausted == 2


def test_a_consumer_with_nothing_to_do_is_there_all_the_same():
    assert figures_of() == ConsumerMeasurements(name=BOOK)


def test_counting_and_looking_stop_at_the_cap_where_what_is_due_first_is(monkeypatch):
    monkeypatch.setattr(health_module, "CAP", 3)
    now = database_time()
    sales.pending(at=now - 5 * HOUR, due_at=now + HOUR, attempts=2)
    for back in (3, 2, 1):
        sales.pending(at=now - back * MINUTE)
    for _ in range(4):
        sales.failed(at=now)

    assert whole_seconds(figures_of()) == ConsumerMeasurements(
        name=BOOK, pending=3, oldest=3 * MINUTE, exhausted=3, new_exhausted=3
    )
    assert measure().exhausted == 3


@pytest.mark.parametrize(
    ("changes", "age"),
    [
        ({}, 2 * HOUR),
        ({"not_before": HOUR}, timedelta(0)),
        ({"not_before": -HOUR}, HOUR),
        ({"not_before": HOUR, "attempts": 3}, 2 * HOUR),
        ({"retried_at": -MINUTE, "attempts": 8, "attempt_limit": 16}, MINUTE),
        ({"retried_at": -HOUR, "not_before": HOUR, "attempts": 9, "attempt_limit": 16}, HOUR),
    ],
    ids=[
        "not started",
        "delayed",
        "was delayed",
        "waits for its next attempt",
        "retried by hand",
        "failed again since it was retried",
    ],
)
def test_a_message_is_as_old_as_it_is_overdue(changes, age):
    now = database_time()
    given = {name: now + value if isinstance(value, timedelta) else value for name, value in changes.items()}
    sales.pending(at=now - 2 * HOUR, **given)

    assert whole_seconds(figures_of()).oldest == age


def test_a_pause_is_measured_with_who_and_why_until_it_ends():
    why = "the vendor moves"
    set_consumer(
        BOOK,
        paused_at=Now() - HOUR,
        paused_by="ada",
        paused_reason=why,
        paused_until=Now() + 10 * MINUTE,
    )
    during = whole_seconds(figures_of())

    set_consumer(BOOK, paused_until=Now() - SECOND)

    assert during == ConsumerMeasurements(
        name=BOOK, paused_for=HOUR, paused_by="ada", paused_reason=why, resumes_in=10 * MINUTE
    )
    assert figures_of() == ConsumerMeasurements(name=BOOK)


def test_a_pause_without_an_end_has_none():
    set_consumer(BOOK, paused_at=Now() - HOUR, paused_by="ada", paused_reason="why not")

    assert whole_seconds(figures_of()) == ConsumerMeasurements(
        name=BOOK, paused_for=HOUR, paused_by="ada", paused_reason="why not"
    )


def test_an_open_breaker_is_measured_with_its_next_probe():
    set_consumer(BOOK, breaker="open", probe_at=Now() + 20 * SECOND)

    assert whole_seconds(figures_of()) == ConsumerMeasurements(name=BOOK, breaker_open=True, probe_in=20 * SECOND)


def test_a_consumer_that_is_gone_from_the_code_is_found_by_its_rows():
    sales.pending(consumer="shop.gone", at=database_time() - MINUTE)
    sales.failed(at=database_time() - HOUR, consumer="shop.gone.too")
    set_consumer("shop.gone", gone_since=Now() - HOUR)
    set_consumer("shop.gone.and.forgotten", gone_since=Now() - HOUR)

    gone = [consumer for consumer in measure().consumers if not consumer.in_code]

    assert [whole_seconds(consumer) for consumer in gone] == [
        ConsumerMeasurements(name="shop.gone", in_code=False, pending=1, oldest=MINUTE, gone_for=HOUR),
        ConsumerMeasurements(name="shop.gone.too", in_code=False, exhausted=1),
    ]


def test_the_price_in_statements_grows_neither_with_the_rows_nor_with_the_consumers():
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            health()
        return len(captured)

    now = database_time()
    rescanned()
    sales.pending()
    sales.failed(at=now)
    before = statements()
    for number in range(20):
        sales.pending()
        sales.pending(consumer=f"shop.gone.{number}")
        sales.failed(at=now)
        sales.failed(at=now, consumer=f"shop.gone.too.{number}")
        sales.success(at=now)

    assert statements() == before
    assert before <= 13


@pytest.mark.services
def test_no_row_is_read_but_through_an_index_of_what_is_not_settled():
    sales.pending()
    sales.failed()
    plans: list[str] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "outbox_message" in sql:
            with context["connection"].connection.cursor() as cursor:
                cursor.execute("SET LOCAL enable_seqscan = off")
                cursor.execute(f"EXPLAIN {sql}", params)
                plans.append("\n".join(line for (line,) in cursor.fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        measure()

    indexes = re.findall(r"Index (?:Only )?Scan (?:using|on) (\w+)", "\n".join(plans))
    assert [plan for plan in plans if "Seq Scan on outbox_message" in plan] == []
    assert {index for index in indexes if index.startswith("outbox_message_")} <= {
        "outbox_message_due",
        "outbox_message_stuck",
        "outbox_message_stuck_of",
        "outbox_message_stuck_at",
        "outbox_message_groups",
        "outbox_message_held",
        "outbox_message_order",
        # Of what was issued twice: few rows of evidence, and the message of each.
        "outbox_message_pkey",
    }
    assert len(plans) == 3


@pytest.mark.services
def test_the_statement_for_all_consumers_is_not_compiled_however_many_there_are():
    with connection.cursor() as cursor:
        cursor.execute("SHOW jit")
        before = cursor.fetchone()
        measure()
        cursor.execute("SHOW jit")
        assert (before, cursor.fetchone()) == (("on",), ("off",))


def test_everything_can_be_told_as_json():
    all_is_well()
    sales.pending(at=database_time() - 6 * MINUTE)

    told = health().as_json()

    (book,) = [consumer for consumer in told["consumers"] if consumer["name"] == BOOK]
    (oldest,) = [finding for finding in told["findings"] if finding["about"] == f"oldest:{BOOK}"]
    assert (told["level"], book["pending"], round(book["oldest"])) == ("warning", 1, 360)
    assert (oldest["level"], round(oldest["figure"]), oldest["limit"]) == ("warning", 360, 300.0)


def test_ready_is_an_installation_whose_rescan_runs():
    never = unready()
    rescanned(16 * SECOND)
    late = unready()
    rescanned()

    assert (never[0], len(never)) == ("The rescan has never succeeded.", 2)
    assert (late[0], len(late)) == ("The rescan last succeeded 16 s ago, limit 15 s.", 2)
    assert unready() == []


def test_unready_is_an_installation_with_migrations_to_apply(monkeypatch):
    rescanned()
    plan = [(type("Migration", (), {"app_label": "outbox", "name": "0999_next"})(), False)]
    monkeypatch.setattr("outbox.monitoring.health.MigrationExecutor.migration_plan", lambda *_args: plan)

    assert unready() == ["Migrations are not applied: outbox.0999_next."]
    monkeypatch.undo()
    assert unready() == []


@pytest.mark.django_db(transaction=True)
def test_while_the_cause_is_looked_for_no_transaction_is_open(monkeypatch):
    within: list[bool] = []

    def look(_age: timedelta | None) -> causes.Evidence:
        within.append(connection.in_atomic_block)
        return causes.Evidence()

    monkeypatch.setattr(causes, "look", look)

    measure()

    assert within == [False]
