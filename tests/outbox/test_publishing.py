"""Publishing: one message per consumer, in the caller's transaction, once per business id."""

import uuid
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from outbox import Draft, KeyReused, declare_topics, publish, publish_many, registry
from outbox.errors import ConsumerError, UnknownTopic
from outbox.models import Message
from tests.harness.clock import timed
from tests.harness.messages import fields_of_all

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_a_message_is_written_for_every_consumer_with_all_its_fields(listen, dispatched):
    listen(name="test.a", deadline=timedelta(hours=1))

    with timed() as span, transaction.atomic():
        (id,) = publish("test.sold", key=17, payload={"n": 1}, headers={"trace": "abc"}, ordering_key="till 1")

    (message,) = Message.objects.values()
    created = message.pop("created_at")
    assert span.contains(created)
    assert isinstance(message.pop("drawn_key"), UUID)
    assert message == {
        "id": id,
        "topic": "test.sold",
        "consumer": "test.a",
        "key": "17",
        "payload": {"n": 1},
        "digest": "984530e49acf879ea2a3b7c3062fca65",
        "replay": 0,
        "headers": {"trace": "abc"},
        "ordering_key": "till 1",
        "status": "pending",
        "resolution": "",
        "value": None,
        "currency": "",
        "holds_key": False,
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
        "reason": "",
        "last_error": "",
        "failure": "",
        "revision": 0,
    }


def test_one_insert_whatever_the_number_of_consumers(three, dispatched):
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        ids = publish("test.sold", key="one", payload={})

    assert [query["sql"].split()[0] for query in captured.captured_queries] == ["INSERT"]
    assert fields_of_all("id", "consumer") == list(zip(ids, ["test.a", "test.b", "test.c"], strict=True))


def test_only_the_consumers_that_listen_get_the_message(listen, dispatched):
    listen(name="test.exact", topic="sale.won.gift")
    listen(name="test.star", topic="sale.won.*")
    listen(name="test.hash", topic="sale.#")
    listen(name="test.other", topic="sale.lost.*")

    with transaction.atomic():
        publish("sale.won.gift", key=1, payload={})

    assert fields_of_all("consumer") == [("test.exact",), ("test.hash",), ("test.star",)]


def test_the_same_topic_and_key_again_is_a_no_op(three, dispatched):
    with transaction.atomic():
        publish("test.sold", key="500", payload={"a": 1, "b": [{"d": 2, "c": 3}]})
    dispatched.clear()

    with transaction.atomic():
        ids = publish("test.sold", key=500, payload={"b": ({"c": 3, "d": 2},), "a": 1})

    assert ids == []
    assert dispatched == []
    assert fields_of_all("key", "payload") == [("500", {"a": 1, "b": [{"d": 2, "c": 3}]})] * 3


def test_the_same_topic_and_key_with_another_payload_is_refused_and_the_transaction_goes_on(three, dispatched):
    with transaction.atomic():
        publish("test.sold", key="order 17", payload={"status": "paid"})
    dispatched.clear()

    with transaction.atomic():
        with pytest.raises(KeyReused, match=r"another payload: test\.sold 'order 17'; .* put a version"):
            publish("test.sold", key="order 17", payload={"status": "shipped"})
        ids = publish("test.sold", key="order 18", payload={"status": "paid"})

    assert len(ids) == 3
    assert [set(hints) for hints in dispatched] == [{"test.a", "test.b", "test.c"}]
    assert (
        fields_of_all("key", "payload")
        == [("order 17", {"status": "paid"})] * 3 + [("order 18", {"status": "paid"})] * 3
    )


def test_nothing_of_many_is_written_if_a_key_of_them_is_reused(listen, dispatched):
    listen(name="test.a")
    with transaction.atomic():
        publish_many([Draft(topic="test.sold", key=key, payload=1) for key in ("a", "c", "d")])
    listen(name="test.b")
    dispatched.clear()

    with (
        transaction.atomic(),
        pytest.raises(KeyReused, match=r"another payload: test\.sold 'a', test\.sold 'c';"),
    ):
        publish_many(
            [Draft(topic="test.sold", key=key, payload=n) for key, n in (("a", 2), ("b", 1), ("c", 2), ("d", 1))]
        )

    assert fields_of_all("key", "consumer") == [("a", "test.a"), ("c", "test.a"), ("d", "test.a")]
    assert dispatched == []


def test_an_edit_by_an_operator_does_not_change_what_was_published(listen, dispatched):
    listen()
    with transaction.atomic():
        publish("test.sold", key="one", payload={"n": 1})
    Message.objects.update(payload={"n": 2})

    with transaction.atomic():
        ids = publish("test.sold", key="one", payload={"n": 1})

    assert ids == []


def test_a_message_of_which_no_digest_is_known_is_not_compared(listen, dispatched):
    listen()
    with transaction.atomic():
        publish("test.sold", key="one", payload={"n": 1})
    Message.objects.update(digest="")

    with transaction.atomic():
        ids = publish("test.sold", key="one", payload={"n": 2})

    assert ids == []


def test_only_a_key_that_is_there_already_costs_a_second_statement(listen, dispatched):
    listen()

    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        publish("test.sold", key="one", payload={"n": 1})
        publish("test.sold", key="one", payload={"n": 1})

    assert [query["sql"].split()[0] for query in captured.captured_queries] == ["INSERT", "INSERT", "SELECT"]


