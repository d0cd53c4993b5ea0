"""After commit: a thread of the process sends hints for what was just written, so that a request never waits.

The dispatcher is allowed to fail. If the broker is down or the queue is full, the hint is dropped. The row is in the
table, and the rescan finds it a few seconds later.
"""

import atexit
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from queue import Empty, Full, Queue

from django.db import transaction

from outbox import registry
from outbox.broker.connection import BrokerConnection, Hint
from outbox.conf import conf
from outbox.errors import BrokerAway, BrokerRefuses

log = logging.getLogger("outbox.dispatcher")

Ids = Mapping[str, Sequence[int]]

LINGER = 0.008
"""Seconds to gather more ids if the last send is less than that ago. At 400 messages/s p99 fell by a third."""
REST_SECONDS = 1.0
"""Seconds for which hints are dropped after the broker failed, so that nobody queues up behind its time-outs."""
DRAIN = 2.0
"""Seconds a process waits at its end for hints to go out."""


class Dispatcher:
    """One thread with a bounded queue; made anew in every process."""

    def __init__(self) -> None:
        self._waiting: Queue[Ids | None] = Queue(conf().dispatch_backlog)
        self._connection = BrokerConnection()
        self._sent_at = 0.0
        self._resting_until = 0.0
        self._thread = threading.Thread(target=self._run, name="outbox.dispatcher", daemon=True)
        self._thread.start()

    def offer(self, ids: Ids) -> bool:
        """Take ids by consumer to be sent soon (none: any that are due); False if too much is waiting already."""
        try:
            self._waiting.put_nowait(ids)
        except Full:
            return False
        return True

    def drain(self, seconds: float) -> bool:
        """Send what is waiting, for at most ``seconds``, then end the thread; tell whether it has ended."""
        try:
            self._waiting.put(None, timeout=seconds)
        except Full:
            return False
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            batch, go_on = self._gather()
            try:
                self._send(batch)
            except Exception:
                # The thread must outlive whatever happens to one batch; the rescan will find its rows.
                log.exception("hints for %d consumers were dropped", len(batch))
                self._connection.abandon()
            if not go_on:
                self._connection.close()
                return

    def _gather(self) -> tuple[dict[str, list[int]], bool]:
        """Wait for work and return all that is waiting, by consumer, and whether to go on after it."""
        batch: dict[str, list[int]] = defaultdict(list)
        waiting = self._waiting.get()
        if time.monotonic() - self._sent_at < LINGER:
            time.sleep(LINGER)
        try:
            while waiting is not None:
                for consumer, ids in waiting.items():
                    batch[consumer].extend(ids)
                waiting = self._waiting.get_nowait()
        except Empty:
            return batch, True
        return batch, False

    def _send(self, batch: Ids) -> None:
        if time.monotonic() < self._resting_until:
            return
        try:
            hints = [hint for consumer, ids in batch.items() for hint in self._hints(consumer, ids)]
        except BrokerAway as error:
            log.warning("%s; the rescan will send the hints", error)
            self._resting_until = time.monotonic() + REST_SECONDS
            return
        if self._connection.send(hints):
            self._resting_until = time.monotonic() + REST_SECONDS
        self._sent_at = time.monotonic()

    def _hints(self, consumer: str, ids: Sequence[int]) -> Iterator[Hint]:
        """Cut ids into hints, no more than the consumer's queue has room for.

        Without ids, one hint names no rows: its worker looks for what is due.
        """
        entry = registry.get(consumer)
        if entry is None:
            return
        try:
            room = entry.hint_limit - self._connection.depth(consumer)
        except BrokerRefuses as error:
            if not error.queue:
                raise
            log.warning("%s; the hints for its consumer are dropped, those for others are not", error)
            return
        for start in range(0, min(len(ids) or 1, room * entry.chunk), entry.chunk):
            yield Hint(consumer, tuple(ids[start : start + entry.chunk]))


_lock = threading.Lock()
_dispatcher: Dispatcher | None = None
_inherited_dispatchers: list[Dispatcher] = []


def dispatch(ids: Ids) -> None:
    """Send hints for these ids, by consumer, soon. Never waits for the broker and never raises because of it."""
    if not _of_this_process().offer(ids):
        log.warning("too many hints are waiting; the rescan will find these rows")


def dispatch_on_commit(ids: Ids) -> None:
    """Hand these ids to the dispatcher once the engine's transaction has committed; the commit stands in any case.

    Not with ``functools.partial``: Django asks a robust hook that fails for its ``__qualname__``; a partial has none.
    """
    transaction.on_commit(lambda: dispatch(ids), using=conf().database, robust=True)


def drain(seconds: float = DRAIN) -> None:
    """Send what is waiting before the process ends, for at most ``seconds``."""
    global _dispatcher
    with _lock:
        dispatcher, _dispatcher = _dispatcher, None
    if dispatcher is not None and not dispatcher.drain(seconds):
        log.warning("hints were still waiting at the end of the process; the rescan will find their rows")


def _of_this_process() -> Dispatcher:
    global _dispatcher
    if _dispatcher is None:
        with _lock:
            if _dispatcher is None:
                _dispatcher = Dispatcher()
    return _dispatcher


def _after_fork() -> None:
    """Start afresh in a forked child. The parent's connection is kept from the collector, and so never closed."""
    global _dispatcher, _lock
    _lock = threading.Lock()
    if _dispatcher is not None:
        _inherited_dispatchers.append(_dispatcher)
        _dispatcher = None


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(drain)
