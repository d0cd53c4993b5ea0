"""A queue at a real RabbitMQ: made, bound, taken as it is, and what is delivered stays in hand until it is settled."""

from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
from amqp import Message as AmqpMessage
from kombu import Connection

from outbox.broker.queues import celery_app, queue_name
from outbox.errors import BrokerAway, BrokerRefuses
from outbox.external.ingest.feed import Feed
from tests.harness.program import eventually

pytestmark = pytest.mark.services

NAME = "test-partner"
QUORUM = {"x-queue-type": "quorum"}


@pytest.fixture
def queue() -> str:
    return queue_name(NAME)


@pytest.fixture
def broker(queue: str) -> Iterator[Any]:
    """A channel of the test's own; the queue and the exchange are gone afterwards."""
    with Connection(celery_app().conf.broker_url) as connection:
        channel: Any = connection.channel()
        yield channel
        with Connection(celery_app().conf.broker_url) as last:
            last.channel().queue_delete(queue)
            last.channel().exchange_delete(queue)


@pytest.fixture
def feed(source, queue: str) -> Iterator[Feed]:
    opened = Feed(source(queue=queue, bindings=[]))
    yield opened
    opened.close()


def send(broker: Any, queue: str, *ids: str, exchange: str = "", **more: Any) -> None:
    for id in ids:
        broker.basic_publish(AmqpMessage(b"{}", message_id=id, **more), exchange=exchange, routing_key=queue)


def take(feed: Feed, many: int) -> list[Any]:
    """Gather until so many have come."""
    found: list[Any] = []
    eventually(
        lambda: found.extend(feed.gather(most=200, patience=0.2, wait=0.02)) or len(found) >= many, within=10, every=0
    )
    return found


def depth(broker: Any, queue: str) -> int:
    return int(broker.queue_declare(queue, passive=True).message_count)


def test_a_queue_that_is_not_there_is_made_and_what_is_acknowledged_is_gone(broker, queue, feed):
    feed.open()
    send(broker, queue, "1", "2", "3", type="sold", timestamp=1_800_000_000, application_headers={"note": "x"})
    feed.consume()

    came = take(feed, 3)
    feed.ack(came, all_before=True)
    feed.close()

    first = came[0].incoming
    assert [one.incoming.properties["message_id"] for one in came] == ["1", "2", "3"]
    assert (first.body, first.headers, first.redelivered, first.routing_key) == (b"{}", {"note": "x"}, False, queue)
    assert first.properties["timestamp"].year == 2027
    eventually(lambda: depth(broker, queue) == 0, within=5)
    assert feed.drops_after == ""


def test_what_is_not_acknowledged_comes_again_alone_and_says_so(broker, queue, feed):
    feed.open()
    send(broker, queue, "1", "2")
    feed.consume()
    take(feed, 2)
    feed.close()

    feed.open()
    feed.consume(prefetch=1)
    first = feed.gather(most=200, patience=5, wait=0.1)
    nothing = feed.gather(most=200, patience=0.3, wait=0.1)
    feed.ack(first, all_before=True)
    second = feed.gather(most=200, patience=5, wait=0.1)

    assert [len(first), len(nothing), len(second)] == [1, 0, 1]
    assert first[0].incoming.redelivered
    assert second[0].incoming.redelivered


def test_consuming_changes_over_without_anything_being_sent_back_or_overtaken(broker, queue, feed):
    ids = [str(number) for number in range(200)]
    feed.open()
    send(broker, queue, *ids)
    feed.consume(prefetch=1)
    first = feed.gather(most=200, patience=5, wait=0)

    feed.consume()
    feed.ack(first, all_before=True)
    rest = take(feed, 199)

    assert [one.incoming.properties["message_id"] for one in [*first, *rest]] == ids
    assert not any(one.incoming.redelivered for one in rest)


