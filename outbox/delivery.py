"""The core loop: start the rows a hint names, handle them, settle them.

Read ``deliver`` first. A chunk of an atomic consumer is started in one short transaction and handled and settled in
another, so that a crash is counted and an effect happens exactly once. Rows that get in each other's way are redone
one by one; a consumer that talks to the world outside is called row by row, outside any transaction.
"""

import logging
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from time import monotonic, sleep
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction

from outbox import breaker, courier, groups, handling, registry, settling
from outbox.conf import conf
from outbox.errors import Superseded
from outbox.handling import Redo, Report
from outbox.models import Fence, Message
from outbox.models.queryset import MessageQuerySet, Started
from outbox.policy import Succeeded
from outbox.registry import Consumer

log = logging.getLogger("outbox.delivery")

SETTLE_PAUSE = 0.5
"""Seconds between two tries to settle what was done outside while the database is away."""
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
            _deliver_outside(consumer, id)


_backlogged: set[str] = set()
"""Consumers of which this process, when it last looked, found more to do than a hint had named."""


def _deliver_chunk(consumer: Consumer, ids: Sequence[int]) -> None:
    """Deliver what the hint names; under load as one chunk with what else is waiting, at rest before looking for it.

    Looking takes longer than starting and would be spent on every single message.
    """
    until = monotonic() + _chunk_time().total_seconds()
    if consumer.name in _backlogged:
        named = len(ids)
        fences = start(consumer, ids, fill_up_to=consumer.chunk)
        _work_off(consumer, fences)
        found_more = len(fences) > named
    else:
        rows = _start_named(consumer, ids, limit=consumer.chunk)
        _work_off(consumer, [row.fence for row in rows])
        room = consumer.chunk - len(rows)
        look = room > 0 and monotonic() < until and not any(row.lost for row in rows)
        more = _start_more(consumer, room) if look else []
        _work_off(consumer, [row.fence for row in more])
        found_more = bool(more)
    (_backlogged.add if found_more else _backlogged.discard)(consumer.name)


def _work_off(consumer: Consumer, fences: Sequence[Fence]) -> None:
    if not fences:
        return
    try:
        redo: Sequence[Fence] = _handle_together(consumer, fences)
    except (DatabaseError, InterfaceError, Redo, Superseded) as error:
        log.info("%s: %d rows are redone one by one: %s", consumer.name, len(fences), error)
        redo = fences
    if redo:
        _handle_one_by_one(consumer, redo)


def start(consumer: Consumer, ids: Sequence[int], *, fill_up_to: int = 0) -> list[Fence]:
    """Start what may be started of ``ids`` and commit, so that a crash from here on is counted.

    No more than ``fill_up_to`` rows are started, whatever the hint names (0: those of ``ids`` only); rows that a
    worker was lost over are started only if the hint names one row, and then alone. Returns the fences.
    """
    rows = _start_named(consumer, ids, limit=fill_up_to or None)
    alone = any(row.lost for row in rows)
    if not alone and (room := fill_up_to - len(rows)) > 0:
        rows += _start_more(consumer, room)
    return [row.fence for row in rows]


def _start_named(consumer: Consumer, ids: Sequence[int], *, limit: int | None) -> list[Started]:
    ready = _ready(consumer.name, canary=True)
    named = (ready if len(ids) == 1 else ready.filter(lost=0)).filter(pk__in=ids)[:limit]
    try:
        return named.mark_started(worker=worker_name(), lease=consumer.lease)
    except (OperationalError, InterfaceError):
        # A connection that broke while it was idle is found out here, before anything has been started on it.
        connections[conf().database].close()
        return named.mark_started(worker=worker_name(), lease=consumer.lease)


def _start_more(consumer: Consumer, room: int) -> list[Started]:
    """Start what else of the consumer is due soon; trouble with that must not cost us what is started already."""
    sound = _ready(consumer.name, canary=False).filter(lost=0)
    try:
        return sound.due(within=conf().grace)[:room].mark_started(worker=worker_name(), lease=consumer.lease)
    except (OperationalError, InterfaceError) as error:
        log.warning("%s: no more rows were started: %s", consumer.name, error)
        connections[conf().database].close()
        return []


@cache
def _ready(consumer_name: str, *, canary: bool) -> MessageQuerySet:
    """Return what may be started of a consumer. Built once: that takes longer than running it."""
    return Message.objects.filter(consumer=consumer_name).pending().at_head().admitted(consumer_name, canary=canary)


def _handle_together(consumer: Consumer, fences: Sequence[Fence]) -> list[Fence]:
    """Handle and settle a chunk in one transaction; return the rows that must be redone alone."""
    redo: list[Fence] = []
    reports: list[Report] = []
    with transaction.atomic(using=conf().database, durable=True):
        _wait_for_locks(conf().chunk_lock_timeout)
        messages = lock(consumer, fences)
        # From here on, and never before the first row: a chunk that had to wait for its turn must still get on.
        until = monotonic() + _chunk_time().total_seconds()
        whole = handling.call_bulk(consumer, messages) if consumer.bulk and len(messages) > 1 else None
        if whole is not None:
            reports = whole
        else:
            if consumer.bulk and len(messages) > 1:
                # As they are in the table: the call that failed may have changed what it was given.
                messages = lock(consumer, fences)
            for turn, message in enumerate(messages):
                if turn and monotonic() >= until:
                    reports += handling.give_back(messages[turn:])
                    break
                try:
                    reports.append(handling.call(consumer, message))
                except Redo:
                    redo = [waiting.fence for waiting in messages[turn:]]
                    break
        settling.settle(consumer, reports)
        _hooks_for_themselves()
    _after_commit(consumer, reports)
    return redo


