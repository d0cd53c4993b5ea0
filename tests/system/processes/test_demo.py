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

from tests.harness.redis_server import installed_here, redis_server
from tests.system.processes.clones import declared, start, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def finished(empty_clone):
    """A demo that ended by itself, the first in its clone: its exit status, its output and its errors."""
    demo = start(on_its_own(empty_clone), "demo", "--draws", "40", "--sale", "90", "--exit", "--port", "0")
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


def test_its_flash_sale_lets_people_in_at_its_rate_and_every_piece_is_won_once_or_left(finished):
    _status, output, errors = finished
    sale = json.loads(output.splitlines()[-1])["sale"]

    assert sale["pieces"] == 60, errors
    assert sale["won"] + sale["left"] == 60
    assert sale["won"] > 30
    assert f"Of 60 pieces {sale['won']} are won and {sale['left']} left." in output
    assert int(re.search(r"flash sale 90/90, \d+ won, (\d+) times told to come again", output)[1]) > 0


@pytest.mark.skipif(not installed_here(), reason="there is no redis-server here")
def test_with_redis_its_flash_sale_takes_its_pieces_from_there(environment, tmp_path):
    with redis_server(tmp_path, "--save", "", "--appendonly", "no") as redis:
        with_redis = {**environment, "REDIS_URL": redis.url}
        demo = start(with_redis, "demo", "--draws", "5", "--sale", "90", "--exit", "--port", "0")
        output, errors = demo.communicate(timeout=200)
        kept = redis.client.keys("*:sale:*")

    sale = json.loads(output.splitlines()[-1])["sale"]
    assert demo.returncode == 0, errors
    assert "60 pieces in Redis" in output
    assert (sale["pieces"], sale["won"] + sale["left"]) == (60, 60)
    assert sale["won"] > 30
    assert kept != []


def test_the_demo_tells_address_and_password_before_it_draws(finished):
    _status, output, _errors = finished

    login = output.index("   login: admin / ")
    assert output.index("Look on while it draws: http://127.0.0.1:") < login < output.index(" won")


@pytest.mark.services
def test_nothing_of_a_demo_that_ended_by_itself_stays_on_the_broker(finished, empty_clone):
    status, _output, errors = finished

    assert status == 0, errors
    assert declared(on_its_own(empty_clone)["OUTBOX_PREFIX"]) == []


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


def test_without_exit_it_stays_until_told_to_stop_and_refuses_a_second_one_and_leaves_nothing(environment):
    own = on_its_own(environment)
    demo = start(own, "demo", "--draws", "5", "--port", "0")
    lines = iter(demo.stdout.readline, "")
    shown = [line for line in until(lines, "Ctrl-C stops it") if "http://" in line]
    children = psutil.Process(demo.pid).children(recursive=True)
    on_services = "CELERY_BROKER_URL" in own
    assert not on_services or declared(own["OUTBOX_PREFIX"]) != []

    site = next(line.split()[-1] for line in shown if "draw yourself" in line)
    assert any("how that goes" in line and "/admin/awards/sale/" in line for line in shown)
    page = urllib.request.urlopen(site, timeout=10).read().decode()
    style = re.search(r'href="(/static/[^"]+\.css)"', page)[1]
    assert urllib.request.urlopen(urljoin(site, style), timeout=10).status == 200
    second = start(own, "demo", "--draws", "5", "--port", "0")
    assert "another demo is running" in second.communicate(timeout=60)[1]
    assert second.returncode == 1

    demo.send_signal(signal.SIGINT)  # test_supervisor.py has the other signals
    demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert [child for child in children if child.is_running()] == []
    assert not on_services or declared(own["OUTBOX_PREFIX"]) == []


def test_a_process_that_does_not_come_up_ends_the_demo_with_the_end_of_its_log(environment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        demo = start({**environment, "VENDOR_URL": address}, "demo", "--exit", "--port", "0")
        _output, errors = demo.communicate(timeout=150)

    assert demo.returncode == 1
    assert "vendor ended 4 times before it was up" in errors
    assert "cannot listen" in errors
