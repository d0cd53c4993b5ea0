"""The core loop: start the rows a hint names, handle them, settle them.

Read ``deliver`` first. A chunk of an atomic consumer is started in one short transaction and handled and settled in
another, so that a crash is counted and an effect happens exactly once. Rows that get in each other's way are redone
one by one; a consumer that talks to the world outside is called row by row, outside any transaction.
"""

import logging
import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from time import monotonic

from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction

from outbox import registry
from outbox.broker import dispatcher
from outbox.conf import conf
from outbox.delivery import execution, follow_up, non_atomic, settling
from outbox.delivery.execution import Redo, Report
from outbox.delivery.savepoints import Savepoints
from outbox.errors import Superseded, TransactionEnded
from outbox.memory import Memory
from outbox.models import Fence, Message
from outbox.models.queryset import MessageQuerySet
from outbox.models.sql import statements
from outbox.models.sql.conditions import Named
from outbox.models.sql.statements import Start, Started
from outbox.registry import Consumer

log = logging.getLogger("outbox.delivery")

CONFLICT_TRIES = 3
"""How often one row is tried alone against deadlocks and serialization failures, within the same attempt."""


def deliver(consumer_name: str, ids: Sequence[int]) -> None:
    """Deliver the rows named by a hint, and for an atomic consumer as many more as fill its chunk.

    Everything is decided by the table: rows that are finished, started by others, backing off or held back are left
    alone. A consumer that is not in the code leaves its rows to the rescan.
    """
    consumer = registry.get(consumer_name)
    if consumer is None:
        log.warning("a hint for %s, which is not in this worker's code, was left to the rescan", consumer_name)
        return
    if consumer.atomic:
        _deliver_chunk(consumer, ids)
    else:
        for id in ids:
            for fence in start(consumer, [id]):
                non_atomic.handle(consumer, fence)


backlogged: Memory[set[str]] = Memory(set)
"""Consumers of which this process, when it last looked, found more to do than a hint had named."""


def _deliver_chunk(consumer: Consumer, ids: Sequence[int]) -> None:
    """Deliver what the hint names, and then chunk after chunk of what else is waiting, for as long as ``hint_time``.

    At rest what is named is handled before looking for more: looking takes longer than starting, and every single
    message would wait for it. Under load the two make one chunk. A row that a worker was lost over stays alone.
    If time is up before the work is done, another hint takes this one's place.
    """
    began = monotonic()
    rows = _start_named(consumer, ids, limit=consumer.chunk) if ids else []
    alone, full = any(row.lost for row in rows), len(rows) == consumer.chunk
    if alone or full or consumer.name not in backlogged.value:
        _work_off(consumer, rows)
        rows = []
    until = began + (conf().hint_time if full else _chunk_time()).total_seconds()
    while not alone and (rows or monotonic() < until):
        more = _top_up(consumer, consumer.chunk - len(rows))
        _work_off(consumer, [*rows, *more])
        if not more:
            backlogged.value.discard(consumer.name)
            return
        backlogged.value.add(consumer.name)
        rows, until = [], began + conf().hint_time.total_seconds()
    if not alone and consumer.name in backlogged.value:
        dispatcher.dispatch({consumer.name: ()})


def _work_off(consumer: Consumer, rows: Sequence[Started]) -> None:
    """Handle what was started: together, and what stands in each other's way one by one."""
    if not rows:
        return
    fences = [row.fence for row in rows]
    try:
        redo: Sequence[Fence] = _handle_together(consumer, fences)
    except ChunkEnded as ended:
        redo = _go_on_after(consumer, ended)
    except (DatabaseError, InterfaceError, Redo, Superseded) as error:
        log.info("%s: %d rows are redone one by one: %s", consumer.name, len(fences), error)
        redo = fences
    if redo:
        _handle_one_by_one(consumer, redo)


def start(consumer: Consumer, ids: Sequence[int]) -> list[Fence]:
    """Start what may be started of ``ids`` and commit, so that a crash from here on is counted; return the fences.

    A row that a worker was lost over is started only if the hint names no other.
    """
    return [row.fence for row in _start_named(consumer, ids, limit=len(ids))]


def _start_named(consumer: Consumer, ids: Sequence[int], *, limit: int) -> list[Started]:
    named = _named(consumer.name, alone=len(ids) == 1)
    try:
        return named.run(ids=ids, limit=limit, worker=worker_name(), lease=consumer.lease)
    except (OperationalError, InterfaceError):
        # A connection that broke while it was idle is found out here, before anything has been started on it.
        connections[conf().database].close()
        return named.run(ids=ids, limit=limit, worker=worker_name(), lease=consumer.lease)


