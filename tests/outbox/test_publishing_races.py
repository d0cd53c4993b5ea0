"""Publishers beside each other: no deadlock, and one after the other where the order counts."""

import threading
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from functools import partial
from itertools import permutations
from time import monotonic, sleep

import pytest
from django.db import OperationalError, connection, transaction

from outbox import Draft, Message, publish, publish_many
from outbox.publishing import OPPOSITE_ORDERS
from tests.harness.messages import fields_of_all
from tests.harness.plans import query
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


def keys_of_two_hashes() -> tuple[tuple[str, str], tuple[str, str]]:
    """Return two pairs of keys with the same two hashes; sorted as words, the hashes of one come in opposite order."""
    pairs = query(
        "SELECT array_agg(word ORDER BY word)"
        " FROM generate_series(1, 400000) n, LATERAL (SELECT 'till ' || n AS word) words"
        " GROUP BY hashtext(word) HAVING count(*) = 2"
    )
    return next(
        ((one[0], other[1]), (other[0], one[1]))
        for (one,), (other,) in permutations(pairs, 2)
        if one[0] < other[1] and other[0] < one[1]
    )


@pytest.mark.services
def test_two_calls_with_several_ordering_keys_do_not_wait_for_each_other_whatever_keys_share_a_hash(listen, dispatched):
    listen()
    one, other = keys_of_two_hashes()

    def publish_for(keys):
        with transaction.atomic():
            return publish_many(Draft("test.sold", key=key, payload={}, ordering_key=key) for key in keys)

    waited = []
    for held in one:
        with ExitStack() as stack:
            with transaction.atomic():
                publish("test.sold", key=f"held {held}", payload={}, ordering_key=held)
                futures = [stack.enter_context(beside(partial(publish_for, keys))) for keys in (one, other)]
                waited.append(wait_for(2, "advisory", *futures))
            assert [len(future.result(TIMEOUT)) for future in futures] == [2, 2]
        Message.objects.all().delete()

    assert waited == [2, 2]


@pytest.mark.services
def test_transactions_that_publish_for_several_keys_by_several_calls_are_told_of_their_deadlock(listen, dispatched):
    listen()
    halfway = threading.Barrier(2)

    def publish_for(*keys):
        try:
            with transaction.atomic():
                for turn, key in enumerate(keys):
                    if turn:
                        halfway.wait(TIMEOUT)
                    publish("test.sold", key=f"{keys} {key}", payload={}, ordering_key=key)
        except OperationalError as error:
            return getattr(error, "__notes__", ["nothing"])
        return []

    notes = at_once(lambda: publish_for("till 1", "till 2"), lambda: publish_for("till 2", "till 1"))

    assert sorted(notes, key=len) == [[], [OPPOSITE_ORDERS]]
    assert Message.objects.count() == 2
