"""The web process as gunicorn serves it: its first request, HEAD, requests under way when it stops, its replacement."""

import json
import subprocess
import sys
import threading
from collections import Counter

import httpx
import pytest
from gunicorn.config import Config
from kombu import Connection

from tests.harness.program import ROOT, eventually
from tests.system.running.processes import NO_TLS, Web, holding

pytestmark = [pytest.mark.processes, pytest.mark.services]

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
"""Draws that wait: for the locked table, or for another that has drawn the same prize and waits for it."""
PATHS = ["/", "/healthz", "/readyz", "/admin/login/", "/nowhere", "/favicon.ico"]


BEGUN = """
import gc, json, sys
import config.wsgi, config.gunicorn
config.gunicorn.post_worker_init(None)
print(json.dumps({"addresses": "config.urls" in sys.modules, "left_alone": gc.get_freeze_count()}))
"""
"""A web process that has begun, and was asked nothing yet."""


@pytest.fixture
def web(raffle, tmp_path):
    program = Web(raffle, tmp_path, ["start", "web"], workers=1)
    program.wait_until_served()
    return program


def test_what_takes_long_once_is_done_before_the_first_request(raffle):
    argv = [sys.executable, "-c", BEGUN]
    done = subprocess.run(
        argv, env=raffle.environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )

    begun = json.loads(done.stdout)
    assert begun["addresses"]
    assert begun["left_alone"] > 100_000
    assert "post_worker_init" in Config().settings


def test_head_has_the_headers_of_get_and_no_body(web):
    for path in PATHS:
        got, headed = (ask(web.address + path, verify=NO_TLS, timeout=30) for ask in (httpx.get, httpx.head))

        assert (headed.status_code, headed.content) == (got.status_code, b"")
        assert headed.headers["Content-Length"] == got.headers["Content-Length"]
        assert headed.headers.get("Content-Type") == got.headers.get("Content-Type")
    assert "no-body" not in web.said()


def test_requests_under_way_are_answered_and_their_hints_sent_before_web_ends(raffle, web):
    answers, statuses = {}, []
    keys = [f"under-way-{number}" for number in range(4)]  # as many as the process has threads
    threads = [threading.Thread(target=lambda key=key: answers.update({key: web.draw(key)})) for key in keys]

    with holding(raffle, "LOCK TABLE awards_draw IN EXCLUSIVE MODE"):
        for thread in threads:
            thread.start()
        eventually(lambda: raffle.count(WAITING) == len(keys), within=20)
        stopper = threading.Thread(target=lambda: statuses.append(web.terminate()))
        stopper.start()
        eventually(lambda: "Handling signal: term" in web.said(), within=5)
        assert answers == {}
    for thread in [*threads, stopper]:
        thread.join(30)

    assert {key: answer.status_code for key, answer in answers.items()} == dict.fromkeys(keys, 201)
    assert statuses == [0]
    published = raffle.rows("SELECT id FROM outbox_message ORDER BY id")
    assert len(published) == 3 * len(keys)
    assert hinted(raffle) == [id for (id,) in published]


def test_a_web_process_that_is_replaced_after_so_many_requests_drops_none(raffle, tmp_path):
    web = Web(raffle, tmp_path, ["start", "web"], GUNICORN_CMD_ARGS="--max-requests 40 --max-requests-jitter 5")
    web.wait_until_served()
    statuses = Counter()

    def draw(many):
        for number in range(50):
            statuses[web.draw(f"replaced-{many}-{number}").status_code] += 1

    threads = [threading.Thread(target=draw, args=(many,)) for many in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert web.said().count("Autorestarting worker") >= 3
    assert statuses == {201: 200}


def hinted(site):
    """Take every hint from the broker and return the ids that they name."""
    ids = set()
    with Connection(site.broker) as connection:
        channel = connection.channel()
        for (consumer,) in site.rows("SELECT DISTINCT consumer FROM outbox_message"):
            while message := channel.basic_get(f"{site.prefix}.{consumer}", no_ack=True):
                _args, kwargs, _embed = json.loads(message.body)
                ids.update(kwargs["ids"] if kwargs else _args[1])
    return sorted(ids)
