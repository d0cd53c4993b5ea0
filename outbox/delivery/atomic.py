"""Consumers inside the transaction that settles their rows (``atomic=True``).

A chunk of rows is handled and settled in one transaction. A row that meets others there, or spoils it for others, is
redone in a transaction of its own; so is every row of an ``isolated`` consumer.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic

from django.db import connections, transaction

from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery import (
    database_errors,
    ended_transactions,
    execution,
    follow_up,
    runs,
    sessions,
    settling,
    starting,
    strays,
)
from outbox.delivery.database_errors import DRIVER_ERRORS, DatabaseDown, Fault
from outbox.delivery.ended_transactions import Ended
from outbox.delivery.execution import Redo, Report
from outbox.delivery.savepoints import Savepoints
from outbox.delivery.time_limits import STATEMENT_MARGIN
from outbox.errors import SettingsChanged, Superseded, TransactionEnded
from outbox.memory import Memory
from outbox.models import Fence, Message
from outbox.models.sql import statements
from outbox.models.sql.errors import is_conflict
from outbox.models.sql.statements import Started
from outbox.policy import ZERO, Succeeded

log = logging.getLogger("outbox.delivery")

CONFLICT_TRIES = 3
"""How often one row is tried alone against deadlocks and serialization failures, within the same attempt."""


def handle(consumer: Consumer, fences: Sequence[Fence], *, go_on_until: float = 0.0) -> list[Started]:
    """Handle and settle rows that were started: together, and one by one what cannot be.

    While the database is away nothing can be said about a row. It is given back when that is over, and spends nothing.
    Up to ``go_on_until``, a chunk full of runs starts what comes next of their keys when it is settled: return that.
    """
    following: list[Started] = []
    try:
        left = fences
        if not consumer.isolated:
            left, following = handle_together(consumer, fences, go_on_until=go_on_until)
        if left:
            handle_one_by_one(consumer, left)
        if left or len(fences) == 1:
            # Of several at once, each is called under the settings that the one before it was.
            sessions.restore()
    except DatabaseDown as down:
        give_back_once_back(consumer, fences, down)
    except DRIVER_ERRORS as error:
        if database_errors.judge(error) is Fault.HANDLER:
            raise
        give_back_once_back(consumer, fences, error)
    return following


def handle_together(
    consumer: Consumer, fences: Sequence[Fence], *, go_on_until: float = 0.0
) -> tuple[Sequence[Fence], list[Started]]:
    """Handle and settle a chunk in one transaction; return the rows that must be redone alone, and what was started."""
    try:
        chunk = _in_one_transaction(consumer, fences, wait=_patience(consumer), go_on_until=go_on_until)
    except Ended as ended:
        return ended_transactions.go_on_after(consumer, ended), []
    except SettingsChanged as error:
        log.warning("%s: %s; %d rows are redone one by one", consumer.name, error, len(fences))
        return fences, []
    except (*DRIVER_ERRORS, Redo, Superseded) as error:
        log.info("%s: %d rows are redone one by one: %s", consumer.name, len(fences), error)
        if isinstance(error, DRIVER_ERRORS):
            # Perhaps it was committed, with what was started next in it.
            strays.expect()
        sessions.restore_after_errors()
        return fences, []
    return chunk.left, chunk.following


def handle_one_by_one(consumer: Consumer, fences: Sequence[Fence]) -> None:
    """Handle each row in a transaction of its own, with the lease renewed; give back what time does not allow."""
    Message.objects.held(fences).renew(consumer.lease + consumer.timeout)
    until = monotonic() + chunk_time().total_seconds()
    left = _handle_alone(consumer, fences[0], fences[1:])
    while left:
        if monotonic() >= until:
            _give_back(consumer, left)
            return
        sessions.restore()
        left = _handle_alone(consumer, left[0], left[1:])


def _handle_alone(consumer: Consumer, fence: Fence, rest: Sequence[Fence]) -> Sequence[Fence]:
    """Handle one row, again where it has only met others or its session ended, and its time is not up.

    It has failed if it goes on to. Return the ``rest`` without what must not follow it.
    """
    problem: BaseException
    chunk = _Chunk()
    until = monotonic() + consumer.timeout.total_seconds()
    for turn in range(CONFLICT_TRIES):
        if turn and monotonic() >= until:
            break
        chunk = _Chunk()
        try:
            return _in_one_transaction(consumer, [fence], rest, wait=consumer.timeout, chunk=chunk).left
        except Superseded:
            return rest
        except Ended as ended:
            return ended_transactions.go_on_after(consumer, ended, rest)
        except Redo as error:
            problem = error.__cause__ or error
        except DRIVER_ERRORS as error:
            # The row's own transaction failed, perhaps only at COMMIT: the effects are gone, the attempt is not.
            problem = error
        fault = database_errors.judge(problem)
        if fault is Fault.DATABASE:
            raise DatabaseDown(str(problem)) from problem
        if fault is Fault.HANDLER and not is_conflict(problem):
            break
    return _fail(consumer, fence, rest, problem, called=chunk.messages)


@dataclass(slots=True)
class _Chunk:
    """The rows of one transaction, and what has come of them: the first reports belong to the first messages."""

    messages: list[Message] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    at_once: bool = False
    """Whether one call was made for all messages, and so all of them have done what it did."""
    left: Sequence[Fence] = ()
    """Of what nothing has come, and what was to follow it, without what must not."""
    following: list[Started] = field(default_factory=list)
    """What was started of the same keys when the rows were settled."""

    def ended_by(self, cause: TransactionEnded) -> Ended:
        """Return what to go on with after a handler has ended the transaction."""
        if self.at_once:
            return Ended(cause, [], self.messages, [])
        called = [turn for turn, report in enumerate(self.reports) if report.had_its_turn]
        guilty = called[-1] if cause.by_the_one_before else len(self.reports)
        return Ended(cause, self.reports[:guilty], [self.messages[guilty]], self.messages[guilty + 1 :])


def _in_one_transaction(
    consumer: Consumer,
    fences: Sequence[Fence],
    rest: Sequence[Fence] = (),
    *,
    wait: timedelta,
    go_on_until: float = 0.0,
    chunk: _Chunk | None = None,
) -> _Chunk:
    """Lock the rows, call the consumer for them, settle them; up to ``go_on_until``, start what comes next.

    A ``chunk`` that was given has what came of it also if this raises. Raises ``Redo`` or a database's error for a
    transaction that came to nothing, and ``Ended``.
    """
    chunk = chunk or _Chunk()
    try:
        with transaction.atomic(using=conf().database, durable=True):
            savepoints = Savepoints()
            chunk.messages, overtaken = runs.part(fences, lock(consumer, fences, wait=wait))
            try:
                if consumer.bulk and len(chunk.messages) > 1:
                    _call_at_once(consumer, chunk, savepoints, wait=wait)
                else:
                    _call_in_turn(consumer, chunk, savepoints)
            finally:
                savepoints.process.put_back_limits(consumer.name)
            savepoints.refuse_another_transaction()
            settling.settle(consumer, [*chunk.reports, *execution.give_back(overtaken)])
            undone = [message.fence for message in chunk.messages[len(chunk.reports) :]]
            chunk.left = runs.hand_on(chunk.reports, [*undone, *rest])
            if monotonic() < go_on_until and (keys := runs.keys_to_go_on_with(consumer, chunk.reports)):
                chunk.following = starting.start_next(consumer, keys, room=_room_for_run(consumer))
            has_hooks = bool(connections[conf().database].run_on_commit)
    except TransactionEnded as error:
        raise chunk.ended_by(error) from error
    except execution.ENDS_THE_PROCESS:
        execution.keep_exchanges_of_the_last_call(chunk.messages)
        raise
    if has_hooks:
        sessions.restore()
    follow_up.follow_up(consumer, chunk.reports, going_on={row.ordering_key for row in chunk.following})
    return chunk


def _call_at_once(consumer: Consumer, chunk: _Chunk, savepoints: Savepoints, *, wait: timedelta) -> None:
    """Call a bulk consumer once for all messages; if that fails, for each in a list of one."""
    chunk.at_once = True
    reports = execution.call_bulk(consumer, chunk.messages, savepoints)
    if reports is not None:
        chunk.reports = reports
        return
    chunk.at_once = False
    # As they are in the table: the call that failed may have changed what it was given.
    chunk.messages = lock(consumer, [message.fence for message in chunk.messages], wait=wait)
    _call_in_turn(consumer, chunk, savepoints)


def _call_in_turn(consumer: Consumer, chunk: _Chunk, savepoints: Savepoints) -> None:
    """Call the consumer for one message after the other, up to the first that met others or came too late.

    What stands behind one of its ordering key that did not succeed is given back.
    """
    # From here on, and never before the first row: a chunk that had to wait for its turn must still get on.
    began, time, room = monotonic(), chunk_time().total_seconds(), _room(consumer)
    stopped: set[str] = set()
    failed = False
    for turn, message in enumerate(chunk.messages):
        if turn and (turn >= room or monotonic() - began >= time):
            _seconds_a_row.value[consumer.name] = (monotonic() - began) / turn
            chunk.reports += execution.give_back(chunk.messages[turn:])
            return
        if message.ordering_key in stopped:
            chunk.reports += execution.give_back([message])
            continue
        if failed:
            sessions.restore_after_errors()
        try:
            report = execution.call_handler(consumer, message, savepoints)
        except Redo:
            if not turn:
                raise
            return
        if turn and report.exception and execution.met_a_neighbour(report):
            return
        chunk.reports.append(report)
        failed = report.exception is not None
        if message.ordering_key and not isinstance(report.outcome, Succeeded):
            stopped.add(message.ordering_key)
    _seconds_a_row.value[consumer.name] = (monotonic() - began) / max(1, len(chunk.messages))


_seconds_a_row: Memory[dict[str, float]] = Memory(dict)
"""How long a row has taken in the last chunk of each consumer."""


def _room(consumer: Consumer) -> int:
    """Return how many rows of a chunk are called. Of a sorted chunk: as many as fit into its time at the last pace.

    A bulk consumer is called for all at once.
    """
    seconds = _seconds_a_row.value.get(consumer.name)
    if consumer.sort is None or consumer.bulk or not seconds:
        return consumer.run
    return max(1, int(chunk_time().total_seconds() / seconds))


def _room_for_run(consumer: Consumer) -> int:
    """Return how many rows are started next of keys that go well: a run, but no more than half its time allows."""
    seconds = _seconds_a_row.value.get(consumer.name)
    in_time = int(chunk_time().total_seconds() / 2 / seconds) if seconds else 0
    return max(consumer.chunk, min(consumer.run, in_time))


def lock(consumer: Consumer, fences: Sequence[Fence], *, wait: timedelta) -> list[Message]:
    """Lock the rows that are still ours and return them in the consumer's order. The lock is the lease.

    The oldest are sorted, as many as there is room for; the others come behind them. Were all of them sorted, those
    that are last in the consumer's order would never have their turn. Those of one ordering key stay in their own.
    From here on nothing in the transaction waits longer than ``wait`` for a lock, and nobody but us can commit it.
    """
    messages = statements.lock(fences, wait=wait, limit=consumer.timeout + STATEMENT_MARGIN, guarded=True)
    if consumer.sort is None or len(messages) < 2:
        return messages
    oldest_first, room = runs.oldest_first(messages), _room(consumer)
    try:
        with transaction.atomic(using=conf().database):
            return runs.in_order([*sorted(oldest_first[:room], key=consumer.sort), *oldest_first[room:]])
    except Exception:
        # The consumer's own code. The order is there against deadlocks, which are redone anyway.
        log.exception("%s: sort failed, so the chunk is handled in the order of publishing", consumer.name)
        return messages


def chunk_time() -> timedelta:
    """Return how long a chunk may take rows in hand; on SQLite it keeps every other writer waiting."""
    return conf().chunk_time_sqlite if connections[conf().database].vendor == "sqlite" else conf().chunk_time


def _patience(consumer: Consumer) -> timedelta:
    """Return how long a chunk waits for a lock. A sorted chunk waits for long: it cannot be part of a deadlock."""
    return conf().chunk_lock_timeout if consumer.sort is None else conf().chunk_time


def _fail(
    consumer: Consumer, fence: Fence, rest: Sequence[Fence], problem: BaseException, *, called: Sequence[Message]
) -> Sequence[Fence]:
    """Settle a row that was ``called`` and whose transaction failed; what it has recorded is kept."""
    with transaction.atomic(using=conf().database, durable=True):
        messages = lock(consumer, [fence], wait=consumer.timeout)
        for message, before in zip(messages, called, strict=False):
            message.exchanges = before.exchanges
        reports = [execution.classify(message, problem) for message in messages]
        settling.settle(consumer, reports)
        left = runs.hand_on(reports, rest)
    follow_up.follow_up(consumer, reports)
    return left


def _give_back(consumer: Consumer, fences: Sequence[Fence], *, after: timedelta = ZERO) -> None:
    with transaction.atomic(using=conf().database, durable=True):
        settling.settle(consumer, execution.give_back(lock(consumer, fences, wait=consumer.timeout), after=after))


def give_back_once_back(consumer: Consumer, fences: Sequence[Fence], problem: BaseException) -> None:
    """Wait for the database for as long as a lease, and give back what is still ours; it waits a moment more.

    Given back by us a row spends nothing, however often. If it takes longer, the lease is over, and the rescan takes
    the rows back.
    """
    log.warning("%s: the database is away, %d rows are given back: %s", consumer.name, len(fences), problem)
    database_errors.once_back(lambda: _give_back(consumer, fences, after=conf().probe_after))
