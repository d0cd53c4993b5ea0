"""Publishers beside each other: no deadlock, and one after the other where the order counts."""

import threading
from concurrent.futures import Future
from contextlib import suppress
from time import monotonic, sleep

import pytest
from django.db import connection, transaction

from outbox import Draft, publish, publish_many
from tests.harness.messages import fields_of_all
from tests.harness.threads import TIMEOUT, at_once, beside

pytestmark = pytest.mark.usefixtures("transactional_db")


def waiting(locktype: str) -> int:
    """Count who waits for a lock of this kind, on any connection of this database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE locktype = %s AND NOT granted AND datname = current_database()",
            [locktype],
        )
        return cursor.fetchone()[0]


def wait_for(number: int, locktype: str, *futures: Future) -> int:
    """Wait until so many wait for a lock, or one of the futures is done; return how many wait."""
    deadline = monotonic() + TIMEOUT
    while (
        (now := waiting(locktype)) < number and not any(future.done() for future in futures) and monotonic() < deadline
    ):
        sleep(0.01)
    return now


@pytest.mark.services
def test_two_publishers_with_the_same_keys_in_opposite_orders_do_not_deadlock(listen, dispatched):
    listen()
    middle_is_held = threading.Event()

    def write(*keys):
        assert middle_is_held.wait(TIMEOUT)
        with transaction.atomic():
            return len(publish_many([Draft(topic="test.sold", key=key, payload={}) for key in keys]))

    with beside(lambda: write("a", "m", "z")) as one, beside(lambda: write("z", "m", "a")) as other:
        # Holding the key in the middle brings both as far as they get, each with what it has written so far.
        with suppress(ZeroDivisionError), transaction.atomic():
            publish("test.sold", key="m", payload={})
            middle_is_held.set()
            met = wait_for(2, "transactionid", one, other)
            raise ZeroDivisionError
        written = sorted([one.result(TIMEOUT), other.result(TIMEOUT)])

    assert met == 2
    assert written == [0, 3]
    assert fields_of_all("key") == [("a",), ("m",), ("z",)]


@pytest.mark.services
def test_publishers_of_one_ordering_key_commit_one_after_the_other(listen, dispatched):
    listen()
    second_begins = threading.Event()

    def second():
        second_begins.wait(TIMEOUT)
        with transaction.atomic():
            return publish("test.sold", key="second", payload={}, ordering_key="till 1")

    with beside(second) as future:
        with transaction.atomic():
            (first,) = publish("test.sold", key="first", payload={}, ordering_key="till 1")
            second_begins.set()
            waited = wait_for(1, "advisory", future)
        (later,) = future.result(TIMEOUT)

    assert waited == 1
    assert first < later
    assert fields_of_all("key") == [("first",), ("second",)]


@pytest.mark.services
def test_publishers_of_different_ordering_keys_or_none_do_not_wait(listen, dispatched):
    listen()

    def another(**options):
        with transaction.atomic():
            return publish("test.sold", key=str(options), payload={}, **options)

    with transaction.atomic():
        publish("test.sold", key="first", payload={}, ordering_key="till 1")
        done = at_once(lambda: another(), lambda: another(ordering_key="till 2"))

    assert [len(ids) for ids in done] == [1, 1]
