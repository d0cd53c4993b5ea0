"""Starting rows: one more attempt, leased to this worker and committed, so that a crash from here on is counted."""

import logging
import os
import secrets
import socket
import threading
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from time import monotonic

from django.db import connections

from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery import numbering, sessions, strays
from outbox.delivery.database_errors import DRIVER_ERRORS
from outbox.memory import Memory
from outbox.models import Message
from outbox.models.queryset import MessageQuerySet
from outbox.models.sql.conditions import Named
from outbox.models.sql.low_water import LowWater
from outbox.models.sql.order import OrderOfKey
from outbox.models.sql.runs import StartBehind, StartNext
from outbox.models.sql.statements import Start, Started

log = logging.getLogger("outbox.delivery")

LONG_RUN = 4
"""Rows of a chunk to one head, where runs are long."""
SHALLOW_SECONDS = 1.0
"""For how long no long runs are looked for after few were found."""
NOTHING_SECONDS = 0.1
"""For how long nobody looks behind heads after nothing was found there."""

_low_water = Memory(LowWater)
"""Where the searches for due rows begin."""


def start_named(consumer: Consumer, ids: Sequence[int]) -> list[Started]:
    """Start what may be started of ``ids``, at most a chunk of it.

    Of what the rescan has named nothing may be left for later: it is due again, and found, only when another hint may
    be sent. A row that a worker was lost over is started only if the hint names no other.
    """
    if not ids:
        return []
    named = _named(consumer.name, alone=len(ids) == 1)

    def start() -> list[Started]:
        return named.run(ids=ids, limit=consumer.chunk, worker=worker_name(), lease=consumer.lease)

    try:
        return numbering.numbered(consumer, start)
    except DRIVER_ERRORS:
        # A session that broke or turned read-only while it was idle is found out here.
        _break_off()
        strays.give_back(worker_name())
        return numbering.numbered(consumer, start)


def start_due(consumer: Consumer, *, beside: int = 0) -> list[Started]:
    """Start what else of the consumer is due soon, the oldest first: a chunk, ``beside`` so many that there are."""
    room = consumer.chunk - beside
    if not room:
        return []
    try:
        search = _low_water.value.begin(consumer.name)
        due = _due(consumer.name, conf().grace)
        rows = numbering.numbered(
            consumer,
            lambda: due.run(limit=room, worker=worker_name(), lease=consumer.lease, since=search.since),
        )
        _low_water.value.learn(search, [row.due_at for row in rows], full=len(rows) == room)
        return rows
    except DRIVER_ERRORS as error:
        # What was named is settled by now, and the rescan sends hints for the rest.
        log.warning("%s: no more rows were started: %s", consumer.name, error)
        _break_off()
        return []


def start_chunk(consumer: Consumer, *, beside: int = 0) -> list[Started]:
    """Start a chunk of what is due soon, ``beside`` so many rows, and of what stands behind that.

    Where much waits behind the heads of keys, few of them are started, and long runs with them: each head that is
    settled costs a statement that wakes the next, while the rest of a run costs nothing.
    """
    room = consumer.chunk - beside
    heads = _depths.value[consumer.name].heads(room)
    rows = start_due(consumer, beside=consumer.chunk - heads)
    behind = start_behind_unless_empty(consumer, rows, room=room - len(rows), cut=heads < room)
    if len(rows) == heads:
        behind += start_due(consumer, beside=beside + len(rows) + len(behind))
    return rows + behind


