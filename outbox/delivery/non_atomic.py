"""Consumers that talk to the world outside (``atomic=False``): called row by row, in no transaction of ours.

The result is settled by compare-and-set: by the handler itself, in one transaction with what it writes, or after it
has returned.

If the engine's database goes away during the call, or a deadlock takes the handler's ``settling()`` block, no attempt
is spent. We cannot run that block again alone, and what the handler would make of a second answer is not ours to
guess. So the whole call is made again later, under the same idempotency key: the vendor's deduplication keeps the money
right. It is free a number of times in a row and then a failed attempt, so that nothing goes round for ever.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn, ParamSpec, TypeVar

from django.db import connections, transaction

from outbox import logs
from outbox.broker import receipts
from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery import database_errors, execution, follow_up, sessions, settling
from outbox.delivery.database_errors import Fault
from outbox.delivery.execution import Report
from outbox.delivery.savepoints import ENDED, let_hooks_stand_alone, refuse_silent_rollback
from outbox.errors import LeftOpenError, Superseded, TransactionEnded
from outbox.models import Attempt, AttemptOutcome, Exchange, Fence, Message, Status
from outbox.models.sql import statements
from outbox.models.sql.errors import is_conflict
from outbox.policy import Failed, Interrupted, Succeeded

log = logging.getLogger("outbox.delivery")

P = ParamSpec("P")
T = TypeVar("T")

SETTLED_TWICE = "message.settling() was used before; a message is settled once"
INTERRUPTED = "interrupted: "
"""How the error of a free attempt begins."""
FREE_IN_A_ROW = 10
"""How many attempts in a row are free, although the database works, because a session ended or a settle met others."""


NOT_AWAITED = (
    "the handler called message.settle() and did not await it, so nothing was written: await message.settle(…)"
)

NOT_PLAIN = (
    "message.settle() was given a function that returns a coroutine, which has not run; give it a plain function that "
    "uses the ORM as usual (create, not acreate)"
)


class CallCancelled(Exception):
    """Somebody else has cancelled the call, on its event loop; nothing is wrong with its message."""


LEFT_OPEN = (
    "the handler returned with a transaction open on {where}, or with autocommit switched off; "
    "use transaction.atomic() as a with-block or a decorator"
)
FORKED = "message.settling() was used in a process that the handler forked; only the one that was called may settle"


class Ended(NamedTuple):
    """What a call came to for one message, and whether its handler has settled it, or tried to settle it twice.

    ``talked_on`` tells whether it has recorded exchanges since.
    """

    report: Report
    settled: bool = False
    twice: bool = False
    talked_on: bool = False


def handle(consumer: Consumer, fence: Fence) -> None:
    """Call the consumer for a row that was started, and settle it."""
    message = database_errors.once_back(lambda: Message.objects.held([fence]).first())
    if message is not None:
        with logs.at_work_on(message):
            [ended] = make_call(consumer, [message])
            sessions.restore()
            finish(consumer, ended)


def make_call(consumer: Consumer, messages: Sequence[Message]) -> list[Ended]:
    """Call the consumer in no transaction of ours; report what it raised, and what it left open.

    For one message, or for the many of a ``bulk`` consumer.
    """
    if consumer.bulk:
        work = execution.hand_out(messages)
        return [Ended(report) for report in _reports(messages, call_outside(consumer, work))]
    [message] = messages
    settlement = message.settlement = Settlement(message)
    try:
        error = call_outside(consumer, execution.for_handler(message))
    except execution.ENDS_THE_PROCESS:
        execution.keep_exchanges_of_the_last_call([message])
        raise
    return [judge(consumer, message, settlement, error)]


def _reports(messages: Sequence[Message], error: BaseException | None) -> list[Report]:
    return [as_free_where_the_database_was_in_the_way(report) for report in execution.reports_on(messages, error)]


def judge(consumer: Consumer, message: Message, settlement: "Settlement", error: BaseException | None) -> Ended:
    """Return what the call for one message came to. The database is asked if an error may be its own."""
    if error is None and settlement.promised and not settlement.done and settlement.failed is None:
        error = LeftOpenError(NOT_AWAITED)
    report = Report(message, Succeeded()) if error is None else execution.classify(message, error)
    if not settlement.done and not consumer.at_most_once:
        report = as_free_where_the_database_was_in_the_way(report, settlement)
    return Ended(report, settlement.done, settlement.refused, settlement.talked_on)


def finish(consumer: Consumer, ended: Ended) -> None:
    """Settle what the call came to, and what follows from it."""
    if not ended.settled:
        settle_outside(consumer, ended.report)
        return
    note_what_came_after_success(ended)
    follow_up.follow_up(consumer, [Report(ended.report.message, Succeeded())])


def note_what_came_after_success(ended: Ended) -> None:
    """Keep what was recorded, and say what went wrong, after the handler had settled its message: that stands."""
    report = ended.report
    if ended.talked_on:
        Exchange.objects.keep([report.message])
    if not isinstance(report.outcome, Succeeded):
        log.error("message %d was settled as a success, then its handler failed: %s", report.message.pk, report.error)
    if ended.twice:
        # What the handler wanted to write with a second success is lost, and that is shown beside the first.
        settling.record_beside_success(replace(report, error=SETTLED_TWICE))


class Settlement:
    """The one transaction in which a handler may commit its result together with the success."""

    of_many = False
    promised = False

    def __init__(self, message: Message) -> None:
        self._message = message
        self._pid = os.getpid()
        self._kept = 0
        self.done = self.refused = self.is_settling = False
        self.failed: BaseException | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Mark the success, let the handler write, commit both; ``Superseded`` if the attempt was overtaken.

        A handler may catch a deadlock or a serialization failure of its block, and open another. If it lets it pass,
        the call is made again and no attempt is spent.
        """
        if os.getpid() != self._pid:
            raise RuntimeError(FORKED)
        if self.done:
            self.refused = True
            raise RuntimeError(SETTLED_TWICE)
        self.is_settling = True
        try:
            with self._in_one_transaction():
                yield
        except BaseException as error:
            self.failed = error
            self.is_settling = False
            raise
        self.done = True

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` in that transaction and return what it returns; it must have run by then."""
        with self.open():
            result = function(*args, **kwargs)
            if execution.has_not_run(result):
                raise TypeError(NOT_PLAIN)
            return result

    @property
    def talked_on(self) -> bool:
        """Whether exchanges were recorded since the message was settled."""
        return self.done and len(self._message.exchanges or ()) > self._kept

    def report(self, error: BaseException | None) -> NoReturn:
        """Refuse what is for one of many."""
        raise RuntimeError(f"message.report({error!r:.50}) is for consumers with bulk=True; let the handler raise")

    @contextmanager
    def _in_one_transaction(self) -> Iterator[None]:
        message = self._message
        connection: Any = connections[conf().database]
        hooks_before = len(connection.run_on_commit)
        if connection.connection is not None and not connection.autocommit and not connection.in_atomic_block:
            # Its end would commit nothing, and the success would be lost with whatever the handler has left open.
            raise LeftOpenError(f"the handler switched autocommit off on {conf().database!r}, and settles nothing then")
        with transaction.atomic(using=conf().database, durable=True):
            if not statements.succeed([message.fence]):
                raise Superseded(f"message {message.pk} is no longer ours: attempt {message.attempts} was overtaken")
            yield
            refuse_silent_rollback(connection)
            self._refuse_lost_success()
            self._kept = len(message.exchanges or ())
            Exchange.objects.keep([message])
            receipts.publish_receipts([message])
            let_hooks_stand_alone(connection, hooks_before)

    def _refuse_lost_success(self) -> None:
        """Raise ``TransactionEnded`` if the handler has rolled the success back; what it wrote since goes too."""
        mine = Message.objects.filter(pk=self._message.pk, attempts=self._message.attempts, status=Status.SUCCESS)
        if not mine.exists():
            raise TransactionEnded(ENDED)


def call_outside(consumer: Consumer, work: Message | list[Message]) -> BaseException | None:
    """Call the consumer in no transaction of ours; return what it raised, or that it left one of its own open."""
    found = {alias: _depth(connection) for alias, connection in _open_connections()}
    error: BaseException | None = None
    try:
        execution.run(consumer, work)
    except execution.ENDS_THE_PROCESS as ends:
        if not consumer.wide:
            raise
        error = ends
    except BaseException as raised:
        error = raised
    left = [alias for alias, connection in _open_connections() if _depth(connection) != found.get(alias, SHUT)]
    for alias in left:
        close(connections[alias])
    if left and error is None:
        return LeftOpenError(LEFT_OPEN.format(where=", ".join(left)))
    return error


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


def is_left_open(connection: Any) -> bool:
    """Tell whether the connection is in a block, or without autocommit, where nobody should be at work on it."""
    return _depth(connection) != SHUT


def close(connection: Any) -> None:
    """Close the connection whatever Django believes to be open on it; what was not committed is lost."""
    connection.in_atomic_block = False
    connection.needs_rollback = False
    connection.savepoint_ids.clear()
    connection.atomic_blocks.clear()
    connection.run_on_commit.clear()
    connection.close()


def as_free_where_the_database_was_in_the_way(report: Report, settlement: Settlement | None = None) -> Report:
    """Return the report on a failed call as one that spends nothing, if it failed over the engine's database."""
    error = report.exception
    if error is None or not isinstance(report.outcome, Failed):
        return report
    fault = database_errors.judge(error)
    met_others = isinstance(error, CallCancelled) or (
        settlement is not None and error is settlement.failed and is_conflict(error)
    )
    if fault is Fault.HANDLER and not met_others:
        return report
    if fault is not Fault.DATABASE and _free_before(report.message) >= FREE_IN_A_ROW:
        return report
    return interrupted(report)


def interrupted(report: Report) -> Report:
    """Return the report as one that spends nothing: the call is made again in a moment."""
    return replace(
        report,
        outcome=Interrupted(conf().probe_after),
        error=INTERRUPTED + report.error,
        failure=None,
        exception=None,
    )


def _free_before(message: Message) -> int:
    """Return how many of the last attempts were free for the same reason."""
    last = Attempt.objects.filter(message=message.pk, number__gte=message.attempts - FREE_IN_A_ROW)
    return last.filter(outcome=AttemptOutcome.UNAVAILABLE, error__startswith=INTERRUPTED).count()


def settle_outside(consumer: Consumer, report: Report, *, again: bool = False) -> None:
    """Write down what the call came to, if the row is still ours; else keep that it came too late.

    ``again`` says that it was tried before, and perhaps committed.

    Only this is tried again while the database is away: what the call did outside must not be forgotten for that.
    """
    tries = 0

    def settle_once_more() -> bool:
        nonlocal tries
        tries += 1
        return _settled(consumer, report, again=again or tries > 1)

    try:
        ours = database_errors.once_back(settle_once_more)
    except database_errors.DRIVER_ERRORS:
        # Nothing is wrong with our statements: the handler left this session so that they fail. A new one is tried.
        sessions.drop(connections[conf().database])
        ours = database_errors.once_back(settle_once_more)
    if ours:
        follow_up.follow_up(consumer, [report])


def _settled(consumer: Consumer, report: Report, *, again: bool) -> bool:
    """Settle; tell whether the row was ours."""
    try:
        with transaction.atomic(using=conf().database):
            settling.settle(consumer, [report])
    except Superseded:
        # A try before this one may have been committed before its connection broke; then there is nothing to keep.
        if again and Message.objects.filter(pk=report.message.pk, attempts=report.message.attempts).exists():
            return True
        settling.record_late(report)
        return False
    return True
