"""``up`` from end to end: it serves until it is told to stop, and says what keeps it from that."""

import io
import os
import signal
import socket
import urllib.request
from datetime import timedelta

import psutil
import pytest
from django.core.management import call_command
from django.core.management.base import OutputWrapper

from config.demo.load import wait_until_served
from config.management.commands import up
from config.processes.arguments import free_port
from tests.system.processes.clones import start, until

pytestmark = [pytest.mark.processes, pytest.mark.services, pytest.mark.timeout(240)]


def test_up_serves_until_term_and_leaves_nothing_running(environment):
    port = free_port()
    own = {"SECRET_KEY": "k" * 60, "OUTBOX_PREFIX": f"{os.environ['OUTBOX_PREFIX']}-up", "SECURE_SSL_REDIRECT": "0"}
    program = start({**environment, **own}, "up", "--bind", f"127.0.0.1:{port}")
    said = list(until(iter(program.stdout.readline, ""), "web is up"))
    children = psutil.Process(program.pid).children(recursive=True)

    wait_until_served(f"http://127.0.0.1:{port}/", within=timedelta(seconds=20))

    program.send_signal(signal.SIGTERM)
    program.communicate(timeout=60)
    assert program.returncode == 0
    assert not any("Task outbox.rescan" in line or "start celery-beat" in line for line in said)
    assert [child for child in children if child.is_running()] == []


def test_a_migration_and_its_end_stand_on_one_line(monkeypatch, settings):
    class Enough(Exception):
        pass

    def call(name, **options):
        if name == "migrate":
            out = OutputWrapper(options["stdout"])
            out.write("  Applying outbox.0001_initial...", ending="")
            out.write(" OK")
            raise Enough

    settings.EMBEDDED, terminal = False, io.StringIO()
    monkeypatch.setattr(up, "call_command", call)

    with pytest.raises(Enough):
        call_command(up.Command(), bind=f"127.0.0.1:{free_port()}", stdout=terminal)

    assert terminal.getvalue() == "  Applying outbox.0001_initial... OK\n"


def test_up_without_a_proxy_leads_to_no_https_that_is_not_there(environment):
    port = free_port()
    own = {"SECRET_KEY": "k" * 60, "OUTBOX_PREFIX": f"{os.environ['OUTBOX_PREFIX']}-up"}
    program = start({**environment, **own}, "up", "--bind", f"127.0.0.1:{port}", program=["manage.py"])
    try:
        said = list(until(iter(program.stdout.readline, ""), "web is up"))
        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/login/", timeout=20)
    finally:
        program.send_signal(signal.SIGTERM)
        program.communicate(timeout=60)

    assert f"Served without TLS, to this machine only: http://127.0.0.1:{port}/admin/" in "".join(said)
    assert (answer.status, "secure" in answer.headers["Set-Cookie"].lower()) == (200, False)


def test_up_names_the_port_that_is_taken_and_the_option_before_it_touches_anything(environment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        program = start({**environment, "SECRET_KEY": "k" * 60}, "up", "--bind", bind)
        output, errors = program.communicate(timeout=60)

    assert (program.returncode, output) == (1, "")
    assert errors.strip().startswith(f"CommandError: {bind} is taken, or not for us to use")
    assert errors.strip().endswith("Give another: --bind 127.0.0.1:PORT")