def _top_up(consumer: Consumer, room: int) -> list[Started]:
    """Start what else of the consumer is due soon, no more than ``room`` rows."""
    if room <= 0:
        return []
    try:
        return _due(consumer.name, conf().grace).run(limit=room, worker=worker_name(), lease=consumer.lease)
    except (OperationalError, InterfaceError) as error:
        # Trouble with more must not cost us what is started already.
        log.warning("%s: no more rows were started: %s", consumer.name, error)
        connections[conf().database].close()
        return []


@cache
def _named(consumer_name: str, *, alone: bool) -> Start:
    """Return the start of rows that a hint names; what a worker was lost over is started alone."""
    ready = _ready(consumer_name, canary=True).filter(Named())
    return Start(ready if alone else ready.filter(lost=0))


@cache
def _due(consumer_name: str, grace: timedelta) -> Start:
    """Return the start of what else of a consumer is due within ``grace``, the oldest first."""
    return Start(_ready(consumer_name, canary=False).filter(lost=0).due(within=grace))


def _ready(consumer_name: str, *, canary: bool) -> MessageQuerySet:
    return Message.objects.filter(consumer=consumer_name).pending().at_head().admitted(consumer_name, canary=canary)


class ChunkEnded(Exception):
    """A handler ended the chunk's transaction: the reports before it, the rows it was called for, and those after."""

    def __init__(
        self, cause: TransactionEnded, before: Sequence[Report], guilty: Sequence[Message], after: Sequence[Message]
    ) -> None:
        super().__init__(str(cause))
        self.cause, self.before, self.guilty, self.after = cause, before, guilty, after


def _handle_together(consumer: Consumer, fences: Sequence[Fence]) -> list[Fence]:
    """Handle and settle a chunk in one transaction; return the rows that must be redone alone."""
    with transaction.atomic(using=conf().database, durable=True):
        messages = lock_chunk(consumer, fences, wait=_patience(consumer))
        savepoints = Savepoints()
        reports = _call_bulk(consumer, messages, savepoints) if consumer.bulk and len(messages) > 1 else None
        if reports is None:
            if consumer.bulk and len(messages) > 1:
                # As they are in the table: the call that failed may have changed what it was given.
                messages = lock_chunk(consumer, fences, wait=_patience(consumer))
            reports = _call_in_turn(consumer, messages, savepoints)
        _settle_chunk(consumer, reports, savepoints)
    follow_up.follow_up(consumer, reports)
    return [message.fence for message in messages[len(reports) :]]


def _call_bulk(consumer: Consumer, messages: Sequence[Message], savepoints: Savepoints) -> list[Report] | None:
    """Call a bulk consumer for all messages at once; None if it failed, and each must be tried in a list of one."""
    try:
        return execution.call_bulk(consumer, messages, savepoints)
    except TransactionEnded as error:
        raise ChunkEnded(error, [], messages, []) from error


def _call_in_turn(consumer: Consumer, messages: Sequence[Message], savepoints: Savepoints) -> list[Report]:
    """Call the consumer for one message after the other and return the reports, up to the first that met others."""
    reports: list[Report] = []
    # From here on, and never before the first row: a chunk that had to wait for its turn must still get on.
    until = monotonic() + _chunk_time().total_seconds()
    for turn, message in enumerate(messages):
        if turn and monotonic() >= until:
            return [*reports, *execution.give_back(messages[turn:])]
        try:
            reports.append(execution.call_handler(consumer, message, savepoints))
        except Redo:
            break
        except TransactionEnded as error:
            guilty = turn - 1 if error.by_the_one_before else turn
            raise ChunkEnded(error, reports[:guilty], [messages[guilty]], messages[guilty + 1 :]) from error
    return reports


def _settle_chunk(consumer: Consumer, reports: Sequence[Report], savepoints: Savepoints) -> None:
    try:
        savepoints.refuse_another_transaction()
        settling.settle(consumer, reports)
    except TransactionEnded as error:
        called = [report for report in reports if report.had_its_turn]
        idle = [report.message for report in reports if not report.had_its_turn]
        if consumer.bulk and len(called) > 1:
            raise ChunkEnded(error, [], [report.message for report in called], idle) from error
        raise ChunkEnded(error, called[:-1], [report.message for report in called[-1:]], idle) from error


