"""A look at a queue from outside: what waits in it, and whether anybody takes from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery.events.event import get_exchange

from outbox.broker.connection import BrokerConnection
from outbox.broker.opening import refusal_of
from outbox.broker.queues import celery_app
from outbox.errors import BrokerAway, BrokerDistrusted, BrokerRefuses


@dataclass(frozen=True, slots=True)
class QueueLook:
    """How many messages wait in a queue, and how many workers take from it."""

    waiting: int
    takers: int


class Lookout(BrokerConnection):
    """A connection that only looks."""

    def look_at(self, queue: str) -> QueueLook | None:
        """Return what is known of the queue, without making it; None where the broker is files.

        Raises ``BrokerAway`` or ``BrokerDistrusted``, and ``BrokerRefuses`` if we are not welcome, or the queue is not
        there or not for us.
        """
        with self._asking(queue):
            self._open()
            return self._look(queue) if self._confirms else None

    @contextmanager
    def _asking(self, queue: str) -> Iterator[None]:
        """Turn what the broker raises over a queue into what ``look_at`` raises; the next call opens a connection."""
        try:
            yield
        except (BrokerRefuses, BrokerDistrusted):
            raise
        except self._errors() as error:
            connection = self._connection
            self.abandon()
            if connection is not None and isinstance(error, connection.channel_errors):
                raise refusal_of(queue, connection, error) from error
            raise BrokerAway(f"the broker did not answer for {queue}: {self._why(error)}") from error

    def _look(self, queue: str) -> QueueLook:
        found = self._channel.queue_declare(queue=queue, passive=True)
        return QueueLook(waiting=int(found.message_count), takers=int(found.consumer_count))

    def look_at_exchanges(self) -> None:
        """Declare what a worker of Celery declares before it takes anything: the exchanges of its commands and events.

        Raises ``BrokerRefuses`` with the name of the one that our user may not have.
        """
        app: Any = celery_app()
        self._open()
        connection = self._connection_of()
        for exchange in (app.control.mailbox.exchange, get_exchange(connection, name=app.conf.event_exchange)):
            try:
                exchange(self._channel).declare()
            except connection.channel_errors as error:
                raise refusal_of(exchange.name, connection, error) from error
            except self._errors() as error:
                raise BrokerAway(f"the broker did not answer for {exchange.name}: {self._why(error)}") from error
