"""A hint for a consumer whose calls are made beside each other wakes the process's pool, and is over soon."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from time import sleep

from billiard.process import current_process

from outbox.broker import dispatcher
from outbox.declared import LONGEST_HINT, Consumer
from outbox.delivery import chunks
from outbox.delivery.wide.pool import Pool

log = logging.getLogger("outbox.delivery")

PASSED_ON_WITHIN = 0.05
"""Seconds that a hint takes from one process to the next, by the broker."""
MARGIN_SECONDS = 30
"""How much earlier than Celery's limit a hint ends that waits for rows which run alone."""

_lock = threading.Lock()
_pool: Pool | None = None
_inherited: list[Pool] = []


GREENLETS = (("gevent.monkey", "is_module_patched", "threading"), ("eventlet.patcher", "is_monkey_patched", "thread"))
"""How the libraries of greenlets tell that threads are none any more."""


def in_greenlets() -> bool:
    """Tell whether this process has greenlets in place of threads: then there is no pool of places."""
    return any(module in sys.modules and getattr(sys.modules[module], asks)(what) for module, asks, what in GREENLETS)


def deliver(consumer: Consumer, ids: Sequence[int]) -> None:
    """Wake the pool, and wait until it has looked at the rows that the hint names.

    Of rows that a worker was lost over it waits for the end: their process runs nothing else meanwhile. A process in
    which too many calls hang is replaced. A hint that finds no place free is passed on, and keeps its process busy
    until it has come to another: Celery hands a task to the first of its processes that is free, so that others would
    never get one.

    In greenlets, which are calls beside each other themselves, a hint makes its calls one after another; what needs an
    event loop or keeps a rate is left to workers of processes or threads.
    """
    if in_greenlets():
        deliver_in_a_greenlet(consumer, ids)
        return
    pool = _of_this_process()
    ticket = pool.wake(consumer, ids)
    ticket.done.wait(LONGEST_HINT.total_seconds() - MARGIN_SECONDS)
    if pool.passes_on(consumer, ticket):
        dispatcher.dispatch({consumer.name: ids})
        sleep(PASSED_ON_WITHIN)
    if pool.is_spoilt:
        _replace_this_process(pool)


def deliver_in_a_greenlet(consumer: Consumer, ids: Sequence[int]) -> None:
    """Make the calls for the rows that a hint names here, one after another."""
    if consumer.is_async or consumer.rate is not None:
        log.error(
            "%s needs a worker of processes or threads (-P prefork, -P threads): in greenlets there is neither an "
            "event loop for async def nor a rate; its messages stay due",
            consumer.name,
        )
        return
    chunks.deliver(consumer.name, ids)


def begin_to_end() -> None:
    """Start nothing more in this process, which was told to end."""
    if _pool is not None:
        _pool.begin_to_end()


def end() -> None:
    """End the pool with its process: nothing more is started, and what is under way is waited for."""
    if _pool is not None:
        _pool.end()


def _replace_this_process(pool: Pool) -> None:
    log.error("so many calls hang in this process that it ends; another takes its place")
    pool.end()
    if current_process().name == "MainProcess":
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        raise SystemExit


def _of_this_process() -> Pool:
    global _pool
    with _lock:
        if _pool is None:
            _pool = Pool()
        return _pool


def _after_fork() -> None:
    """Start afresh in a forked child, which has none of the threads. What the parent has is kept from the collector."""
    global _pool, _lock
    _lock = threading.Lock()
    if _pool is not None:
        _inherited.append(_pool)
        _pool = None


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_after_fork)