def lock(consumer: Consumer, fences: Sequence[Fence]) -> list[Message]:
    """Lock the rows that are still ours and return them in the consumer's order. The lock is the lease."""
    held = Message.objects.held(fences).select_for_update(no_key=True).order_by("pk")
    messages = list(held)
    if consumer.sort is None or len(messages) < 2:
        return messages
    try:
        with transaction.atomic(using=conf().database):
            return sorted(messages, key=consumer.sort)
    except Exception:
        # The consumer's own code. The order is there against deadlocks, which are redone anyway.
        log.exception("%s: sort failed, so the chunk is handled in the order of publishing", consumer.name)
        return messages


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
                _wait_for_locks(consumer.timeout)
                reports = [handling.call(consumer, message) for message in lock(consumer, [fence])]
                settling.settle(consumer, reports)
                _hooks_for_themselves()
        except Superseded:
            return
        except Redo as error:
            problem = error
        except (DatabaseError, InterfaceError) as error:
            # The row's own transaction failed, perhaps only at COMMIT: the effects are gone, the attempt is not.
            problem = error
            if not handling.is_conflict(error):
                break
        else:
            _after_commit(consumer, reports)
            return
    if problem is not None:
        _settle_failed(consumer, fence, problem)


def _settle_failed(consumer: Consumer, fence: Fence, problem: Exception) -> None:
    with transaction.atomic(using=conf().database, durable=True):
        settling.settle(consumer, [handling.judge(message, problem) for message in lock(consumer, [fence])])


def _give_back(consumer: Consumer, fences: Sequence[Fence]) -> None:
    with transaction.atomic(using=conf().database, durable=True):
        settling.settle(consumer, handling.give_back(lock(consumer, fences)))


def _deliver_outside(consumer: Consumer, id: int) -> None:
    """Start one row, call its consumer outside any transaction, and settle by compare-and-set."""
    for fence in start(consumer, [id]):
        message = Message.objects.held([fence]).first()
        if message is None:
            return
        settlement = _Settlement(message)
        message.settlement = settlement.open
        report = _call_outside(consumer, message)
        if not settlement.done:
            _settle_outside(consumer, report)
            return
        if not isinstance(report.outcome, Succeeded):
            log.error("message %d was settled as a success, then its handler failed: %s", id, report.error)
        _after_commit(consumer, [Report(message, Succeeded())])


class _Settlement:
    """The one transaction in which a handler may commit its result together with the success."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self.done = False

    @contextmanager
    def open(self) -> Iterator[None]:
        """Mark the success, let the handler write, commit both; ``Superseded`` if the attempt was overtaken."""
        if self.done:
            raise RuntimeError("message.settling() was used before; a message is settled once")
        message = self._message
        with transaction.atomic(using=conf().database, durable=True):
            if not Message.objects.held([message.fence]).mark_success():
                raise Superseded(f"message {message.pk} is no longer ours: attempt {message.attempts} was overtaken")
            yield
            handling.refuse_silent_rollback()
        self.done = True


def _call_outside(consumer: Consumer, message: Message) -> Report:
    try:
        consumer.handler(message)
    except Exception as error:
        return handling.judge(message, error)
    return Report(message, Succeeded())


def _settle_outside(consumer: Consumer, report: Report) -> None:
    try:
        _in_one_transaction(consumer, report)
    except Superseded:
        settling.record_late(report)
        return
    except (OperationalError, InterfaceError):
        # The connection broke while the handler talked to the world; what it did must not be forgotten for that.
        _settle_outside_again(consumer, report)
    _after_commit(consumer, [report])


def _settle_outside_again(consumer: Consumer, report: Report) -> None:
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


def _after_commit(consumer: Consumer, reports: Sequence[Report]) -> None:
    """Do what follows from settled rows but is shared with other workers, and so is no part of their transaction."""
    breaker.note(consumer, reports)
    groups.note(Counter(report.failure for report in reports if report.failure))
    succeeded = [report.message for report in reports if isinstance(report.outcome, Succeeded)]
    keys = {message.ordering_key for message in succeeded if message.ordering_key}
    if keys:
        heads = Message.objects.filter(consumer=consumer.name, ordering_key__in=keys).unfinished().at_head()
        courier.offer({consumer.name: list(heads.values_list("pk", flat=True))})


def worker_name() -> str:
    """Return who we are in the table: host, process id, and the thread where a process has several."""
    thread = threading.current_thread()
    suffix = "" if thread is threading.main_thread() else f":{thread.native_id}"
    return f"{socket.gethostname()[:60]}:{os.getpid()}{suffix}"


def _chunk_time() -> timedelta:
    return conf().chunk_time_sqlite if connections[conf().database].vendor == "sqlite" else conf().chunk_time


def _hooks_for_themselves() -> None:
    """Let no ``on_commit`` hook of one row take its neighbours' hooks, or the rows still to be redone, with it."""
    connection: Any = connections[conf().database]  # the stubs leave out that a hook may be robust
    connection.run_on_commit = [(ids, _caught(hook), True) for ids, hook, _robust in connection.run_on_commit]


def _caught(hook: Callable[[], object]) -> Callable[[], None]:
    """Return ``hook`` as one that logs what it raises. No ``partial``: Django asks a hook that fails for its name."""

    def call() -> None:
        try:
            hook()
        except Exception:
            log.exception("an on_commit hook failed; what it belongs to is committed")

    return call


def _wait_for_locks(span: timedelta) -> None:
    """Bound the waiting for row locks in this transaction; SQLite has one writer and nothing to wait for."""
    connection = connections[conf().database]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = %s", [f"{span / timedelta(milliseconds=1):.0f}ms"])
