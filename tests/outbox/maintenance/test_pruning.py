"""Pruning takes what is settled and old, in small steps, one pruner at a time, and never anything else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from outbox import publish
from outbox.maintenance import pruning
from outbox.maintenance.pruning import Pruned, prune
from outbox.models import Attempt, Heartbeat, Message, Resolution, Status
from tests.harness.clock import HOUR, SECOND, database_time
from tests.harness.rows import BOOK, attempt, sales

pytestmark = pytest.mark.usefixtures("transactional_db")

KEPT = timedelta(days=30)
LONG_AGO = KEPT + HOUR


def left() -> set[int]:
    """Read which messages are left."""
    return set(Message.objects.values_list("pk", flat=True))


@contextmanager
def elsewhere(do: Any) -> Iterator[None]:
    """Do something in another thread, with a connection of its own, and wait for it to end."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            do()
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join(30)
    assert not thread.is_alive()
    assert errors == []


def test_what_is_settled_goes_when_it_is_old_and_its_attempts_with_it():
    now = database_time()
    old, young = now - LONG_AGO, now - KEPT + HOUR
    gone = [
        sales.success(at=old),
        sales.handled(at=old),
        sales.failed(at=old, exhausted_at=None, resolution=Resolution.DISCARDED),
    ]
    stay = [
        sales.success(at=young),
        sales.handled(at=young),
        sales.failed(at=young, exhausted_at=None, resolution=Resolution.DISCARDED),
    ]
    for one in (*gone, *stay):
        attempt(one, outcome="failed", at=young)

    assert prune() == Pruned(3, more=False)
    assert left() == {one.pk for one in stay}
    assert set(Attempt.objects.values_list("message_id", flat=True)) == {one.pk for one in stay}


def test_the_unfinished_and_the_exhausted_stay_however_old_they_are():
    old = database_time() - 100 * KEPT
    started = {"status": Status.STARTED, "attempts": 1, "started_at": old, "lease_until": old}
    stay = [sales.pending(at=old), sales.pending(at=old, **started), sales.failed(at=old)]

    assert prune() == Pruned(0, more=False)
    assert left() == {one.pk for one in stay}


def test_the_age_counts_from_the_end_and_is_a_setting(configure):
    configure(KEEP_FINISHED=HOUR)
    now = database_time()
    long_wait = sales.success(at=now - HOUR + 10 * SECOND, took=100 * KEPT)
    sales.success(at=now - HOUR - 10 * SECOND, took=SECOND)

    assert prune().messages == 1
    assert left() == {long_wait.pk}


def test_a_key_may_be_published_again_once_its_message_was_pruned():
    def publish_again() -> list[int]:
        with transaction.atomic():
            return publish("shop.sold", key="order 7", payload={})

    now = database_time()
    sales.success(at=now - KEPT + HOUR, key="order 7", topic="shop.sold")
    kept = publish_again()
    Message.objects.update(finished_at=now - LONG_AGO)
    prune()

    again = publish_again()

    assert kept == []
    assert [Message.objects.get(pk=id).consumer for id in again] == [BOOK]


def test_it_goes_in_batches_oldest_first_until_nothing_is_left(monkeypatch):
    monkeypatch.setattr(pruning, "MESSAGE_BATCH", 3)
    now = database_time()
    for back in range(8):
        sales.success(at=now - LONG_AGO - back * HOUR)

    with CaptureQueriesContext(connection) as captured:
        done = prune()

    deletes = [query["sql"] for query in captured if query["sql"].startswith('DELETE FROM "outbox_message"')]
    assert done == Pruned(8, more=False)
    assert len(deletes) == 3


def test_when_its_time_is_up_the_oldest_are_gone_and_it_says_that_there_are_more(monkeypatch):
    monkeypatch.setattr(pruning, "MESSAGE_BATCH", 3)
    now = database_time()
    rows = [sales.success(at=now - LONG_AGO - back * HOUR) for back in range(8)]

    assert prune(budget=timedelta(0)) == Pruned(3, more=True)
    assert left() == {one.pk for one in rows[:5]}


def test_a_batch_takes_as_many_statements_as_a_row_and_reads_no_payload():
    def statements(many: int) -> list[str]:
        for _ in range(many):
            sales.success(at=database_time() - LONG_AGO)
        with CaptureQueriesContext(connection) as captured:
            assert prune().messages == many
        return [query["sql"] for query in captured]

    prune()

    one, fifty = statements(1), statements(50)

    # What hangs on a message goes by one statement on PostgreSQL, by one of each table on SQLite.
    assert len(one) == len(fifty) <= (12 if connection.vendor == "postgresql" else 17)
    assert not [sql for sql in fifty if '"payload"' in sql]


def test_a_pass_that_found_nothing_has_succeeded_as_well():
    prune()

    assert Heartbeat.objects.ran_within("prune", SECOND)
    assert Heartbeat.objects.get(name="prune").data == {"messages": 0}


@pytest.mark.services
def test_while_one_prunes_another_returns_at_once_and_the_first_finishes(monkeypatch):
    inside, go_on = threading.Event(), threading.Event()
    first_done: list[Pruned] = []
    for _ in range(5):
        sales.success(at=database_time() - LONG_AGO)

    def wait_inside(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith('DELETE FROM "outbox_message"'):
            inside.set()
            assert go_on.wait(20)
        return execute(sql, params, many, context)

    def prune_slowly() -> None:
        with connection.execute_wrapper(wait_inside):
            first_done.append(prune())

    with elsewhere(prune_slowly):
        assert inside.wait(20)
        second = prune()
        seen_meanwhile = len(left())
        go_on.set()

    assert second == Pruned(0, more=True)
    assert seen_meanwhile == 5
    assert first_done == [Pruned(5, more=False)]
    assert left() == set()


@pytest.mark.services
def test_a_message_that_is_reopened_while_it_is_pruned_stays_with_its_attempts():
    """The operator was first but has not committed: the pruner must not wait and then delete what is open again."""
    now = database_time()
    row = sales.handled(at=now - LONG_AGO)
    attempt(row, outcome="failed", at=now)
    reopened, go_on = threading.Event(), threading.Event()
    passes: list[Pruned] = []

    def reopen() -> None:
        with transaction.atomic():
            Message.objects.filter(pk=row.pk).update(
                status=Status.FAILED, resolution="", finished_at=now, exhausted_at=now
            )
            reopened.set()
            go_on.wait(1)

    with elsewhere(reopen):
        assert reopened.wait(20)
        passes.append(prune())
        go_on.set()

    assert passes == [Pruned(0, more=False)]
    assert left() == {row.pk}
    assert Attempt.objects.count() == 1
