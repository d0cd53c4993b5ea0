"""Publishing: one promise per consumer, in the caller's transaction, once per business id."""

import threading
import uuid
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from time import monotonic, sleep

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from outbox import Draft, publish, publish_many, registry
from outbox.broker import dispatcher
from outbox.errors import OutsideTransaction, UnknownTopic
from outbox.models import Message
from tests.harness.clock import timed
from tests.harness.threads import TIMEOUT, at_once, beside
from tests.shop.models import Stock

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture
def three(listen):
    """Three consumers of ``test.sold``."""
    for name in ("test.c", "test.a", "test.b"):
        listen(name=name)


def stored(*fields: str) -> list[tuple]:
    return list(Message.objects.order_by("id").values_list(*fields))


def test_a_message_is_written_for_every_consumer_with_all_its_fields(listen, offered):
    listen(name="test.a", deadline=timedelta(hours=1))

    with timed() as span, transaction.atomic():
        (id,) = publish("test.sold", key=17, payload={"n": 1}, headers={"trace": "abc"}, ordering_key="till 1")

    (message,) = Message.objects.values()
    created = message.pop("created_at")
    assert span.contains(created)
    assert message == {
        "id": id,
        "topic": "test.sold",
        "consumer": "test.a",
        "key": "17",
        "payload": {"n": 1},
        "headers": {"trace": "abc"},
        "ordering_key": "till 1",
        "status": "pending",
        "resolution": "",
        "evidence": "",
        "attempts": 0,
        "attempt_limit": 3,
        "lost": 0,
        "sends": 0,
        "due_at": created + timedelta(seconds=5),
        "not_before": created,
        "lease_until": None,
        "expires_at": created + timedelta(hours=1),
        "started_at": None,
        "finished_at": None,
        "exhausted_at": None,
        "retried_at": None,
        "worker": "",
        "last_error": "",
        "failure": "",
        "revision": 0,
    }


def test_one_insert_whatever_the_number_of_consumers(three, offered):
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        ids = publish("test.sold", key="one", payload={})

    assert [query["sql"].split()[0] for query in captured.captured_queries] == ["INSERT"]
    assert stored("id", "consumer") == list(zip(ids, ["test.a", "test.b", "test.c"], strict=True))


def test_only_the_consumers_that_listen_get_the_message(listen, offered):
    listen(name="test.exact", topic="sale.won.gift")
    listen(name="test.star", topic="sale.won.*")
    listen(name="test.hash", topic="sale.#")
    listen(name="test.other", topic="sale.lost.*")

    with transaction.atomic():
        publish("sale.won.gift", key=1, payload={})

    assert stored("consumer") == [("test.exact",), ("test.hash",), ("test.star",)]


def test_the_same_topic_and_key_again_is_a_no_op(three, offered):
    with transaction.atomic():
        publish("test.sold", key="one", payload={"first": True})
    offered.clear()

    with transaction.atomic():
        ids = publish("test.sold", key="one", payload={"first": False})

    assert ids == []
    assert offered == []
    assert stored("payload") == [({"first": True},)] * 3


def test_the_same_key_twice_in_one_call_is_written_once(listen, offered):
    listen()

    with transaction.atomic():
        ids = publish_many([Draft(topic="test.sold", key="one", payload=n) for n in (1, 2)])

    assert stored("id", "payload") == [(ids[0], 1)]


def test_the_same_key_of_another_topic_is_another_message(listen, offered):
    listen(topic="test.#")

    with transaction.atomic():
        publish("test.one", key="same", payload={})
        publish("test.two", key="same", payload={})

    assert stored("topic") == [("test.one",), ("test.two",)]


def test_a_consumer_added_later_gets_what_is_published_later(listen, offered):
    listen(name="test.a")
    with transaction.atomic():
        publish("test.sold", key="one", payload={})
    listen(name="test.b")

    with transaction.atomic():
        (id,) = publish("test.sold", key="one", payload={})

    assert stored("consumer") == [("test.a",), ("test.b",)]
    assert offered[1:] == [{"test.b": [id]}]


@pytest.mark.parametrize("key", ["text", 17, -17, 10**100, uuid.UUID(int=7), "ß 中 🎁", "x" * 200])
def test_keys_are_kept_as_text(listen, offered, key):
    listen()

    with transaction.atomic():
        publish("test.sold", key=key, payload={})

    assert stored("key") == [(str(key),)]


def test_many_are_written_in_one_statement_sorted_by_key(listen, offered):
    listen()
    drafts = [Draft(topic="test.sold", key=key, payload={}) for key in ("c", "a", "b")]

    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        ids = publish_many(drafts)

    assert len(captured.captured_queries) == 1
    assert stored("id", "key") == list(zip(ids, ["a", "b", "c"], strict=True))


def test_thousands_are_written_whatever_number_of_parameters_the_database_takes(listen, offered):
    listen()

    with transaction.atomic():
        ids = publish_many(Draft(topic="test.sold", key=n, payload={"n": n}) for n in range(3_000))

    assert len(set(ids)) == Message.objects.count() == 3_000
    assert offered == [{"test.till": ids}]


