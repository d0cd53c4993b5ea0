"""What the benchmarks ask of RabbitMQ itself, past every contestant."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from kombu import Connection

CONNECT_TIMEOUT_SECONDS = 5


@contextlib.contextmanager
def open_channel(url: str) -> Iterator[Any]:
    """Open an AMQP channel; kombu's types know only what all transports share, hence ``Any``."""
    with Connection(url, connect_timeout=CONNECT_TIMEOUT_SECONDS) as connection:
        yield connection.channel()


def queue_depth(url: str, queue: str) -> int:
    """Return how many messages are ready in a queue."""
    with open_channel(url) as channel:
        return int(channel.queue_declare(queue, passive=True).message_count)


def queue_exists(url: str, queue: str) -> bool:
    """Tell whether there is a queue of this name."""
    with Connection(url, connect_timeout=CONNECT_TIMEOUT_SECONDS) as connection:
        channel: Any = connection.channel()
        try:
            channel.queue_declare(queue, passive=True)
        except connection.channel_errors:
            return False
        return True


def delete_queues_and_exchanges(url: str, names: Iterable[str]) -> None:
    """Delete the queue and the exchange of each name; what does not exist is no error."""
    with open_channel(url) as channel:
        for name in names:
            channel.queue_delete(name)
            channel.exchange_delete(name)


def server_version(url: str) -> str:
    """Return RabbitMQ's version, or ``unknown``."""
    with Connection(url, connect_timeout=CONNECT_TIMEOUT_SECONDS) as connection:
        connection.connect()
        wire: Any = connection.connection
        return str(wire.server_properties.get("version", "unknown"))
