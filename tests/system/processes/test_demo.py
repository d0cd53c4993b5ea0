"""The demo from end to end: real processes, real draws, a reconciliation that trusts no message."""

import json
import os
import re
import signal
import socket
import urllib.request
from urllib.parse import urljoin

import psutil
import pytest

from tests.system.processes.clones import declared, start, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def finished(empty_clone):
    """A demo that ended by itself, the first in its clone: its exit status, its output and its errors."""
    demo = start(on_its_own(empty_clone), "demo", "--draws", "40", "--exit", "--port", "0")
    output, errors = demo.communicate(timeout=200)
    return demo.returncode, output, errors


def on_its_own(environment):
    """Return the environment with names on the broker that no other demo uses."""
    return {**environment, "OUTBOX_PREFIX": f"{os.environ['OUTBOX_PREFIX']}-left"}


def survivors(result):
    return [pid for pids in result["pids"].values() for pid in pids if psutil.pid_exists(pid)]


def test_every_draw_ends_issued_or_visibly_failed_and_the_last_line_says_so(finished):
    status, output, errors = finished
    result = json.loads(output.splitlines()[-1])

    assert status == 0, errors
    assert [result[name] for name in ("draws", "lost", "doubled", "lost_attempts")] == [40, 0, 0, 0]
    assert result["won"] == result["issued"] + result["failed"] + result["handled"] > 10
    assert set(result["pids"]) == {"demo", "vendor", "worker", "control", "beat", "web"}
    assert set(map(int, result["handled_by"])) <= set(result["pids"]["worker"])
    assert sum(result["handled_by"].values()) >= result["won"]
    assert survivors(result) == []


def test_the_demo_tells_address_and_password_before_it_draws(finished):
    _status, output, _errors = finished

    login = output.index("   login: admin / ")
    assert output.index("Look on while it draws: http://127.0.0.1:") < login < output.index(" won")


@pytest.mark.services
def test_nothing_of_a_demo_that_ended_by_itself_stays_on_the_broker(finished, empty_clone):
    status, _output, errors = finished

    assert status == 0, errors
    assert declared(on_its_own(empty_clone)["OUTBOX_PREFIX"]) == []


@pytest.mark.services
def test_nothing_of_a_demo_that_was_told_to_stop_stays_on_the_broker(environment):
    own = on_its_own(environment)
    demo = start(own, "demo", "--draws", "5", "--port", "0")
    list(until(iter(demo.stdout.readline, ""), "Ctrl-C stops it"))
    assert declared(own["OUTBOX_PREFIX"]) != []
    demo.send_signal(signal.SIGTERM)
    _output, errors = demo.communicate(timeout=200)

    assert demo.returncode == 0, errors
    assert declared(own["OUTBOX_PREFIX"]) == []


def test_nothing_is_lost_when_the_worker_is_killed_while_the_draws_flow(environment):
    demo = start(environment, "demo", "--draws", "60", "--exit", "--port", "0", "--kill-worker", "2")
    output, errors = demo.communicate(timeout=200)
    result = json.loads(output.splitlines()[-1])

    assert demo.returncode == 0, errors
    assert "The worker was killed 2 times" in output
    assert [result["draws"], result["lost"], result["doubled"]] == [60, 0, 0]
    assert result["won"] == result["issued"] + result["failed"] + result["handled"]
    assert result["lost_attempts"] >= 1
    assert survivors(result) == []


def test_what_is_not_settled_in_time_is_named_and_fails_the_demo(environment):
    hanging = {**environment, "EMAIL_BACKEND": "no.such.Backend"}
    demo = start(hanging, "demo", "--draws", "5", "--exit", "--port", "0", "--patience", "3")
    output, _errors = demo.communicate(timeout=120)

    assert "messages are not settled after 0:00:03; the first of them:" in output
    assert "awards.tell_winner" in output
    assert demo.returncode == 1


def test_without_exit_it_stays_until_told_to_stop_and_refuses_a_second_one(environment):
    demo = start(environment, "demo", "--draws", "5", "--port", "0")
    lines = iter(demo.stdout.readline, "")
    shown = [line for line in until(lines, "Ctrl-C stops it") if "http://" in line]
    children = psutil.Process(demo.pid).children(recursive=True)

    site = next(line.split()[-1] for line in shown if "draw yourself" in line)
    page = urllib.request.urlopen(site, timeout=10).read().decode()
    style = re.search(r'href="(/static/[^"]+\.css)"', page)[1]
    assert urllib.request.urlopen(urljoin(site, style), timeout=10).status == 200
    second = start(environment, "demo", "--draws", "5", "--port", "0")
    assert "another demo is running" in second.communicate(timeout=60)[1]
    assert second.returncode == 1

    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert [child for child in children if child.is_running()] == []


def test_a_process_that_does_not_come_up_ends_the_demo_with_the_end_of_its_log(environment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        demo = start({**environment, "VENDOR_URL": address}, "demo", "--exit", "--port", "0")
        _output, errors = demo.communicate(timeout=150)

    assert demo.returncode == 1
    assert "vendor ended 4 times before it was up" in errors
    assert "cannot listen" in errors