def test_nothing_of_many_is_written_if_one_is_refused(listen, offered):
    listen()
    drafts = [Draft(topic="test.sold", key=n, payload={}) for n in range(3)]

    with transaction.atomic(), pytest.raises(UnknownTopic):
        publish_many([*drafts, Draft(topic="test.unheard-of", key=3, payload={})])

    assert stored("id") == []
    assert offered == []


def test_nothing_at_all_can_be_published(listen, offered):
    with transaction.atomic():
        ids = publish_many([])

    assert ids == []


def test_many_of_one_ordering_key_keep_the_order_in_which_they_were_given(listen, offered):
    listen()
    drafts = [Draft(topic="test.sold", key=key, payload={}, ordering_key="till 1") for key in ("c", "a", "b")]

    with transaction.atomic():
        publish_many(drafts)

    assert stored("key") == [("c",), ("a",), ("b",)]


def test_outside_a_transaction_is_refused(listen, offered):
    listen()

    with pytest.raises(OutsideTransaction, match=r"must be called inside transaction\.atomic"):
        publish("test.sold", key="one", payload={})

    assert stored("id") == []


def test_a_delayed_message_is_not_before_its_time_and_not_hinted(listen, offered):
    listen()

    with transaction.atomic():
        publish("test.sold", key="one", payload={}, delay=timedelta(minutes=30))

    ((created, not_before, due),) = stored("created_at", "not_before", "due_at")
    assert not_before == due == created + timedelta(minutes=30)
    assert offered == []


def test_no_delay_at_all_is_no_delay(listen, offered):
    listen()

    with transaction.atomic():
        (id,) = publish("test.sold", key="one", payload={}, delay=timedelta(0))

    ((created, not_before, due),) = stored("created_at", "not_before", "due_at")
    assert (not_before, due) == (created, created + timedelta(seconds=5))
    assert offered == [{"test.till": [id]}]


def test_a_rollback_leaves_neither_business_row_nor_message_nor_hint(listen, offered):
    listen()

    with suppress(ZeroDivisionError), transaction.atomic():
        Stock.objects.create()
        publish("test.sold", key="one", payload={})
        raise ZeroDivisionError

    assert (Stock.objects.count(), stored("id"), offered) == (0, [], [])


def test_the_hint_leaves_only_after_the_commit_once_per_call(three, offered):
    with transaction.atomic():
        one = publish("test.sold", key="one", payload={})
        two = publish("test.sold", key="two", payload={})
        before = list(offered)

    assert before == []
    assert offered == [{"test.a": [ids[0]], "test.b": [ids[1]], "test.c": [ids[2]]} for ids in (one, two)]


def test_a_savepoint_that_rolls_back_takes_its_message_and_its_hint_along(listen, offered):
    listen()

    with transaction.atomic():
        (kept,) = publish("test.sold", key="kept", payload={})
        with suppress(ZeroDivisionError), transaction.atomic():
            publish("test.sold", key="dropped", payload={})
            raise ZeroDivisionError

    assert stored("key") == [("kept",)]
    assert offered == [{"test.till": [kept]}]


def test_a_courier_that_fails_does_not_fail_the_request(listen, monkeypatch):
    def fail(_ids):
        raise RuntimeError("no courier today")

    monkeypatch.setattr(dispatcher, "dispatch", fail)
    listen()
    later = []

    with transaction.atomic():
        publish("test.sold", key="one", payload={})
        transaction.on_commit(lambda: later.append("fired"))

    assert stored("key") == [("one",)]
    assert later == ["fired"]


def test_a_consumer_of_a_forgotten_topic_is_an_unknown_topic(listen, offered):
    listen(name="test.a")
    registry.forget("test.a")

    with (
        transaction.atomic(),
        pytest.raises(UnknownTopic, match=r"no consumer listens to 'test\.sold'; consumers"),
    ):
        publish("test.sold", key="one", payload={})


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
def test_two_publishers_with_the_same_keys_in_opposite_orders_do_not_deadlock(listen, offered):
    listen()

    def write(*keys):
        with transaction.atomic():
            return len(publish_many([Draft(topic="test.sold", key=key, payload={}) for key in keys]))

    with beside(lambda: write("a", "m", "z")) as one, beside(lambda: write("z", "m", "a")) as other:
        # Holding the key in the middle brings both as far as they get, each with what it has written so far.
        with suppress(ZeroDivisionError), transaction.atomic():
            publish("test.sold", key="m", payload={})
            met = wait_for(2, "transactionid", one, other)
            raise ZeroDivisionError
        written = sorted([one.result(TIMEOUT), other.result(TIMEOUT)])

    assert met == 2
    assert written == [0, 3]
    assert stored("key") == [("a",), ("m",), ("z",)]


@pytest.mark.services
def test_publishers_of_one_ordering_key_commit_one_after_the_other(listen, offered):
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
    assert stored("key") == [("first",), ("second",)]


@pytest.mark.services
def test_publishers_of_different_ordering_keys_or_none_do_not_wait(listen, offered):
    listen()

    def another(**options):
        with transaction.atomic():
            return publish("test.sold", key=str(options), payload={}, **options)

    with transaction.atomic():
        publish("test.sold", key="first", payload={}, ordering_key="till 1")
        done = at_once(lambda: another(), lambda: another(ordering_key="till 2"))

    assert [len(ids) for ids in done] == [1, 1]
