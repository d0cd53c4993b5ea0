"""Going on after a handler has ended the transaction of its chunk, by COMMIT or ROLLBACK."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from django.db import connections, transaction

from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery import execution, follow_up, runs, settling
from outbox.delivery.database_errors import once_back
from outbox.delivery.execution import Report
from outbox.errors import Superseded, TransactionEnded
from outbox.models import Fence, Message
from outbox.models.sql import statements

log = logging.getLogger("outbox.delivery")

AWAY_LIMIT = timedelta(seconds=30)
"""How long it is tried: longer than a lease, as nobody takes rows back either while the database is away."""


class Ended(Exception):
    """A handler ended its transaction: the reports before it, the messages it was called for, and those after."""

    def __init__(
        self, cause: TransactionEnded, before: Sequence[Report], guilty: Sequence[Message], after: Sequence[Message]
    ) -> None:
        super().__init__(str(cause))
        self.cause, self.before, self.guilty, self.after = cause, before, guilty, after


def go_on_after(consumer: Consumer, ended: Ended, rest: Sequence[Fence] = ()) -> list[Fence]:
    """Settle what the handler has committed, fail its own message, and return what must be redone, and the ``rest``.

    What it has rolled back is redone as if it had not been there. The session goes: nobody knows what is left in it.
    What is committed must not be forgotten for a database that is away: for half a minute, it is tried again.
    """
    connections[conf().database].close()
    committed = once_back(lambda: statements.was_committed(ended.guilty[0]), within=AWAY_LIMIT)
    log.error(
        "%s: message %s ended the transaction of its chunk, which was %s",
        consumer.name,
        ", ".join(str(message.pk) for message in ended.guilty),
        "committed" if committed else "rolled back",
    )
    # After a ROLLBACK, too, what the handler went on to write has been committed, statement by statement.
    done = [report for report in ended.before if committed and report.had_its_turn]
    guilty = [execution.classify(message, ended.cause) for message in ended.guilty]
    settled = {report.message.fence for report in done}
    undone = [report.message.fence for report in ended.before if report.message.fence not in settled]
    left = [*undone, *(message.fence for message in ended.after), *rest]
    for report in [*done, *guilty]:
        left = once_back(partial(_settle_alone, consumer, report, left), within=AWAY_LIMIT)
    return left


def _settle_alone(consumer: Consumer, report: Report, rest: list[Fence]) -> list[Fence]:
    """Settle one report in a transaction of its own, if the row is still ours; return what may follow of the rest."""
    report = replace(report, message=execution.without_transaction(report.message))
    try:
        with transaction.atomic(using=conf().database, durable=True):
            statements.lock([report.message.fence], wait=consumer.timeout)
            settling.settle(consumer, [report])
            rest = runs.hand_on([report], rest)
    except Superseded as error:
        log.warning("%s", error)
        return rest
    follow_up.follow_up(consumer, [report])
    return rest