@dataclass(slots=True)
class _Depth:
    """Whether much waits behind the heads of a consumer's keys, as far as this process has seen."""

    ordered: bool = False
    shallow_until: float = 0.0
    nothing_until: float = 0.0

    def heads(self, room: int) -> int:
        """Return how many heads are started where there is ``room`` for so many rows."""
        is_deep = self.ordered and monotonic() >= self.shallow_until
        return (room // LONG_RUN or room) if is_deep else room

    def learn(self, heads: Sequence[Started], behind: Sequence[Started], *, cut: bool) -> None:
        """Note what was found behind ``heads``; ``cut`` if few were started, to leave room for it."""
        if cut and len(behind) < len(heads):
            self.shallow_until = monotonic() + SHALLOW_SECONDS
        self.nothing_until = 0.0 if behind else monotonic() + NOTHING_SECONDS


_depths: Memory[defaultdict[str, _Depth]] = Memory(lambda: defaultdict(_Depth))


def start_behind_unless_empty(
    consumer: Consumer, heads: Sequence[Started], *, room: int, cut: bool = False
) -> list[Started]:
    """Start what stands behind ``heads``, unless nothing stood behind heads just now.

    Published one by one, few messages have another of their key behind them, and to look costs as much as the start.
    What is not started here has its turn when its head is settled.
    """
    depth = _depths.value[consumer.name]
    depth.ordered = any(head.ordering_key for head in heads)
    if room <= 0 or not depth.ordered or monotonic() < depth.nothing_until:
        return []
    behind = start_behind(consumer, heads, room=room)
    depth.learn(heads, behind, cut=cut)
    return behind


def start_behind(consumer: Consumer, heads: Sequence[Started], *, room: int) -> list[Started]:
    """Start what stands directly behind those of ``heads`` that have an ordering key, at most ``room`` rows.

    It is in good hands if that fails: nobody else starts any of it before its head is settled.
    """
    ordered = [head.fence for head in heads if head.ordering_key and not head.lost]
    if room <= 0 or not ordered or consumer.receipt is not None:  # the next of a key waits for the receipt before it
        return []
    try:
        behind = _behind(consumer.name)
        return numbering.numbered(
            consumer, lambda: behind.run(ordered, room=room, worker=worker_name(), lease=consumer.lease)
        )
    except DRIVER_ERRORS as error:
        log.warning("%s: nothing was started behind the heads of keys: %s", consumer.name, error)
        _break_off()
        return []


def start_next(consumer: Consumer, keys: Collection[str], *, room: int) -> list[Started]:
    """Start up to ``room`` of what comes next of ordering keys, in the transaction that settles whoever holds them."""
    orders = [OrderOfKey(consumer.name, key) for key in keys]
    following = _next(consumer.name)
    return numbering.numbered(
        consumer, lambda: following.run(orders, room=room, worker=worker_name(), lease=consumer.lease)
    )


def give_back_strays() -> None:
    """Give back what an earlier hint has started without knowing; later, if the database is away."""
    try:
        strays.give_back(worker_name())
    except DRIVER_ERRORS:
        sessions.drop(connections[conf().database])


def _break_off() -> None:
    """Go on with a new session; what the broken statement may have started is found later."""
    strays.expect()
    sessions.drop(connections[conf().database])


def worker_name() -> str:
    """Return who we are in the table: host, process, and the thread or greenlet where a process has several.

    No other process has ever had the name: a process id comes again, in a container after each start.
    """
    thread = threading.current_thread()
    number = getattr(thread, "native_id", None) or threading.get_ident()  # what gevent and eventlet have has none
    suffix = "" if thread is threading.main_thread() else f":{number}"
    return f"{_process_name(os.getpid())}{suffix}"


def new_name(pid: int) -> str:
    """Return a name for a worker in the process ``pid`` that nobody has had."""
    return f"{socket.gethostname()[:60]}:{pid}:{secrets.token_hex(3)}"


_process_name = cache(new_name)


@cache
def _named(consumer_name: str, *, alone: bool) -> Start:
    """Return the start of rows that a hint names; what a worker was lost over is started alone."""
    named = ready(consumer_name, canary=True).filter(Named())
    return Start(named if alone else named.filter(lost=0))


@cache
def _due(consumer_name: str, grace: timedelta) -> Start:
    """Return the start of what else of a consumer is due within ``grace``, the oldest first."""
    return Start(ready(consumer_name, canary=False).filter(lost=0).due(within=grace).due_since())


@cache
def _behind(consumer_name: str) -> StartBehind:
    """Return the start of what stands behind heads; never beside a canary, and never what a worker was lost over."""
    waiting = Message.objects.filter(consumer=consumer_name, lost=0).pending()
    return StartBehind(waiting.admitted(consumer_name, canary=False))


@cache
def _next(consumer_name: str) -> StartNext:
    """Return the start of what comes next of keys: only what has not failed, for that goes alone."""
    waiting = Message.objects.filter(consumer=consumer_name, lost=0, last_error="").pending()
    return StartNext(waiting.admitted(consumer_name, canary=False))


def ready(consumer_name: str, *, canary: bool) -> MessageQuerySet:
    """Return the rows of a consumer that may be started, but for when they are due."""
    first_of_key = Message.objects.filter(consumer=consumer_name).pending().at_head().with_key_free()
    return first_of_key.admitted(consumer_name, canary=canary)
