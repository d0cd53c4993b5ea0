"""Handlers that change their process, damage it, or end it."""

import gc
import inspect
import os
import resource
import signal
import sys

import pytest

from tests.outbox.delivery.hostile.oracle import Case, at_first, pairs

pytestmark = pytest.mark.services


def moves(_message):
    os.chdir("/")
    os.umask(0o777)


def changes_the_environment(_message):
    os.environ.clear()


def closes_the_streams(_message):
    sys.stdout = sys.stderr = None


def has_shallow_stacks(_message):
    sys.setrecursionlimit(len(inspect.stack(0)) + 20)


def recurses(message):
    recurses(message)


def needs_memory(_message):
    bytearray(1 << 60)


def collects_nothing(_message):
    gc.disable()


def closes_descriptors(_message):
    os.closerange(3, 4096)


def lowers(limit, value):
    return lambda _message: resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))


def exits(_message):
    sys.exit(1)


def ends(_message):
    os._exit(7)


def aborts(_message):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGABRT, signal.SIG_DFL)
    os.abort()


def kills_itself(_message):
    os.kill(os.getpid(), signal.SIGKILL)


CASES = [
    Case("process", "another folder and umask", moves),
    Case("process", "an empty environment", changes_the_environment),
    Case("process", "no standard streams", closes_the_streams),
    Case("process", "a low limit of recursion", has_shallow_stacks),
    Case("process", "endless recursion", recurses),
    Case("process", "memory that is not there", needs_memory),
    Case("process", "no garbage collection", collects_nothing),
    Case("process", "all descriptors closed", at_first(closes_descriptors), spoils=True),
    Case("process", "a low limit of open files", lowers(resource.RLIMIT_NOFILE, 3)),
    Case("process", "a low limit of memory", lowers(resource.RLIMIT_AS, 1 << 20)),
    Case("process", "a low limit for files", lowers(resource.RLIMIT_FSIZE, 1)),
    Case("process", "sys.exit", exits, spoils=True),
    Case("process", "os._exit", ends, spoils=True),
    Case("process", "os.abort", aborts, spoils=True),
    Case("process", "SIGKILL", kills_itself, spoils=True),
]


@pytest.mark.parametrize(**pairs(CASES))
def test_a_handler_that_harms_its_process_costs_its_neighbours_nothing(judge, case, way):
    judge(case, way)
