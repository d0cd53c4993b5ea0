"""A forward: a row for each message, sent to an exchange, and a success when the broker has confirmed it."""

from datetime import UTC, datetime, timedelta

import pytest
from cloudevents.core.formats.json import JSONFormat
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from kombu import Exchange

from outbox import publish, registry
from outbox.delivery import chunks
from outbox.external.forwarding import Forward
from outbox.maintenance import rescan
from outbox.models import Attempt, ConsumerState, Message
from tests.harness.clock import let_pass
from tests.harness.messages import kept_attempts, publish_message, publish_messages, state_of
from tests.harness.program import eventually
from tests.harness.subscribers import kombu_queue, pika_subscriber
from tests.outbox.external.conftest import NAME

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched", "rabbit")]


def keys_of(ids):
    """Return the idempotency keys of these messages, in their order."""
    keys = dict(Message.objects.filter(pk__in=ids).values_list("pk", "drawn_key"))
    return [str(keys[id]) for id in ids]


def test_a_subscriber_that_knows_no_django_has_every_message(lead, exchange, broker_url):
    lead()
    with pika_subscriber(broker_url, exchange.name, "test.#") as subscriber:
        ids = publish_messages(1200, number=1)

        chunks.deliver(NAME, ids[:500])

        eventually(lambda: len(subscriber.ids) >= 1200, within=10)
    assert sorted(subscriber.ids) == sorted(keys_of(ids))
    assert set(Message.objects.values_list("status", "attempts")) == {("success", 1)}


def test_what_a_message_is_when_it_travels(lead, exchange, broker_url, configure):
    configure(SOURCE="shop.example")
    lead()
    with pika_subscriber(broker_url, exchange.name) as subscriber, transaction.atomic():
        own = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "x-outbox-key": "forged"}
        [id] = publish("test.sold", key="17", payload={"to": "Köln"}, headers=own, ordering_key="shop 1")
        transaction.on_commit(lambda: chunks.deliver(NAME, [id]))
        subscriber_of_one = subscriber
    [received] = subscriber_of_one.received
    message = Message.objects.get(pk=id)
    properties = received.properties

    assert (received.message_id, received.body, received.routing_key) == (
        message.idempotency_key,
        {"to": "Köln"},
        "test.sold",
    )
    assert (properties.type, properties.app_id, properties.delivery_mode) == ("test.sold", "shop.example", 2)
    assert (properties.content_type, properties.content_encoding) == ("application/json", "utf-8")
    assert properties.timestamp == int(message.created_at.timestamp())
    assert received.headers == {
        "traceparent": own["traceparent"],
        "x-outbox-key": "17",
        "x-outbox-attempt": 1,
        "x-outbox-hops": 1,
        "x-outbox-ordering-key": "shop 1",
    }


def test_how_often_a_message_was_passed_on_is_counted_on(lead, exchange, broker_url):
    lead()
    with pika_subscriber(broker_url, exchange.name) as subscriber:
        with transaction.atomic():
            [id] = publish("test.sold", key="17", payload={}, headers={"x-outbox-hops": 3})
        chunks.deliver(NAME, [id])

        [received] = eventually(lambda: subscriber.received, within=5)

    assert received.headers["x-outbox-hops"] == 4


def test_a_cloud_event_is_one_for_its_own_library(lead, exchange, broker_url, configure):
    configure(SOURCE="https://shop.example")
    lead(format="cloudevents")
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with kombu_queue(broker_url, exchange) as queue:
        with transaction.atomic():
            headers = {"traceparent": trace}
            [id] = publish("test.sold", key="17", payload={"n": 1}, ordering_key="shop", headers=headers)
        chunks.deliver(NAME, [id])
        received = queue.get(timeout=5)

    assert received.properties["message_id"] == keys_of([id])[0]
    assert received.content_type == "application/cloudevents+json"
    event = JSONFormat().read(None, received.body)
    assert event.get_data() == {"n": 1}
    assert event.get_attributes() == {
        "specversion": "1.0",
        "id": keys_of([id])[0],
        "source": "https://shop.example",
        "type": "test.sold",
        "subject": "17",
        "time": Message.objects.get(pk=id).created_at,
        "datacontenttype": "application/json",
        "traceparent": trace,
        "partitionkey": "shop",
    }
    assert event.get_attributes()["time"] <= datetime.now(UTC)


def test_a_plain_kombu_subscriber_has_them_in_order_per_key(lead, exchange, broker_url):
    lead(chunk=20)
    ids = []
    for number in range(60):
        ids += publish_messages(1, ordering_key=f"key {number % 3}", number=number)
    with kombu_queue(broker_url, exchange) as queue:
        chunks.deliver(NAME, ids[:20])

        numbers = [queue.get(timeout=5).payload["number"] for _ in ids]

    assert sorted(numbers) == list(range(60))
    for key in range(3):
        assert [number for number in numbers if number % 3 == key] == list(range(key, 60, 3))


def test_a_routing_key_of_its_own_and_a_direct_exchange(lead, broker_url, exchange):
    direct = Exchange(f"{exchange.name}.direct", type="direct", auto_delete=True)
    lead(exchange=direct, routing_key="orders")
    with kombu_queue(broker_url, direct, "orders") as queue:
        id = publish_message()
        chunks.deliver(NAME, [id])

        assert queue.get(timeout=5).delivery_info["routing_key"] == "orders"