def test_the_same_key_twice_in_one_call_is_written_once(listen, dispatched):
    listen()

    with transaction.atomic():
        ids = publish_many([Draft(topic="test.sold", key="one", payload=1) for _ in range(2)])

    assert fields_of_all("id", "payload") == [(ids[0], 1)]


def test_the_same_key_twice_in_one_call_with_two_payloads_is_refused(listen, dispatched):
    listen()

    with transaction.atomic(), pytest.raises(KeyReused):
        publish_many([Draft(topic="test.sold", key="one", payload=n) for n in (1, 2)])

    assert fields_of_all("id") == []


def test_the_same_key_of_another_topic_is_another_message(listen, dispatched):
    listen(topic="test.#")

    with transaction.atomic():
        publish("test.one", key="same", payload={})
        publish("test.two", key="same", payload={})

    assert fields_of_all("topic") == [("test.one",), ("test.two",)]


def test_a_consumer_added_later_gets_what_is_published_later(listen, dispatched):
    listen(name="test.a")
    with transaction.atomic():
        publish("test.sold", key="one", payload={})
    listen(name="test.b")

    with transaction.atomic():
        (id,) = publish("test.sold", key="one", payload={})

    assert fields_of_all("consumer") == [("test.a",), ("test.b",)]
    assert dispatched[1:] == [{"test.b": [id]}]


@pytest.mark.parametrize("key", ["text", 17, -17, 10**100, uuid.UUID(int=7), "ß 中 🎁", "x" * 200])
def test_keys_are_kept_as_text(listen, dispatched, key):
    listen()

    with transaction.atomic():
        publish("test.sold", key=key, payload={})

    assert fields_of_all("key") == [(str(key),)]


def test_many_are_written_in_one_statement_sorted_by_key(listen, dispatched):
    listen()
    drafts = [Draft(topic="test.sold", key=key, payload={}) for key in ("c", "a", "b")]

    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        ids = publish_many(drafts)

    assert len(captured.captured_queries) == 1
    assert fields_of_all("id", "key") == list(zip(ids, ["a", "b", "c"], strict=True))


def test_thousands_are_written_whatever_number_of_parameters_the_database_takes(listen, dispatched):
    listen()

    with transaction.atomic():
        ids = publish_many(Draft(topic="test.sold", key=n, payload={"n": n}) for n in range(3_000))

    assert len(set(ids)) == Message.objects.count() == 3_000
    assert dispatched == [{"test.till": ids}]


def test_nothing_of_many_is_written_if_one_is_refused(listen, dispatched):
    listen()
    drafts = [Draft(topic="test.sold", key=n, payload={}) for n in range(3)]

    with transaction.atomic(), pytest.raises(UnknownTopic):
        publish_many([*drafts, Draft(topic="test.unheard-of", key=3, payload={})])

    assert fields_of_all("id") == []
    assert dispatched == []


def test_nothing_at_all_can_be_published(listen, dispatched):
    with transaction.atomic():
        ids = publish_many([])

    assert ids == []


def test_many_of_one_ordering_key_keep_the_order_in_which_they_were_given(listen, dispatched):
    listen()
    drafts = [Draft(topic="test.sold", key=key, payload={}, ordering_key="till 1") for key in ("c", "a", "b")]

    with transaction.atomic():
        publish_many(drafts)

    assert fields_of_all("key") == [("c",), ("a",), ("b",)]


def test_a_delayed_message_is_not_before_its_time_and_not_hinted(listen, dispatched):
    listen()

    with transaction.atomic():
        publish("test.sold", key="one", payload={}, delay=timedelta(minutes=30))

    ((created, not_before, due),) = fields_of_all("created_at", "not_before", "due_at")
    assert not_before == due == created + timedelta(minutes=30)
    assert dispatched == []


def test_no_delay_at_all_is_no_delay(listen, dispatched):
    listen()

    with transaction.atomic():
        (id,) = publish("test.sold", key="one", payload={}, delay=timedelta(0))

    ((created, not_before, due),) = fields_of_all("created_at", "not_before", "due_at")
    assert (not_before, due) == (created, created + timedelta(seconds=5))
    assert dispatched == [{"test.till": [id]}]


def test_a_consumer_of_a_forgotten_topic_is_an_unknown_topic(listen, dispatched):
    listen(name="test.a")
    registry.forget_consumer("test.a")

    with (
        transaction.atomic(),
        pytest.raises(
            UnknownTopic, match=r"no consumer listens to 'test\.sold'; did you mean '.+'\? Consumers found: "
        ),
    ):
        publish("test.sold", key="one", payload={})


@pytest.fixture
def declare():
    yield declare_topics
    registry.forget_topics()


def test_once_topics_are_declared_any_other_is_refused_though_a_wildcard_matches(listen, dispatched, declare):
    listen(topic="test.#")
    declare("test.sold")
    declare("test.bought")

    with transaction.atomic():
        publish("test.sold", key="one", payload={})
        publish("test.bought", key="one", payload={})
        with pytest.raises(UnknownTopic, match=r"'test\.slod' is not among .*; did you mean 'test\.sold'\?"):
            publish("test.slod", key="one", payload={})

    assert fields_of_all("topic") == [("test.sold",), ("test.bought",)]


@pytest.mark.parametrize("wrong", ["", "test.*", "a b", 7])
def test_what_is_no_topic_cannot_be_declared(wrong, declare):
    with pytest.raises(ConsumerError, match="a topic is words"):
        declare("test.sold", wrong)

    assert registry.declared_topics() == set()
