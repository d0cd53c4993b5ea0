"""The connection to a source's broker: its address, its TLS, and how much is read at once."""

from collections.abc import Iterable, Iterator
from typing import Any

import amqp
from kombu import Connection
from kombu.exceptions import OperationalError

from outbox.broker.opening import first_to_answer
from outbox.conf import conf
from outbox.errors import BrokerAway, BrokerRefuses
from outbox.external import brokers

READ_AHEAD = 4096
"""Bytes that are taken from the socket at once."""


def connect(broker: str, *, heartbeat: int) -> tuple[Connection, Any]:
    """Connect to the first address of a broker that answers; return the connection, and the client's own.

    Raises ``BrokerAway`` if none answers, and ``BrokerRefuses`` if there is no broker of this name, it is none of AMQP,
    or it does not let us in: a person must mend that.
    """
    if not brokers.is_known(broker):
        raise _unusable(f'OUTBOX["BROKERS"] has no {broker!r}')
    connections = _of_amqp(brokers.connections_to_receive(broker, heartbeat=heartbeat))
    try:
        connection, wire = first_to_answer(connections, setting=brokers.setting_of(broker))
    except (OSError, OperationalError, amqp.AMQPError) as error:
        raise BrokerAway(f"{type(error).__name__}: {error}") from error
    wire.transport.sock.settimeout(conf().confirm_timeout.total_seconds())
    _read_ahead(wire.transport)
    return connection, wire


def _of_amqp(connections: Iterable[Connection]) -> Iterator[Connection]:
    for connection in connections:
        if connection.transport.driver_type != "amqp":
            raise _unusable("messages are received from AMQP alone, not from files")
        yield connection


def _read_ahead(transport: Any) -> None:
    """Have the client take more from the socket than it asks for: by itself it reads each message in nine parts."""
    receive = transport._quick_recv
    transport._quick_recv = lambda size: receive(max(size, READ_AHEAD))


def _unusable(said: str) -> BrokerRefuses:
    return BrokerRefuses("", code=0, said=said, vhost="", user="")
