"""Real threads with real connections, for races."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connection, connections, transaction
from django.db.models import QuerySet

T = TypeVar("T")

TIMEOUT = 30.0
"""Seconds after which a test gives up waiting; never reached unless something is wrong."""


def _on_own_connection(call: Callable[[], T]) -> T:
    """Make the call, which must not wait for a lock until the test hangs, and close its connection."""
    try:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '5s'")
        return call()
    finally:
        connections.close_all()


def at_once(*calls: Callable[[], T]) -> list[T]:
    """Make the calls at the same moment, each in a thread with a connection of its own; return their answers."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait(TIMEOUT)
        return _on_own_connection(call)

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(TIMEOUT) for future in [pool.submit(run, call) for call in calls]]


@contextmanager
def beside(call: Callable[[], T]) -> Iterator[Future[T]]:
    """Make the call in a thread of its own while the block runs, and wait for its end after the block."""
    with ThreadPoolExecutor(1) as pool:
        future: Future[T] = pool.submit(_on_own_connection, call)
        yield future
        future.result(TIMEOUT)


@contextmanager
def held(*rows: QuerySet[Any]) -> Iterator[None]:
    """Have another session hold the locks of these rows while the block runs."""
    locked, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            for each in rows:
                assert list(each)
            locked.set()
            let_go.wait(TIMEOUT)

    with beside(hold):
        try:
            assert locked.wait(TIMEOUT)
            yield
        finally:
            let_go.set()


@contextmanager
def uncommitted(act: Callable[[], object]) -> Iterator[None]:
    """Have another session do it, and commit it once the block waits for it, or has not had to within a second."""
    done = threading.Event()

    def do() -> None:
        with transaction.atomic():
            act()
            done.set()
            deadline = time.monotonic() + 1
            while not _is_waited_for() and time.monotonic() < deadline:
                time.sleep(0.02)

    with beside(do):
        assert done.wait(TIMEOUT)
        yield


def _is_waited_for() -> bool:
    """Tell whether another session waits for a lock of this one, on PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
        )
        return bool(cursor.fetchone()[0])


def in_thread(call: Callable[[], T]) -> T:
    """Make the call in another thread, with a connection of its own, and return its answer."""
    return at_once(call)[0]


def backend() -> int:
    """Return the process id of PostgreSQL's end of this thread's connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def terminate(pid: int) -> None:
    """Have PostgreSQL end a connection, and wait until it has."""

    def end() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            assert cursor.fetchone() == (True,)

    in_thread(end)
