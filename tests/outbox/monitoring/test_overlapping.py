"""With real connections and real commits: passes that overlap, sessions that hold on, telling outside a transaction."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction

from outbox.conf import conf
from outbox.maintenance import rollup
from outbox.models import Heartbeat, Message, MinuteStat, TotalStat
from outbox.monitoring import alerts
from outbox.monitoring.findings import What
from outbox.monitoring.health import health, measure
from tests.harness.clock import MINUTE, SECOND, database_time
from tests.harness.rows import BOOK, attempt, sales
from tests.harness.threads import at_once

pytestmark = pytest.mark.usefixtures("transactional_db")


@contextmanager
def another_session() -> Iterator[Any]:
    """Open a second connection to the test's database; closed at the end."""
    other = connections.create_connection(conf().database)
    try:
        yield other
    finally:
        other.close()


@pytest.mark.services
def test_two_passes_at_once_count_everything_once():
    then = database_time().replace(second=0, microsecond=0) - MINUTE
    for _ in range(20):
        attempt(sales.success(at=then), outcome="failed", at=then)

    at_once(*[lambda: [rollup.roll_up() for _ in range(3)]] * 4)

    (total,) = TotalStat.objects.all()
    (stat,) = MinuteStat.objects.all()
    assert (total.successes, total.failed, sum(total.latency_counts)) == (20, 20, 20)
    assert (stat.successes, stat.failed, sum(stat.latency_counts)) == (20, 20, 20)


@pytest.mark.services
def test_a_pass_that_is_overtaken_between_reading_and_writing_a_total_takes_nothing_away():
    then = database_time().replace(second=0, microsecond=0) - 3 * MINUTE
    sales.success(at=then)
    sales.success(at=then + MINUTE)
    about_to_write, overtaken = threading.Event(), threading.Event()

    def hold_up(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith('INSERT INTO "outbox_minutestat"') and not about_to_write.is_set():
            about_to_write.set()
            overtaken.wait(1)
        return execute(sql, params, many, context)

    def overtake() -> None:
        assert about_to_write.wait(20)
        rollup.roll_up()
        overtaken.set()
        connections.close_all()

    other = threading.Thread(target=overtake)
    other.start()
    with connection.execute_wrapper(hold_up):
        rollup.roll_up()
    other.join()

    assert TotalStat.objects.get().successes == 2


@pytest.mark.services
def test_of_many_who_look_at_once_one_tells(configure):
    notified: list[str] = []
    configure(ALERT_HOOK="tests.outbox.monitoring.test_overlapping.hook")
    _HOOKS[:] = [lambda notifications: notified.extend(each.about for each in notifications)]

    at_once(*[alerts.watch] * 4)

    assert notified.count("rescan") == 1


def test_no_transaction_is_open_while_people_are_told(configure):
    open_transactions: list[bool] = []
    configure(ALERT_HOOK="tests.outbox.monitoring.test_overlapping.hook")
    _HOOKS[:] = [lambda notifications: open_transactions.append(connection.in_atomic_block)]

    alerts.watch()

    assert open_transactions == [False]


_HOOKS: list[Callable[[Any], object]] = []


def hook(notifications: Any) -> None:
    """The host's own function, as ``ALERT_HOOK`` names it."""
    for do in _HOOKS:
        do(notifications)


@pytest.mark.services
def test_a_session_that_holds_a_snapshot_is_named_with_its_program_and_age(configure):
    configure(SNAPSHOT_WARNING=timedelta(microseconds=1))
    with another_session() as other, transaction_of(other) as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SET LOCAL application_name = 'nightly report'")
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()

        seen = health()

    (finding,) = [finding for finding in seen.findings if finding.what is What.SNAPSHOT]
    assert finding.level.word == "warning"
    assert f"SELECT pg_terminate_backend({pid})" in finding.sentence
    assert ", nightly report, 127.0.0.1 (process" in finding.sentence
    assert "has been open for 0 s" in finding.sentence
    assert seen.measurements.snapshot is not None
    assert seen.measurements.snapshot.pid == pid


@pytest.mark.services
def test_a_session_that_has_written_and_not_committed_is_named_as_well():
    sales.failed()
    with another_session() as other, transaction_of(other) as cursor:
        cursor.execute("UPDATE outbox_message SET worker = 'w' WHERE consumer = %s", [BOOK])
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()

        session = measure().snapshot

    assert session is not None
    assert (session.pid, session.age < 5 * SECOND) == (pid, True)


@pytest.mark.services
def test_sessions_that_are_idle_in_a_transaction_are_counted(configure):
    configure(IDLE_WARNING=timedelta(microseconds=1))
    before = measure().idle
    with another_session() as other, transaction_of(other) as cursor:
        cursor.execute("SELECT 1")

        during = measure().idle

    assert (before, during) == (0, 1)


@contextmanager
def transaction_of(other: Any) -> Iterator[Any]:
    """Begin a transaction in another session; rolled back at the end."""
    other.set_autocommit(False)
    with other.cursor() as cursor:
        yield cursor
    other.rollback()


@pytest.mark.services
def test_a_row_that_commits_late_is_counted_although_its_minute_was():
    then = database_time().replace(second=0, microsecond=0) - MINUTE
    written = threading.Event()
    counted = threading.Event()

    def settle_slowly() -> None:
        with transaction.atomic():
            sales.success(at=then)
            written.set()
            counted.wait(10)
        connections.close_all()

    slow = threading.Thread(target=settle_slowly)
    slow.start()
    written.wait(10)
    rollup.roll_up()
    before = TotalStat.objects.count()
    counted.set()
    slow.join()

    rollup.roll_up()

    assert before == 0
    assert TotalStat.objects.get().successes == 1
    assert Message.objects.count() == 1
    assert Heartbeat.objects.filter(name="rollup").exists()
