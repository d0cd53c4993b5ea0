"""The core loop. Read ``deliver`` first: start the rows that a hint names, handle them, go on with what else is due.

A row is started in one short transaction; it is handled and settled in another. So a crash is counted, and an effect
happens exactly once.
"""

import logging
from collections.abc import Sequence
from time import monotonic

from outbox import registry
from outbox.broker import dispatcher
from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery import atomic, non_atomic, relaying, sessions, starting
from outbox.models.sql.statements import Started

log = logging.getLogger("outbox.delivery")


def deliver(consumer_name: str, ids: Sequence[int]) -> None:
    """Deliver the rows that a hint names. One that works in chunks goes on with its other rows that are due.

    The table decides everything. Rows that are finished, started by others, backing off or held back are left alone.
    A consumer that is not in the code leaves its rows to the rescan.
    """
    consumer = registry.get(consumer_name)
    if consumer is None:
        log.warning("a hint for %s, which is not in this worker's code, was left to the rescan", consumer_name)
        return
    with sessions.in_known_state():
        starting.give_back_strays()
        if consumer.works_in_chunks:
            deliver_in_chunks(consumer, ids)
        else:
            deliver_one_by_one(consumer, ids)


def deliver_in_chunks(consumer: Consumer, ids: Sequence[int]) -> None:
    """Deliver what is named, and then what else is due: to look for that first would keep what is named waiting.

    Under load a hint names a whole chunk. What others have taken of it by now is made up for, and the hint has the time
    of a hint; at rest it has that of a chunk. What stands behind the head of an ordering key goes with it. A row that a
    worker was lost over stays alone.
    """
    began, under_load = monotonic(), len(ids) >= consumer.chunk
    named = starting.start_named(consumer, ids)
    if any(row.lost for row in named):
        deliver_together(consumer, named)
        if any(row.ordering_key for row in named):
            send_another_hint(consumer)
        return
    named += starting.start_behind_unless_empty(consumer, named, room=consumer.chunk - len(named))
    if under_load and named:
        named += starting.start_chunk(consumer, beside=len(named))
    time = conf().hint_time if under_load else atomic.chunk_time()
    following = deliver_together(consumer, named, go_on_until=began + time.total_seconds())
    if following or monotonic() - began < time.total_seconds():
        drain(consumer, following, deadline=monotonic() + conf().hint_time.total_seconds())
    else:
        send_another_hint(consumer)


def drain(consumer: Consumer, rows: Sequence[Started], *, deadline: float) -> None:
    """Deliver ``rows`` and chunk after chunk of what is due, until nothing is or the ``deadline`` has passed.

    ``deadline`` is a moment of the monotonic clock. Once it has passed, another hint goes on. A chunk that
    was full of runs has started the next messages of their keys already; these are delivered next, until the deadline.
    """
    rows = rows or starting.start_chunk(consumer)
    while rows:
        following = deliver_together(consumer, rows, go_on_until=deadline)
        if not following and monotonic() >= deadline:
            send_another_hint(consumer)
            return
        rows = following or starting.start_chunk(consumer)


def deliver_together(consumer: Consumer, rows: Sequence[Started], *, go_on_until: float = 0.0) -> list[Started]:
    """Handle and settle a chunk of rows that were started; return what was started after them, if there was time."""
    if not rows:
        return []
    handle = atomic.handle if consumer.relay is None else relaying.handle
    return handle(consumer, [row.fence for row in rows], go_on_until=go_on_until)


def send_another_hint(consumer: Consumer) -> None:
    """Have another hint take this one's place, so that other consumers get their turn."""
    dispatcher.dispatch({consumer.name: ()})


def deliver_one_by_one(consumer: Consumer, ids: Sequence[int]) -> None:
    """Start, handle and settle row by row, each only when the one before is done."""
    for id in ids:
        for row in starting.start_named(consumer, [id]):
            non_atomic.handle(consumer, row.fence)
