"""Consumers that talk to the world outside (``atomic=False``): called row by row, in no transaction of ours.

The result is settled by compare-and-set: by the handler itself, in one transaction with what it writes, or after it
has returned.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic, sleep
from typing import Any

from django.db import InterfaceError, OperationalError, connections, transaction

from outbox import logs
from outbox.conf import conf
from outbox.delivery import execution, follow_up, sessions, settling
from outbox.delivery.execution import Report
from outbox.delivery.savepoints import let_hooks_stand_alone, refuse_silent_rollback
from outbox.errors import LeftOpenError, Superseded
from outbox.models import Fence, Message
from outbox.models.sql import statements
from outbox.policy import Succeeded
from outbox.registry import Consumer

log = logging.getLogger("outbox.delivery")

SETTLED_TWICE = "message.settling() was used before; a message is settled once"
SETTLE_PAUSE = 0.5
"""Seconds between two tries to settle what was done outside while the database is away."""


def handle(consumer: Consumer, fence: Fence) -> None:
    """Call the consumer for a row that was started, and settle it."""
    message = Message.objects.held([fence]).first()
    if message is not None:
        with logs.at_work_on(message):
            _handle(consumer, message)


def _handle(consumer: Consumer, message: Message) -> None:
    settlement = Settlement(message)
    message.settlement = settlement.open
    report = call_outside(consumer, message)
    sessions.restore()
    if not settlement.done:
        settle_outside(consumer, report)
        return
    if not isinstance(report.outcome, Succeeded):
        log.error("message %d was settled as a success, then its handler failed: %s", message.pk, report.error)
    if settlement.refused:
        # The success stands; what the handler wanted to write with a second one is lost, and that is shown beside it.
        settling.record_beside_success(replace(report, error=SETTLED_TWICE))
    follow_up.follow_up(consumer, [Report(message, Succeeded())])


class Settlement:
    """The one transaction in which a handler may commit its result together with the success."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self.done = self.refused = False

    @contextmanager
    def open(self) -> Iterator[None]:
        """Mark the success, let the handler write, commit both; ``Superseded`` if the attempt was overtaken."""
        if self.done:
            self.refused = True
            raise RuntimeError(SETTLED_TWICE)
        message = self._message
        connection: Any = connections[conf().database]
        hooks_before = len(connection.run_on_commit)
        with transaction.atomic(using=conf().database, durable=True):
            if not statements.succeed([message.fence]):
                raise Superseded(f"message {message.pk} is no longer ours: attempt {message.attempts} was overtaken")
            yield
            refuse_silent_rollback()
            let_hooks_stand_alone(connection, hooks_before)
        self.done = True


def call_outside(consumer: Consumer, message: Message) -> Report:
    """Call the consumer in no transaction of ours, and judge what it does and what it leaves open."""
    found = {alias: _depth(connection) for alias, connection in _open_connections()}
    try:
        execution.run(consumer, execution.copy_of(message))
        report = Report(message, Succeeded())
    except execution.ENDS_THE_PROCESS:
        raise
    except BaseException as error:
        report = execution.classify(message, error)
    left = [alias for alias, connection in _open_connections() if _depth(connection) != found.get(alias, SHUT)]
    for alias in left:
        _close(connections[alias])
    if left and isinstance(report.outcome, Succeeded):
        return execution.classify(
            message,
            LeftOpenError(
                f"the handler returned with a transaction open on {', '.join(left)}, or with autocommit switched off; "
                "use transaction.atomic() as a with-block or a decorator"
            ),
        )
    return report


def _open_connections() -> list[tuple[str, Any]]:
    return [(connection.alias, connection) for connection in connections.all(initialized_only=True)]


def _depth(connection: Any) -> tuple[bool, bool, int, int]:
    """Return what must be after a call as it was before it: autocommit, and how deep in blocks the connection is."""
    return (
        connection.autocommit or connection.connection is None,
        connection.in_atomic_block,
        len(connection.savepoint_ids),
        len(connection.atomic_blocks),
    )


SHUT = (True, False, 0, 0)
"""How deep in blocks a connection is that nobody has used."""


def _close(connection: Any) -> None:
    """Close the connection whatever Django believes to be open on it; what was not committed is lost."""
    connection.in_atomic_block = False
    connection.needs_rollback = False
    connection.savepoint_ids.clear()
    connection.atomic_blocks.clear()
    connection.run_on_commit.clear()
    connection.close()


def settle_outside(consumer: Consumer, report: Report) -> None:
    """Write down what the call came to, if the row is still ours; else keep that it came too late."""
    try:
        _in_one_transaction(consumer, report)
    except Superseded:
        settling.record_late(report)
        return
    except (OperationalError, InterfaceError):
        # The connection broke while the handler talked to the world; what it did must not be forgotten for that.
        _settle_again(consumer, report)
    follow_up.follow_up(consumer, [report])


def _settle_again(consumer: Consumer, report: Report) -> None:
    """Settle once the database is back, for as long as a lease: then another worker may have the row."""
    until = monotonic() + conf().lease.total_seconds()
    while True:
        connections[conf().database].close()
        try:
            _in_one_transaction(consumer, report)
        except Superseded:
            # A try may have been committed before its connection broke; then there is nothing to keep.
            if not Message.objects.filter(pk=report.message.pk, attempts=report.message.attempts).exists():
                settling.record_late(report)
        except (OperationalError, InterfaceError):
            if monotonic() >= until:
                raise
            sleep(SETTLE_PAUSE)
            continue
        return


def _in_one_transaction(consumer: Consumer, report: Report) -> None:
    with transaction.atomic(using=conf().database):
        settling.settle(consumer, [report])
