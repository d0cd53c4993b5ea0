"""Receivers that know no Django and nothing of ours: a queue of their own, bound to somebody's exchange."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import kombu
import pika  # type: ignore[import-untyped]  # it has no stubs
from kombu.simple import SimpleQueue
from kombu.utils.url import parse_url


class Received(NamedTuple):
    """One message as a receiver sees it."""

    message_id: str
    body: Any
    routing_key: str
    properties: Any
    headers: dict[str, Any]


class PikaSubscriber:
    """A plain pika consumer in a thread of its own. What it has is its own until it says so."""

    def __init__(self, url: str, exchange: str, binding: str, *, type: str = "topic", queue: str = "") -> None:
        self.received: list[Received] = []
        self._connection = pika.BlockingConnection(parameters_of(url))
        self._channel = self._connection.channel()
        self._channel.exchange_declare(exchange, type, durable=True)
        declared = self._channel.queue_declare(queue, durable=bool(queue), exclusive=not queue)
        self.queue = declared.method.queue
        self._channel.queue_bind(self.queue, exchange, binding)
        self._channel.basic_qos(prefetch_count=1000)
        self._channel.basic_consume(self.queue, self._take)
        self._thread = threading.Thread(target=self._channel.start_consuming, daemon=True)
        self._thread.start()

    def _take(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        headers = properties.headers or {}
        self.received.append(Received(properties.message_id, json.loads(body), method.routing_key, properties, headers))
        channel.basic_ack(method.delivery_tag)

    @property
    def ids(self) -> list[str]:
        """The ids of the messages, as they came."""
        return [received.message_id for received in self.received]

    @property
    def first_ids(self) -> list[str]:
        """The same, each where it came first."""
        return list(dict.fromkeys(self.ids))

    def close(self) -> None:
        """End it."""
        if self._connection.is_open:
            self._connection.add_callback_threadsafe(self._channel.stop_consuming)
            self._thread.join(10)
        if self._connection.is_open:
            self._connection.close()


def parameters_of(url: str) -> pika.ConnectionParameters:
    """Return what pika takes; in its own addresses the vhost ``/`` is written otherwise than in kombu's."""
    found = parse_url(url)
    given = pika.PlainCredentials(found["userid"] or "guest", found["password"] or "guest")
    return pika.ConnectionParameters(
        found["hostname"] or "127.0.0.1", found["port"] or 5672, found["virtual_host"] or "/", given
    )


@contextmanager
def pika_subscriber(url: str, exchange: str, binding: str = "#", **options: Any) -> Iterator[PikaSubscriber]:
    """Run a pika subscriber."""
    subscriber = PikaSubscriber(url, exchange, binding, **options)
    try:
        yield subscriber
    finally:
        subscriber.close()


@contextmanager
def kombu_queue(url: str, exchange: kombu.Exchange, binding: str = "#") -> Iterator[SimpleQueue]:
    """Bind a queue with plain kombu and return it; ``get`` takes the next message."""
    with kombu.Connection(url) as connection:
        queue = kombu.Queue("", exchange=exchange, routing_key=binding, exclusive=True)
        simple = connection.SimpleQueue(queue)  # type: ignore[arg-type]  # the stubs know only names
        try:
            yield simple
        finally:
            simple.close()
