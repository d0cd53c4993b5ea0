"""What connections that publish have in common: one channel, on which the broker confirms each message by its tag."""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from time import monotonic
from typing import Any

from kombu import Connection

from outbox.broker.opening import first_to_answer
from outbox.conf import conf

log = logging.getLogger("outbox.broker")

IDLE_SECONDS = 5.0
"""Seconds without use after which a connection may have been dropped on the way, by a balancer that told nobody."""
PATIENCE_WITH_IDLE = 1.0
"""Seconds for which an idle connection is waited for before a new one is opened in its place."""
ALARM = "RabbitMQ takes nothing, as its memory or its disk is full: rabbitmq-diagnostics alarms"

_inherited: list[Any] = []


class ConfirmingConnection(ABC):
    """One connection with one channel in confirm mode, opened when needed. Not to be shared between threads.

    The broker of files confirms nothing: what it has written is taken.
    """

    setting = ""
    """Where the broker's address stands, if that is not Celery's ``broker_url``."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._wire: Any = None
        self._channel: Any = None
        self._confirms = False
        self._pid = 0
        self._tag = 0
        self._used_at = 0.0

    @property
    def is_open(self) -> bool:
        """Tell whether it is open from before, so that it may be gone without anybody having noticed."""
        return self._wire is not None and self._pid == os.getpid()

    @property
    def _was_idle(self) -> bool:
        """Tell whether it is open and has not been used for a while."""
        return self.is_open and monotonic() - self._used_at > IDLE_SECONDS

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        connection, wire = self._connection, self._wire
        self._forget()
        if connection is None or wire is None:
            return
        try:
            connection.transport.close_connection(wire)
        except Exception as error:
            # Whatever a dying connection says on its way out, there is nothing left to do with it.
            log.debug("closing a connection to the broker: %r", error)

    def abandon(self) -> None:
        """Drop the connection without a farewell, which a broker in trouble would not answer."""
        wire = self._wire
        if not self._confirms:
            self.close()
            return
        self._forget()
        try:
            if wire is not None:
                wire.collect()
        except Exception as error:
            log.debug("dropping a connection to the broker: %r", error)

    def _open(self) -> bool:
        """Open the connection, unless it is open; tell whether it is a new one."""
        if self._wire is not None and not self.is_open:
            # Ours by fork: it is the parent's, and is kept from the collector, which would close it.
            _inherited.append((self._connection, self._wire, self._channel))
            self._forget()
        if self._wire is not None:
            return False
        self._pid = os.getpid()
        self._connection, self._wire = first_to_answer(self._candidates(), setting=self.setting)
        self._confirms = self._connection.transport.driver_type == "amqp"
        self._be_patient()
        self._channel = self._connection.transport.create_channel(self._wire)
        if self._confirms:
            self._channel.events["basic_ack"].add(self._on_ack)
            self._channel.events["basic_nack"].add(self._on_nack)
            self._channel.events["basic_return"].add(self._on_return)
            self._channel.confirm_select()
        return True

    def _be_patient(self) -> None:
        """Wait for the broker as long as for its confirms."""
        self._be_patient_for(conf().confirm_timeout.total_seconds())

    def _be_patient_with_idle(self) -> None:
        """Wait for the broker no longer than it is worth to keep an idle connection."""
        self._be_patient_for(min(PATIENCE_WITH_IDLE, conf().confirm_timeout.total_seconds()))

    def _be_patient_for(self, seconds: float) -> None:
        if self._confirms:
            self._wire.transport.sock.settimeout(seconds)

    def _forget(self) -> None:
        """Forget the connection, and all that is known on it alone."""
        self._connection = self._wire = self._channel = None
        self._tag = 0

    @abstractmethod
    def _candidates(self) -> Iterator[Connection]:
        """Yield a connection for each address, not opened yet, in the order in which they are tried."""

    @abstractmethod
    def _on_ack(self, tag: int, multiple: bool) -> None:
        """Note what the broker has taken."""

    @abstractmethod
    def _on_nack(self, tag: int, multiple: bool) -> None:
        """Note what the broker has not taken."""

    @abstractmethod
    def _on_return(self, error: Exception, exchange: str, routing_key: str, message: Any) -> None:
        """Note what no queue is bound for; the broker acknowledges it as well, right after."""


def tags_of(tag: int, multiple: bool, outstanding: Collection[int]) -> list[int]:
    """Return the tags that a confirm is about: its own, or with ``multiple`` all up to it that are outstanding."""
    return [sent for sent in outstanding if sent <= tag] if multiple else [tag]
