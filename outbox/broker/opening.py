"""Connecting to a broker: the first of its addresses that answers, and what is to be said if none does."""

import logging
from collections.abc import Iterable
from typing import Any

from kombu import Connection
from kombu.exceptions import OperationalError

from outbox.broker.tls import why_no_tls
from outbox.conf import conf
from outbox.errors import BrokerAway, BrokerDistrusted, BrokerRefuses

log = logging.getLogger("outbox.broker")

REFUSED_ENTRY = frozenset({403, 530})
"""What RabbitMQ answers when user and password are wrong, or the vhost is not there or not for this user."""


def first_to_answer(connections: Iterable[Connection], *, setting: str = "") -> tuple[Connection, Any]:
    """Connect to the first address that answers; return the connection, and the client's own.

    Not kombu's connect(), which takes three times the timeout. ``setting`` is where the address stands, if that is not
    Celery's ``broker_url``.

    Raises ``BrokerRefuses`` if an address does not let us in; else what is wrong with the first: ``BrokerDistrusted``
    if it is TLS, or what the client has raised.
    """
    errors: list[BaseException] = []
    refused: BrokerRefuses | None = None
    for connection in connections:
        own: tuple[Any, ...] = (*connection.connection_errors, *connection.channel_errors)
        try:
            wire = connection.transport.establish_connection()
        except (OSError, OperationalError, *own) as error:
            errors.append(_distrust(connection, error, setting) or error)
            if getattr(error, "reply_code", None) in REFUSED_ENTRY:
                refused = refused or refusal_of("", connection, error)
        else:
            if errors:
                log.info("%s answers, and addresses before it did not: %r", connection.hostname, errors)
            return connection, wire
    if refused:
        raise refused from errors[0]
    raise errors[0] if errors else BrokerAway("there is no address")


def refusal_of(queue: str, connection: Connection, error: Any) -> BrokerRefuses:
    """Return what the broker said that refuses the queue, or us if the name is empty."""
    return BrokerRefuses(
        queue,
        code=int(error.reply_code or 0),
        said=str(error.reply_text),
        vhost=connection.virtual_host or "/",
        user=connection.userid or "guest",
    )


def _distrust(connection: Connection, error: BaseException, setting: str) -> BrokerDistrusted | None:
    """Return what is to be said if it was TLS that failed."""
    named = {"options_in": f'{setting}["SSL"]', "address_in": setting} if setting else {}
    said = why_no_tls(error, connection, seconds=conf().connect_timeout.total_seconds(), **named)
    return BrokerDistrusted(said) if said else None
