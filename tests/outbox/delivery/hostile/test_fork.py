"""Handlers that fork, and start programs: there are two processes then, and one may settle."""

import multiprocessing
import os
import subprocess
import sys

import pytest
from django.db import connection, connections

from tests.outbox.delivery.hostile.oracle import OUTSIDE, Case, effect, pairs

pytestmark = pytest.mark.services


def wait_for_child(pid):
    os.waitpid(pid, 0)


def child_returns(_message):
    if pid := os.fork():
        wait_for_child(pid)


def child_raises(_message):
    if pid := os.fork():
        wait_for_child(pid)
    else:
        raise ValueError("in the child")


def child_exits(_message):
    if pid := os.fork():
        wait_for_child(pid)
    else:
        sys.exit(3)


def child_ends_hard(_message):
    if pid := os.fork():
        wait_for_child(pid)
    else:
        os._exit(0)


def child_becomes_a_program(_message):
    if pid := os.fork():
        wait_for_child(pid)
    else:
        os.execv("/bin/true", ["true"])


def child_is_left(_message):
    os.fork()


def a_process_of_multiprocessing(_message):
    process = multiprocessing.get_context("fork").Process(target=os.getpid)
    process.start()
    process.join()


def a_program_with_our_socket(_message):
    socket = connection.connection.fileno() if connection.connection else 1
    subprocess.run(["/bin/true"], pass_fds=[socket], check=True)


def a_program_that_is_left(_message):
    subprocess.Popen(["/bin/sleep", "30"])


def child_writes(message):
    if pid := os.fork():
        wait_for_child(pid)
    else:
        effect(message)
        os._exit(0)


def child_closes(_message):
    if pid := os.fork():
        wait_for_child(pid)
    else:
        connection.close()
        os._exit(0)


def child_commits(_message):
    if pid := os.fork():
        wait_for_child(pid)
    else:
        with connection.cursor() as cursor:
            cursor.execute("COMMIT")


def child_has_a_session_of_its_own(_message):
    if pid := os.fork():
        _pid, status = os.waitpid(pid, 0)
        assert status == 0
    else:
        connections["beside"] = connection.copy()
        with connections["beside"].cursor() as cursor:
            cursor.execute("SELECT 1")
        os._exit(0)


def child_settles_and_its_parent_fails(message):
    if pid := os.fork():
        wait_for_child(pid)
        raise ValueError("only the child has settled")
    connection.close()  # its parent's leads nowhere here; what comes next opens one of its own
    with message.settling():
        effect(message)
    os._exit(0)


CASES = [
    Case("fork/exec", "the child returns from the handler", child_returns),
    Case("fork/exec", "the child raises", child_raises),
    Case("fork/exec", "the child exits by sys.exit", child_exits),
    Case("fork/exec", "the child ends by os._exit", child_ends_hard),
    Case("fork/exec", "the child becomes a program", child_becomes_a_program),
    Case("fork/exec", "the child returns and nobody waits", child_is_left),
    Case("fork/exec", "the child writes on our session", child_writes),
    Case("fork/exec", "the child closes our session", child_closes),
    Case("fork/exec", "the child commits on our session", child_commits),
    Case("fork/exec", "the child has a session of its own", child_has_a_session_of_its_own, reason=""),
    Case(
        *("fork/exec", "the child settles and its parent fails", child_settles_and_its_parent_fails),
        ways=[OUTSIDE],
        reason="no_tries_left",
    ),
    Case("fork/exec", "a process of multiprocessing", a_process_of_multiprocessing),
    Case("fork/exec", "a program with our socket", a_program_with_our_socket),
    Case("fork/exec", "a program that is left", a_program_that_is_left),
]


@pytest.mark.parametrize(**pairs(CASES))
def test_a_handler_that_forks_costs_its_neighbours_nothing(judge, case, way):
    judge(case, way)
