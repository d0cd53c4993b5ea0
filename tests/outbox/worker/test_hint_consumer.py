"""The worker's consumer on RabbitMQ: the host's queues on one channel, ours on another, seen from outside as one."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from amqp.exceptions import InternalError
from django.conf import settings
from kombu import Connection, Producer, Queue
from kombu.message import Message

from outbox.broker.queues import EngineQueue, hint_queue
from outbox.worker import quiet_queues
from outbox.worker.hint_consumer import TaskConsumer
from tests.harness.program import eventually

pytestmark = pytest.mark.services


@pytest.fixture
def prefix() -> str:
    """What the names of the queues begin with in this run."""
    return f"{settings.OUTBOX['PREFIX']}-hints{os.getpid()}"


@pytest.fixture
def connection() -> Iterator[Connection]:
    with Connection(settings.CELERY_BROKER_URL, connect_timeout=5) as connection:
        yield connection


@pytest.fixture
def host_queue(prefix: str) -> Queue:
    return Queue(f"{prefix}.tasks", routing_key=f"{prefix}.tasks", durable=True)


@pytest.fixture
def our_queue(connection: Connection) -> Iterator[EngineQueue]:
    queue = hint_queue("stranger.hints")
    yield queue
    connection.channel().queue_delete(queue.name)


@pytest.fixture
def consumer(connection: Connection, host_queue: Queue, our_queue: EngineQueue) -> Iterator[TaskConsumer]:
    """A consumer as Celery makes it, with the prefetch of the whole channel, which quorum queues refuse."""
    channel = connection.channel()
    channel.basic_qos(0, 4, True)
    consumer = TaskConsumer(channel, [host_queue, our_queue], hints_at_once=2)
    yield consumer
    consumer.cancel()
    connection.channel().queue_delete(host_queue.name)


def readers(connection: Connection, *queues: Queue) -> list[int]:
    channel = connection.channel()
    return [channel.queue_declare(queue.name, passive=True).consumer_count for queue in queues]


def waiting(connection: Connection, queue: Queue) -> int:
    with connection.channel() as channel:
        return int(channel.queue_declare(queue.name, passive=True).message_count)


def test_it_reads_from_both_kinds_of_queues_until_it_is_told_to_stop(connection, consumer, host_queue, our_queue):
    consumer.consume()

    assert {queue.name for queue in consumer.queues} == {host_queue.name, our_queue.name}
    assert consumer.consuming_from(host_queue.name)
    assert consumer.consuming_from(our_queue)
    assert readers(connection, host_queue, our_queue) == [1, 1]
    consumer.cancel_by_queue(our_queue.name)
    assert readers(connection, host_queue, our_queue) == [1, 0]
    consumer.add_queue(our_queue)
    consumer.consume()
    assert readers(connection, host_queue, our_queue) == [1, 1]
    consumer.close()
    assert readers(connection, host_queue, our_queue) == [0, 0]


def test_hints_have_a_prefetch_of_their_own_and_are_acknowledged_on_their_own_channel(
    connection, consumer, host_queue, our_queue
):
    taken: list[Message] = []
    consumer.consume()
    consumer.on_message = taken.append
    publish(connection, host_queue, 6)
    publish(connection, our_queue, 6)

    assert drained(connection, taken, until=6) == {host_queue.name: 4, our_queue.name: 2}
    for message in taken:
        message.ack()
    assert drained(connection, taken, until=10) == {host_queue.name: 6, our_queue.name: 4}


@pytest.fixture
def leftover(connection: Connection) -> Iterator[EngineQueue]:
    """A queue of our name that somebody declared with other arguments."""
    queue = hint_queue("stranger.leftover")
    connection.channel().queue_declare(queue.name, durable=True, auto_delete=False)
    yield queue
    connection.channel().queue_delete(queue.name)


def test_a_queue_that_the_broker_refuses_holds_up_no_other_and_is_tried_again(
    connection, host_queue, our_queue, leftover, caplog
):
    consumer = TaskConsumer(connection.channel(), [leftover, host_queue, our_queue], hints_at_once=2)
    consumer.consume()
    channels = len(connection.connection.channels)
    for _time in range(3):
        consumer.try_again()

    assert len(connection.connection.channels) == channels
    assert readers(connection, host_queue, our_queue, leftover) == [1, 1, 0]
    [said] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert leftover.name in said
    assert "PRECONDITION_FAILED" in said
    connection.channel().queue_delete(leftover.name)
    consumer.try_again()
    assert readers(connection, our_queue, leftover) == [1, 1]
    consumer.cancel()
    connection.channel().queue_delete(host_queue.name)


def test_a_queue_that_has_hints_and_gives_none_gets_another_channel(
    connection, consumer, our_queue, monkeypatch, caplog
):
    monkeypatch.setattr(quiet_queues, "LOOK_EVERY", 0)
    taken: list[Message] = []
    consumer.consume()
    consumer.on_message = taken.append
    [channel] = [one for one in channels(connection) if one.callbacks and one is not consumer.channel]
    [tag] = channel.callbacks
    lost: list[Any] = []
    channel.callbacks[tag] = lost.append
    publish(connection, our_queue, 5)

    drained(connection, lost, until=2)
    eventually(lambda: waiting(connection, our_queue) == 3, within=10)
    assert not taken
    assert len(lost) == 2, "RabbitMQ takes them for delivered, and they never came"
    consumer.open_stalled_anew()
    assert drained(connection, taken) == {}, "once may be chance: a hint can be on its way"
    consumer.open_stalled_anew()

    assert drained(connection, taken, until=2) == {our_queue.name: 2}
    assert not channel.is_open
    assert "has hints and gives none" in caplog.text
    for came in (4, 5):
        for message in taken:
            if not message.acknowledged:
                message.ack()
        drained(connection, taken, until=came)
    assert len(taken) == 5


def test_a_consumer_that_is_busy_or_has_nothing_to_take_keeps_its_channel(connection, consumer, our_queue, monkeypatch):
    monkeypatch.setattr(quiet_queues, "LOOK_EVERY", 0)
    taken: list[Message] = []
    consumer.consume()
    consumer.on_message = taken.append
    before = channels(connection)

    for _look in range(3):
        consumer.open_stalled_anew()
    publish(connection, our_queue, 5)
    assert drained(connection, taken, until=2) == {our_queue.name: 2}
    for _look in range(3):
        consumer.open_stalled_anew()

    [_looks] = [one for one in channels(connection) if one not in before and one.is_open and not one.callbacks]
    assert all(one.is_open for one in before)
    assert drained(connection, taken) == {our_queue.name: 2}, "two are under way, and three wait for their turn"


def test_a_connection_that_breaks_while_it_begins_is_not_taken_for_something_else(connection, consumer, our_queue):
    def broken() -> None:
        connection.connection.collect()
        raise InternalError("(541) INTERNAL_ERROR")

    consumer._hints[our_queue.name].consume = broken

    with pytest.raises(InternalError):
        consumer.consume()


@pytest.mark.parametrize(
    "act",
    [TaskConsumer.consume, lambda consumer: consumer.add_queue(consumer.queues[-1]), TaskConsumer.open_stalled_anew],
    ids=["consume", "add a queue", "look for stalled queues"],
)
def test_whoever_finds_the_connection_gone_has_celery_connect_again(connection, consumer, our_queue, monkeypatch, act):
    monkeypatch.setattr(consumer._quiet, "stalled", lambda consuming, waiting: [waiting(our_queue.name)])
    connection.connection.collect()

    with pytest.raises(connection.connection_errors):
        act(consumer)


def test_our_queues_are_quorum_queues_though_celery_does_not_see_it(connection, our_queue):
    channel = connection.channel()
    our_queue(channel).declare()

    assert our_queue.queue_arguments is None
    classic = our_queue.declared_with | {"x-queue-type": "classic"}
    with pytest.raises(connection.channel_errors, match="x-queue-type"):
        channel.queue_declare(our_queue.name, durable=True, auto_delete=False, arguments=classic)


def channels(connection: Connection) -> list[Any]:
    return [one for number, one in connection.connection.channels.items() if number]


def publish(connection: Connection, queue: Queue, many: int) -> None:
    with connection.channel() as channel:
        for _number in range(many):
            Producer(channel).publish({}, exchange="", routing_key=queue.name)


def drained(connection: Connection, taken: list[Any], *, until: int = 0) -> dict[str, int]:
    """Read until that many were taken and nothing comes any more; return how many messages came from which queue."""

    def nothing_comes() -> bool:
        try:
            connection.drain_events(timeout=0.3)
        except TimeoutError:
            return len(taken) >= until
        return False

    eventually(nothing_comes, within=20)
    counts: dict[str, Any] = {}
    for message in taken:
        name = message.delivery_info["routing_key"]
        counts[name] = counts.get(name, 0) + 1
    return counts