def test_what_no_queue_is_bound_for_is_a_failed_attempt_and_in_the_end_unroutable(lead):
    lead()
    id = publish_message()

    chunks.deliver(NAME, [id])

    state = state_of(id)
    assert (state.status, state.attempts, state.attempt_limit) == ("pending", 1, 3)
    [(number, outcome, error)] = kept_attempts(id)
    assert (number, outcome) == (1, "failed")
    assert error.startswith("Unroutable: the exchange test.")
    assert "has no queue for the routing key 'test.sold'" in error
    for _ in range(2):
        let_pass(timedelta(hours=1))
        chunks.deliver(NAME, [id])
    assert (state_of(id).status, state_of(id).reason) == ("failed", "unroutable")


def test_a_queue_that_was_deleted_is_noticed_and_one_bound_anew_gets_what_failed(lead, exchange, broker_url, rabbit):
    lead()
    with pika_subscriber(broker_url, exchange.name, queue=f"{exchange.name}.receiver") as subscriber:
        first = publish_message()
        chunks.deliver(NAME, [first])
        eventually(lambda: subscriber.ids, within=5)
        rabbit.queue_delete(subscriber.queue)
        second = publish_message()
        chunks.deliver(NAME, [second])
    assert state_of(first).status == "success"
    assert (state_of(second).status, state_of(second).attempts) == ("pending", 1)

    let_pass(timedelta(minutes=1))
    with pika_subscriber(broker_url, exchange.name) as subscriber:
        chunks.deliver(NAME, [second])

        assert eventually(lambda: subscriber.ids, within=5) == keys_of([second])
    assert state_of(second).status == "success"


def test_an_exchange_that_was_deleted_under_an_open_channel_is_made_again(lead, exchange, broker_url, rabbit):
    lead()
    with pika_subscriber(broker_url, exchange.name):
        chunks.deliver(NAME, [publish_message()])
    rabbit.exchange_delete(exchange.name)
    ids = publish_messages(20)

    chunks.deliver(NAME, ids)

    # The exchange is there again, without a queue.
    assert {state_of(id).attempts for id in ids} == {1}
    assert all("Unroutable" in state_of(id).last_error for id in ids)


def test_behind_one_that_is_not_confirmed_nothing_of_its_key_is_sent(lead, exchange, broker_url):
    lead(pattern="test.*", exchange=exchange)
    with pika_subscriber(broker_url, exchange.name, "test.sold") as subscriber:
        ids = [
            publish_message("test.sold", ordering_key="a", number=1),
            publish_message("test.lost", ordering_key="a", number=2),
            publish_message("test.sold", ordering_key="a", number=3),
            publish_message("test.sold", ordering_key="b", number=4),
        ]
        chunks.deliver(NAME, ids)

        eventually(lambda: len(subscriber.ids) >= 2, within=5)
        assert {received.body["number"] for received in subscriber.received} == {1, 4}
    states = [(state_of(id).status, state_of(id).attempts, state_of(id).attempt_limit) for id in ids]
    assert states == [("success", 1, 3), ("pending", 1, 3), ("pending", 1, 4), ("success", 1, 3)]
    assert kept_attempts(ids[2]) == []


def test_a_worker_that_was_lost_makes_no_suspects_and_spends_nothing(lead, link):
    lead()
    ids = publish_messages(20)
    for _loss in range(5):
        Message.objects.filter(pk__in=ids).update(
            status="started",
            attempts=F("attempts") + 1,
            started_at=Now(),
            lease_until=Now() - timedelta(seconds=1),
            due_at=Now(),
        )
        rescan.rescan()

    states = {(state_of(id).status, state_of(id).lost, state_of(id).attempt_limit) for id in ids}
    assert states == {("pending", 0, 8)}
    assert Attempt.objects.filter(outcome="lost").count() == 100


def test_one_that_was_overtaken_meanwhile_harms_none(lead, exchange, broker_url, monkeypatch):
    lead()
    ids = publish_messages(10)
    send = Forward.send

    def overtaken(self, messages, *, until):
        Message.objects.filter(pk=ids[3]).update(attempts=F("attempts") + 1)
        return send(self, messages, until=until)

    monkeypatch.setattr(Forward, "send", overtaken)
    with pika_subscriber(broker_url, exchange.name):
        chunks.deliver(NAME, ids)

    assert [state_of(id).status for id in ids] == ["success"] * 3 + ["started"] + ["success"] * 6
    assert kept_attempts(ids[3]) == [(1, "late", "")]


def test_a_success_says_that_the_broker_has_confirmed_it(lead, exchange, broker_url):
    from outbox.admin.messages.diagnosis import Case, diagnose
    from tests.harness.clock import database_time

    entry = lead()
    with pika_subscriber(broker_url, exchange.name):
        id = publish_message()
        chunks.deliver(NAME, [id])

    message = Message.objects.get(pk=id)
    state = ConsumerState(consumer=NAME)
    said = diagnose(Case(message=message, consumer=entry, state=state, attempts=[], now=database_time()))
    assert said.happened == "Confirmed by the broker in attempt 1."
    assert f"(exchange {exchange.name})" in said.means
    assert registry.get(NAME) is entry
