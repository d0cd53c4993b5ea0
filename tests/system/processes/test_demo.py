"""The demo and ``up`` from end to end: real processes, real draws, a reconciliation that trusts no message."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from datetime import timedelta
from pathlib import Path
from urllib.parse import urljoin

import psutil
import psycopg2
import pytest
from amqp.exceptions import NotFound
from kombu import Connection

from config.demo.load import wait_until_served
from config.processes.arguments import free_port

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[3]
OF_THE_RUN = ("DATABASE_URL", "CELERY_BROKER_URL", "EMBEDDED", "OUTBOX_PREFIX", "SECRET_KEY", "VENDOR_URL")


@pytest.fixture
def environment(tmp_path):
    """The environment of a fresh clone: empty state, and on services an empty database."""
    own = {key: value for key, value in os.environ.items() if key not in OF_THE_RUN}
    own |= {"STATE_DIR": str(tmp_path / "state"), "DJANGO_SETTINGS_MODULE": "config.settings"}
    if os.environ.get("EMBEDDED"):
        yield own
        return
    address, mark, options = os.environ["DATABASE_URL"].partition("?")
    url, _slash, name = address.rpartition("/")
    name = f"test_{name}_demo"
    administer(f"{url}/postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    administer(f"{url}/postgres", f'CREATE DATABASE "{name}"')
    yield {**own, "DATABASE_URL": f"{url}/{name}{mark}{options}", "CELERY_BROKER_URL": os.environ["CELERY_BROKER_URL"]}
    administer(f"{url}/postgres", f'DROP DATABASE "{name}" WITH (FORCE)')


def administer(url, statement):
    connection = psycopg2.connect(url)
    connection.autocommit = True
    connection.cursor().execute(statement)
    connection.close()


def start(environment, *arguments, program=("-m", "config.demo.clone")):
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def survivors(result):
    return [pid for pids in result["pids"].values() for pid in pids if psutil.pid_exists(pid)]


def test_every_draw_ends_issued_or_visibly_failed_and_the_last_line_says_so(environment):
    demo = start(environment, "demo", "--draws", "40", "--exit", "--port", "0")
    output, errors = demo.communicate(timeout=200)
    result = json.loads(output.splitlines()[-1])

    assert demo.returncode == 0, errors
    assert [result[name] for name in ("draws", "lost", "doubled", "lost_attempts")] == [40, 0, 0, 0]
    assert result["won"] == result["issued"] + result["failed"] + result["handled"] > 10
    assert set(result["pids"]) == {"demo", "vendor", "worker", "control", "beat", "web"}
    assert set(map(int, result["handled_by"])) <= set(result["pids"]["worker"])
    assert sum(result["handled_by"].values()) >= result["won"]
    assert survivors(result) == []


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


@pytest.mark.services
@pytest.mark.parametrize("ending", ["by itself", "told to stop"])
def test_nothing_of_the_demo_stays_on_the_broker(environment, ending):
    prefix = f"{os.environ['OUTBOX_PREFIX']}-left"
    own = {**environment, "OUTBOX_PREFIX": prefix}
    demo = start(own, "demo", "--draws", "5", "--port", "0", *(["--exit"] if ending == "by itself" else []))
    if ending == "told to stop":
        list(until(iter(demo.stdout.readline, ""), "Ctrl-C stops it"))
        demo.send_signal(signal.SIGTERM)
    _output, errors = demo.communicate(timeout=200)

    assert demo.returncode == 0, errors
    assert declared(prefix) == []


def declared(prefix):
    """Return the names of queues and exchanges that would stay for ever; a worker's own mailbox goes by itself."""
    with Connection(os.environ["CELERY_BROKER_URL"]) as connection:
        left = []
        for name in ("tasks", "control", "dead", "awards.issue_points", "awards.order_gift", "awards.hand_out_coupon"):
            for declare in ("queue_declare", "exchange_declare"):
                arguments = {"type": "direct"} if declare == "exchange_declare" else {}
                try:
                    getattr(connection.channel(), declare)(f"{prefix}.{name}", passive=True, **arguments)
                except NotFound:
                    continue
                left.append((declare, name))
        return left


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


def until(lines, text):
    for line in lines:
        yield line
        if text in line:
            return
    raise AssertionError(f"the output ended without {text!r}")


@pytest.mark.services
def test_up_serves_until_term_and_leaves_nothing_running(environment):
    port = free_port()
    own = {"SECRET_KEY": "k" * 60, "OUTBOX_PREFIX": f"{os.environ['OUTBOX_PREFIX']}-up", "SECURE_SSL_REDIRECT": "0"}
    up = start({**environment, **own}, "up", "--bind", f"127.0.0.1:{port}")
    list(until(iter(up.stdout.readline, ""), "web is up"))
    children = psutil.Process(up.pid).children(recursive=True)

    wait_until_served(f"http://127.0.0.1:{port}/", within=timedelta(seconds=20))

    up.send_signal(signal.SIGTERM)
    up.communicate(timeout=60)
    assert up.returncode == 0
    assert [child for child in children if child.is_running()] == []


@pytest.mark.services
def test_up_without_a_proxy_leads_to_no_https_that_is_not_there(environment):
    port = free_port()
    own = {"SECRET_KEY": "k" * 60, "OUTBOX_PREFIX": f"{os.environ['OUTBOX_PREFIX']}-up"}
    up = start({**environment, **own}, "up", "--bind", f"127.0.0.1:{port}", program=["manage.py"])
    try:
        said = list(until(iter(up.stdout.readline, ""), "web is up"))
        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/login/", timeout=20)
    finally:
        up.send_signal(signal.SIGTERM)
        up.communicate(timeout=60)

    assert f"Served without TLS, to this machine only: http://127.0.0.1:{port}/admin/" in "".join(said)
    assert (answer.status, "secure" in answer.headers["Set-Cookie"].lower()) == (200, False)


@pytest.mark.services
def test_up_names_the_port_that_is_taken_and_the_option_before_it_touches_anything(environment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        up = start({**environment, "SECRET_KEY": "k" * 60}, "up", "--bind", bind)
        output, errors = up.communicate(timeout=60)

    assert (up.returncode, output) == (1, "")
    assert errors.strip().startswith(f"CommandError: {bind} is taken, or not for us to use")
    assert errors.strip().endswith("Give another: --bind 127.0.0.1:PORT")


def test_the_demo_tells_address_and_password_before_it_draws(environment):
    demo = start(environment, "demo", "--draws", "5", "--exit", "--port", "0")
    output, _errors = demo.communicate(timeout=120)

    login = output.index("   login: admin / ")
    assert output.index("Look on while it draws: http://127.0.0.1:") < login < output.index(" won")