def _go_on_after(consumer: Consumer, ended: ChunkEnded) -> list[Fence]:
    """Settle what a handler has committed, fail its own message, and return what must be redone.

    What it has rolled back is redone as if it had not been there. The session goes: nobody knows what is left in it.
    """
    connections[conf().database].close()
    committed = statements.was_committed(ended.guilty[0])
    log.error(
        "%s: message %s ended the transaction of its chunk, which was %s",
        consumer.name,
        ", ".join(str(message.pk) for message in ended.guilty),
        "committed" if committed else "rolled back",
    )
    # After a ROLLBACK, too, what the handler went on to write has been committed, statement by statement.
    guilty = [execution.classify(message, ended.cause) for message in ended.guilty]
    for report in [*(ended.before if committed else []), *guilty]:
        _settle_alone(consumer, report)
    redo = [] if committed else [report.message for report in ended.before]
    return [message.fence for message in [*redo, *ended.after]]


def _settle_alone(consumer: Consumer, report: Report) -> None:
    """Settle one report in a transaction of its own, if the row is still ours."""
    report = replace(report, message=execution.without_transaction(report.message))
    try:
        with transaction.atomic(using=conf().database, durable=True):
            statements.lock([report.message.fence], wait=consumer.timeout)
            settling.settle(consumer, [report])
    except Superseded as error:
        log.warning("%s", error)
        return
    follow_up.follow_up(consumer, [report])


def lock_chunk(consumer: Consumer, fences: Sequence[Fence], *, wait: timedelta) -> list[Message]:
    """Lock the rows that are still ours and return them in the consumer's order. The lock is the lease.

    From here on nothing in the transaction waits longer than ``wait`` for a lock.
    """
    messages = statements.lock(fences, wait=wait)
    if consumer.sort is None or len(messages) < 2:
        return messages
    try:
        with transaction.atomic(using=conf().database):
            return sorted(messages, key=consumer.sort)
    except Exception:
        # The consumer's own code. The order is there against deadlocks, which are redone anyway.
        log.exception("%s: sort failed, so the chunk is handled in the order of publishing", consumer.name)
        return messages


def _patience(consumer: Consumer) -> timedelta:
    """Return how long a chunk waits for a lock: where chunks are sorted, nobody waits for us in turn, so for long."""
    return conf().chunk_lock_timeout if consumer.sort is None else conf().chunk_time


def _handle_one_by_one(consumer: Consumer, fences: Sequence[Fence]) -> None:
    """Handle each row in a transaction of its own, with the lease renewed; give back what time does not allow."""
    Message.objects.held(fences).renew(consumer.lease + consumer.timeout)
    until = monotonic() + _chunk_time().total_seconds()
    for turn, fence in enumerate(fences):
        if turn and monotonic() >= until:
            _give_back(consumer, fences[turn:])
            return
        _handle_alone(consumer, fence)


def _handle_alone(consumer: Consumer, fence: Fence) -> None:
    problem: Exception | None = None
    for _try in range(CONFLICT_TRIES):
        try:
            with transaction.atomic(using=conf().database, durable=True):
                savepoints = Savepoints()
                messages = lock_chunk(consumer, [fence], wait=consumer.timeout)
                reports = [execution.call_handler(consumer, message, savepoints) for message in messages]
                _settle_chunk(consumer, reports, savepoints)
        except Superseded:
            return
        except ChunkEnded as ended:
            _go_on_after(consumer, ended)
            return
        except TransactionEnded as error:
            _go_on_after(consumer, ChunkEnded(error, [], messages, []))
            return
        except Redo as error:
            problem = error
        except (DatabaseError, InterfaceError) as error:
            # The row's own transaction failed, perhaps only at COMMIT: the effects are gone, the attempt is not.
            problem = error
            if not execution.is_conflict(error):
                break
        else:
            follow_up.follow_up(consumer, reports)
            return
    if problem is not None:
        _settle_failed(consumer, fence, problem)


def _settle_failed(consumer: Consumer, fence: Fence, problem: Exception) -> None:
    with transaction.atomic(using=conf().database, durable=True):
        settling.settle(
            consumer,
            [execution.classify(message, problem) for message in lock_chunk(consumer, [fence], wait=consumer.timeout)],
        )


def _give_back(consumer: Consumer, fences: Sequence[Fence]) -> None:
    with transaction.atomic(using=conf().database, durable=True):
        settling.settle(consumer, execution.give_back(lock_chunk(consumer, fences, wait=consumer.timeout)))


def worker_name() -> str:
    """Return who we are in the table: host, process id, and the thread where a process has several."""
    thread = threading.current_thread()
    suffix = "" if thread is threading.main_thread() else f":{thread.native_id}"
    return f"{socket.gethostname()[:60]}:{os.getpid()}{suffix}"


def _chunk_time() -> timedelta:
    return conf().chunk_time_sqlite if connections[conf().database].vendor == "sqlite" else conf().chunk_time
