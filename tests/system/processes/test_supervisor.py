"""The supervisor: it restarts what dies, ends everything in order, and leaves no orphan, not even when it is killed."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from config.management.commands.up import CHORES
from config.processes.supervisor import Role, Supervisor, SupervisorError

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[3]
SUPERVISED = Path(__file__).with_name("supervised.py")
SECONDS = timedelta(seconds=1)
WITH_A_CHILD = "sleep 1000 & echo child $!; echo up; wait"


def shell(name, script, **options):
    return Role(name, ["/bin/sh", "-c", script], ready="up", **options)


def eventually(condition, *, within=10.0):
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {within} s: {condition}")


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def family(pid):
    process = psutil.Process(pid)
    return [process.pid, *(child.pid for child in process.children(recursive=True))]


def test_what_dies_is_started_again_and_counted(tmp_path):
    with Supervisor([shell("one", "echo up; exec sleep 1000")], logs=tmp_path) as supervisor:
        supervisor.wait_until_ready("one", within=5 * SECONDS)

        first = supervisor.kill("one")
        eventually(lambda: supervisor.restarts() == {"one": 1})
        supervisor.wait_until_ready("one", within=5 * SECONDS)

        [pids] = supervisor.pids().values()
        assert pids[0] == first
        assert [is_running(pid) for pid in pids] == [False, True]
    assert not is_running(pids[1])
    assert f"process {first} ended: SIGKILL" in (tmp_path / "one.log").read_text()


def test_a_process_that_had_come_up_is_restarted_at_once_however_often_it_dies(tmp_path):
    with Supervisor([shell("one", "echo up; sleep 0.05")], logs=tmp_path) as supervisor:
        eventually(lambda: supervisor.restarts()["one"] >= 5, within=4)


def test_a_process_that_cannot_come_up_is_restarted_at_growing_intervals(tmp_path):
    with Supervisor([shell("one", "exit 3")], logs=tmp_path) as supervisor:
        time.sleep(2.0)
        restarts = supervisor.restarts()["one"]

    assert 2 <= restarts <= 4  # after 0.2, 0.4, 0.8 s, and not twenty times a second


def test_a_process_that_does_not_come_up_is_reported_with_the_end_of_its_log(tmp_path):
    with Supervisor([shell("one", "echo no such table; exec sleep 1000")], logs=tmp_path) as supervisor:
        eventually(lambda: "no such table" in (tmp_path / "one.log").read_text())
        with pytest.raises(SupervisorError, match=r"(?s)one was not up within 0 s.*no such table"):
            supervisor.wait_until_ready("one", within=0.1 * SECONDS)


def test_a_process_that_ends_again_and_again_before_it_is_up_is_not_waited_for_any_longer(tmp_path):
    with (
        Supervisor([shell("one", "echo no such table; exit 1")], logs=tmp_path) as supervisor,
        pytest.raises(SupervisorError, match=r"(?s)one ended 4 times before it was up.*no such table"),
    ):
        supervisor.wait_until_ready("one", within=60 * SECONDS)


def test_output_goes_to_a_log_per_role_and_to_the_terminal_with_the_role_in_front(tmp_path):
    terminal = io.StringIO()

    with Supervisor([shell("web", "echo up; echo down >&2; exec sleep 9")], logs=tmp_path, echo=terminal):
        eventually(lambda: "| down" in terminal.getvalue())

    assert (tmp_path / "web.log").read_text().splitlines()[1:3] == ["up", "down"]
    assert "web     | up\nweb     | down\n" in terminal.getvalue()


def test_what_is_not_echoed_stands_in_its_log_alone(tmp_path):
    terminal, usual = io.StringIO(), re.compile("us.al")

    with Supervisor([shell("web", "echo usual; echo up; exec sleep 9")], logs=tmp_path, echo=terminal, unechoed=usual):
        eventually(lambda: "| up" in terminal.getvalue())

    assert (tmp_path / "web.log").read_text().splitlines()[1:3] == ["usual", "up"]
    assert "usual" not in terminal.getvalue()


@pytest.mark.parametrize(
    ("name", "text", "is_usual"),
    [
        ("INFO 47 celery.beat", "Scheduler: Sending due task outbox: rescan (outbox.rescan)", True),
        ("INFO 47 celery.worker.strategy", "Task outbox.rescan[4b1f] received", True),
        ("INFO 47 celery.app.trace", "Task outbox.send_alerts[4b1f] succeeded in 0.01s: None", True),
        ("ERROR 47 celery.app.trace", "Task outbox.rescan[4b1f] raised unexpected: OperationalError()", False),
        ("INFO 47 celery.app.trace", "Task outbox.deliver[4b1f] succeeded in 0.01s: None", False),
        ("INFO 47 celery.app.trace", "Task shop.report[4b1f] succeeded in 0.01s: None", False),
        ("INFO 47 outbox.tasks", "the chore rescan was overdue and was done by a worker", False),
    ],
)
def test_the_terminal_of_up_is_spared_what_is_usual_of_the_engine_s_chores_and_nothing_else(name, text, is_usual):
    line = f"2026-01-31T12:00:00.123Z {name} message=- attempt=- consumer=- | {text}"

    assert bool(CHORES.search(line)) is is_usual


def test_what_others_talk_to_is_stopped_after_them(tmp_path):
    order = tmp_path / "order"
    script = "trap 'sleep {2}; echo {0} >> {1}; exit' TERM; echo up; while :; do sleep 0.02; done"
    roles = [
        shell("vendor", script.format("vendor", order, 0), last=True),
        shell("worker", script.format("worker", order, 0.8)),
        shell("web", script.format("web", order, 0.2)),
    ]

    with Supervisor(roles, logs=tmp_path) as supervisor:
        for role in roles:
            supervisor.wait_until_ready(role.name, within=5 * SECONDS)

    assert order.read_text().split() == ["web", "worker", "vendor"]


def test_a_process_deaf_to_term_is_killed_with_its_children_when_its_grace_is_over(tmp_path):
    deaf = shell("deaf", f"trap '' TERM; {WITH_A_CHILD}; sleep 1000", grace=0.5 * SECONDS)

    with Supervisor([deaf], logs=tmp_path) as supervisor:
        supervisor.wait_until_ready("deaf", within=5 * SECONDS)
        pids = family(supervisor.pids()["deaf"][0])
        assert len(pids) == 2

    assert not any(is_running(pid) for pid in pids)
    assert "did not end within" in (tmp_path / "deaf.log").read_text()


def test_children_of_a_process_that_dies_alone_are_gone_before_it_is_started_again(tmp_path):
    with Supervisor([shell("one", WITH_A_CHILD)], logs=tmp_path) as supervisor:
        supervisor.wait_until_ready("one", within=5 * SECONDS)
        main, child = family(supervisor.pids()["one"][0])

        os.kill(main, signal.SIGKILL)
        eventually(lambda: supervisor.restarts()["one"] == 1)

        assert not is_running(child)


@pytest.fixture
def supervised(tmp_path):
    """A supervisor in a process of its own, and the processes it has started, children and reaper included."""
    process = subprocess.Popen(
        [sys.executable, str(SUPERVISED), str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == b"up\n"
    pids = eventually(lambda: len(found := family(process.pid)) == 6 and found)
    yield process, pids[1:]
    process.kill()
    process.communicate()
    for pid in filter(is_running, pids):
        os.kill(pid, signal.SIGKILL)


def test_no_orphan_is_left_when_the_supervisor_is_killed(supervised):
    process, pids = supervised

    process.send_signal(signal.SIGKILL)
    process.wait()

    eventually(lambda: not any(is_running(pid) for pid in pids), within=3)


def test_a_reaper_that_was_killed_is_replaced_and_the_new_one_knows_everybody(supervised):
    process, pids = supervised
    [reaper] = [child for child in psutil.Process(process.pid).children() if "reaper.py" in " ".join(child.cmdline())]

    reaper.kill()
    eventually(lambda: set(family(process.pid)) - {process.pid, *pids})
    process.send_signal(signal.SIGKILL)
    process.wait()

    eventually(lambda: not any(is_running(pid) for pid in pids), within=3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything_and_a_second_one_does_not_interrupt_that(supervised, number):
    process, pids = supervised

    process.send_signal(number)
    process.send_signal(number)

    assert process.wait(10) == 0
    assert not any(is_running(pid) for pid in pids)
