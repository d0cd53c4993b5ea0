"""Handlers that change or send signals."""

import os
import signal

import pytest

from outbox.delivery import chunks
from tests.harness.messages import publish_messages
from tests.outbox.delivery.hostile.oracle import ATOMIC, Case, pairs

pytestmark = pytest.mark.services


def ignores_sigterm(_message):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def ignores_its_children(_message):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def an_alarm_that_raises(_message):
    def ring(*_args):
        raise TimeoutError("the handler's own alarm")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.05)


def a_timer_that_is_left(_message):
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0.05)


def blocks_all_signals(_message):
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))


def sends_a_signal_that_raises(_message):
    def refuse(*_args):
        raise ValueError("SIGUSR1")

    signal.signal(signal.SIGUSR1, refuse)
    signal.raise_signal(signal.SIGUSR1)


def sends(number):
    def act(_message):
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    return act


def interrupts_itself(_message):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


CASES = [
    Case("signal", "ignores SIGTERM", ignores_sigterm),
    Case("signal", "ignores SIGCHLD", ignores_its_children),
    Case("signal", "an alarm is left that raises", an_alarm_that_raises),
    Case(
        "signal", "a timer is left that kills", a_timer_that_is_left, ways=[ATOMIC]
    ),  # elsewhere it may kill in its own handler
    Case("signal", "blocks all signals", blocks_all_signals),
    Case("signal", "SIGUSR1 that raises", sends_a_signal_that_raises),
    Case("signal", "SIGTERM to itself", sends(signal.SIGTERM), spoils=True),
    Case("signal", "SIGINT to itself", interrupts_itself, spoils=True),
]


@pytest.mark.parametrize(**pairs(CASES))
def test_a_handler_that_plays_with_signals_costs_its_neighbours_nothing(judge, case, way):
    judge(case, way)


@pytest.fixture
def no_timer():
    """Let the process be without a timer, as a worker's is; pytest's own goes on afterwards."""
    rest = signal.setitimer(signal.ITIMER_REAL, 0)
    yield
    signal.setitimer(signal.ITIMER_REAL, *rest)


@pytest.mark.usefixtures("transactional_db", "dispatched", "no_timer")
def test_a_timer_that_is_left_is_stopped_before_the_next_call(listen, caplog):
    met = []

    def handler(message):
        met.append(signal.getitimer(signal.ITIMER_REAL)[0])
        signal.setitimer(signal.ITIMER_REAL, 600)

    listen(handler)
    chunks.deliver("test.till", publish_messages(3))

    assert met == [0, 0, 0]
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert "left a timer running (SIGALRM); it is stopped" in caplog.text