def test_what_was_delivered_stays_in_hand_while_nothing_is_consumed(broker, queue, feed):
    delivered: list[Any] = []
    feed.open()
    send(broker, queue, *map(str, range(20)))
    feed.consume()
    came = feed.gather(most=1, patience=5, wait=0)
    late = monotonic() + 10
    # What is on its way when consuming stops is taken back, so all of it is in hand first.
    feed.read_ahead(delivered.append, most=19, may_go_on=lambda: len(delivered) < 19 and monotonic() < late)

    feed.stop_consuming()
    send(broker, queue, "later")
    feed.pump(0.5)
    rest = feed.gather(most=200, patience=0, wait=0)
    feed.ack([*came, *rest], all_before=True)

    assert [one.incoming.properties["message_id"] for one in [*came, *rest]] == [str(number) for number in range(20)]
    eventually(lambda: depth(broker, queue) == 1, within=5)


def test_the_sender_s_exchange_is_bound_to(broker, queue, source):
    broker.exchange_declare(queue, "topic", durable=True, auto_delete=False)
    bound = Feed(source("other", queue=queue, bindings=[(queue, "points.#")]))
    try:
        bound.open()
        bound.consume()
        send(broker, "points.given", "1", exchange=queue)
        [came] = take(bound, 1)
    finally:
        bound.close()

    assert (came.incoming.exchange, came.incoming.routing_key) == (queue, "points.given")


def test_an_exchange_that_is_not_there_is_refused_with_its_name(broker, queue, source):
    bound = Feed(source("other", queue=queue, bindings=[("nobody.s", "points.#")]))

    with pytest.raises(BrokerRefuses, match=r"no exchange 'nobody\.s'"):
        bound.open()
    bound.close()


@pytest.mark.parametrize(
    ("arguments", "drops_after"),
    [
        ({**QUORUM, "x-delivery-limit": 5}, "5"),
        ({**QUORUM, "x-delivery-limit": 5, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}, ""),
        ({**QUORUM, "x-max-length": 7, "x-single-active-consumer": True, "x-delivery-limit": 3}, "3"),
        ({"x-queue-type": "classic", "x-message-ttl": 60_000}, ""),
        ({}, ""),
    ],
)
def test_a_queue_of_others_is_taken_as_it_is_and_one_that_drops_messages_is_noticed(
    broker, queue, feed, arguments, drops_after
):
    broker.queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)

    feed.open()
    feed.consume()
    send(broker, queue, "1")

    assert len(take(feed, 1)) == 1
    assert feed.drops_after == drops_after


def test_a_queue_that_is_deleted_meanwhile_is_made_anew_with_the_next_connection(broker, queue, feed):
    feed.open()
    feed.consume()
    broker.queue_delete(queue)

    with pytest.raises(BrokerAway):
        feed.gather(most=1, patience=10, wait=0)
    feed.close()
    feed.open()

    assert depth(broker, queue) == 0


def test_a_broker_is_found_by_its_name(source, queue, configure, broker):
    named = Feed(source("other", queue=queue, broker="partner"))
    with pytest.raises(BrokerRefuses, match="BROKERS"):
        named.open()
    configure(BROKERS={"partner": f"amqp://nobody:wrong@127.0.0.1:1//;{celery_app().conf.broker_url}"})
    try:
        named.open()
        assert named.is_open
    finally:
        named.close()


def test_a_broker_that_does_not_answer_is_away(source, queue, configure):
    configure(BROKERS={"partner": "amqp://guest:guest@127.0.0.1:1//"})

    with pytest.raises(BrokerAway):
        Feed(source("other", queue=queue, broker="partner")).open()


def test_whom_the_broker_does_not_let_in_is_refused(source, queue, configure):
    at = celery_app().conf.broker_url.rpartition("@")[2]
    configure(BROKERS={"partner": f"amqp://nobody:wrong@{at}"})

    with pytest.raises(BrokerRefuses):
        Feed(source("other", queue=queue, broker="partner")).open()
