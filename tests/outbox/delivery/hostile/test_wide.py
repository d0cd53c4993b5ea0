"""What handlers do to each other that are called beside each other, in threads and on one event loop."""

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction

from outbox.errors import Reject
from tests.outbox.delivery.hostile.oracle import BESIDE, LOOP, THREADS, Case, at_first, effect, pairs

pytestmark = pytest.mark.services


def sql(statement):
    def act(_message):
        with connection.cursor() as cursor:
            cursor.execute(statement)

    return act


def raises(error):
    def act(_message):
        raise error

    return act


class Odd(BaseException):
    """Derived from no Exception."""


def set_and_leave(_message):
    transaction.set_autocommit(False)
    effect(_message)


def close_all(_message):
    connections.close_all()


def kill_my_session(_message):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def start_threads(message):
    threads = [threading.Thread(target=time.sleep, args=(0.05,)) for _thread in range(20)]
    for thread in threads:
        thread.start()


def block(_message):
    time.sleep(2)


def fork_and_return(_message):
    if pid := os.fork():
        os.waitpid(pid, 0)


def stop_the_loop(_message):
    asyncio.get_running_loop().stop()


def cancel_the_others(_message):
    for task in asyncio.all_tasks():
        if task is not asyncio.current_task():
            task.cancel()


CASES = [
    *[
        Case("exception", name, raises(error), ways=BESIDE)
        for name, error in {
            "SystemExit": SystemExit(3),
            "KeyboardInterrupt": KeyboardInterrupt(),
            "GeneratorExit": GeneratorExit(),
            "CancelledError": asyncio.CancelledError(),
            "StopIteration": StopIteration(),
            "TimeoutError": TimeoutError(),
            "MemoryError": MemoryError(),
            "BaseException": Odd("odd"),
            "Reject": Reject("no"),
        }.items()
    ],
    Case("session", "SET search_path", sql("SET search_path = nowhere"), ways=BESIDE, settling=True),
    Case("session", "SET role", sql("SET ROLE pg_monitor"), ways=BESIDE, settling=True),
    Case("session", "read only", sql("SET default_transaction_read_only = on"), ways=BESIDE, settling=True),
    Case("session", "its own is ended", kill_my_session, ways=BESIDE, settling=True),
    Case("transaction", "COMMIT in the block", sql("COMMIT"), ways=BESIDE, settling=True),
    Case("transaction", "ROLLBACK in the block", sql("ROLLBACK"), ways=BESIDE, settling=True),
    Case("transaction", "autocommit switched off", set_and_leave, ways=(THREADS,)),
    Case("connection", "all are closed", close_all, ways=BESIDE, settling=True),
    Case("thread", "twenty more", start_threads, ways=BESIDE),
    Case("thread", "a call that blocks", block, ways=BESIDE),
    Case("thread", "a collection of everything", lambda _message: gc.collect() and None, ways=BESIDE),
    Case("fork", "the child returns", fork_and_return, ways=(THREADS,)),
    Case("process", "os._exit", at_first(lambda _message: os._exit(1)), ways=BESIDE, spoils=True),
    Case(
        "process", "SIGKILL", at_first(lambda _message: os.kill(os.getpid(), signal.SIGKILL)), ways=BESIDE, spoils=True
    ),
    Case("process", "no recursion", lambda _message: sys.setrecursionlimit(sys.getrecursionlimit()), ways=BESIDE),
    Case("loop", "the others are cancelled", at_first(cancel_the_others), ways=(LOOP,), spoils=True),
    Case("loop", "the loop is stopped", stop_the_loop, ways=(LOOP,)),
]


@pytest.mark.parametrize(**pairs(CASES))
def test_a_handler_harms_none_that_is_called_beside_it(judge, case, way):
    judge(case, way)


def test_all_of_it_is_given_up_in_time():
    """The trial's own patience is longer than a call may take."""
    assert all(case.timeout <= timedelta(seconds=15) for case in CASES)
