"""Every line that a worker writes while it works on a message says so; every other line says that it does not."""

import logging
import os
import signal
import sys

import httpx
import psutil
import pytest

from config.logs import Lines
from config.processes.arguments import free_port
from outbox.logs import MessageFilter, at_work_on
from outbox.models import Message
from tests.harness.program import Program, eventually
from tests.system.running.lines import NOTHING, about, strange
from tests.system.running.processes import NO_TLS

WAYS = ["logging", "task logger", "print", "two lines", "ERROR forged", "still", "failure"]


def in_lines(text, *messages):
    record = logging.LogRecord("shop", logging.INFO, __file__, 1, text, None, None)
    with at_work_on(*messages):
        MessageFilter().filter(record)
    return Lines("%(levelname)s %(outbox)s | %(message)s").format(record)


def test_a_line_outside_any_message_says_so():
    assert in_lines("hello") == f"INFO {NOTHING} | hello"


def test_a_line_of_a_bulk_consumer_names_all_its_messages_and_each_attempt_once():
    messages = [Message(pk=pk, attempts=attempts, consumer="a.b") for pk, attempts in [(7, 1), (8, 2), (9, 1)]]

    assert in_lines("hello", *messages) == "INFO message=7,8,9 attempt=1,2 consumer=a.b | hello"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\x0b", "\x85", "\u2028"])
def test_no_text_can_begin_a_line_of_its_own(newline):
    assert in_lines(f"one{newline}two{newline}three").splitlines() == [
        f"INFO {NOTHING} | one",
        f"  {NOTHING} | two",
        f"  {NOTHING} | three",
    ]


@pytest.mark.parametrize(
    ("text", "line"), [("/a\x00b", r"/a\x00b"), ("\x1b[31mred", r"\x1b[31mred"), ("a\tb\x9b", "a\tb\\x9b")]
)
def test_what_is_no_text_is_written_out(text, line):
    assert in_lines(text) == f"INFO {NOTHING} | {line}"


@pytest.mark.processes
@pytest.mark.services
def test_whatever_a_consumer_writes_in_a_pool_of_processes_carries_its_message(site):
    worker, client = site.worker(), site.client()

    ids = {}
    for where in ("inside", "outside"):
        [ids[where]] = client.publish(f"talk.{where}", [f"a word {where}"], {"failures": 1})
    bulk = client.publish("talk.together", ["one", "two", "three"], per_commit=3)
    site.wait_until_finished(count=5)
    eventually(lambda: "hook says" in worker.said(), within=5)

    log = worker.said()
    for where, id in ids.items():
        first, second = (f"message={id} attempt={attempt} consumer=running.{where}" for attempt in (1, 2))
        for way in WAYS:
            expected = [first, second] if way != "failure" else [first]
            assert about(log, f"{way} says a word {where}") == expected, (way, where)
    assert about(log, "hook says a word inside") == [f"message={ids['inside']} attempt=2 consumer=running.inside"]
    assert about(log, "together says") == [
        f"message={','.join(map(str, sorted(bulk)))} attempt=1 consumer=running.together"
    ]
    assert about(log, "ready.") == [NOTHING]
    assert set(about(log, "Task outbox.deliver")) == {NOTHING}
    assert strange(log, after="ready.") == []


@pytest.mark.processes
def test_threads_that_work_at_the_same_time_each_name_their_own_message(embedded):
    worker, client = embedded.worker(pool="threads"), embedded.client()

    words = ["a word", "another word"]
    ids = {word: client.publish("talk.outside", [word], {"meet": True})[0] for word in words}
    embedded.wait_until_finished(count=2)

    log = worker.said()
    for word, id in ids.items():
        mine = f"message={id} attempt=1 consumer=running.outside"
        assert [about(log, f"{way} says {word}") for way in ("logging", "still")] == [[mine], [mine]]
    began = [log.index(f"| logging says {word}") for word in words]
    ended = [log.index(f"| still says {word}") for word in words]
    assert max(began) < min(ended), "they did not work at the same time"
    assert strange(log, after="ready.") == []


@pytest.mark.processes
@pytest.mark.services
def test_beat_the_control_worker_and_web_write_the_same_lines(site, tmp_path):
    control, beat = site.control(), site.beat()
    address = f"127.0.0.1:{free_port()}"
    web = Program(
        "web",
        [sys.executable, "manage.py", "start", "web", "--bind", address, "--web-workers", "1"],
        environment=site.environment,
        log=tmp_path / "web.log",
    )
    site.programs.append(web)
    web.wait_for("Listening at")
    eventually(lambda: "Sending due task outbox: rescan" in beat.said(), within=20)
    eventually(lambda: "Task outbox.rescan" in control.said(), within=20)

    assert httpx.get(f"http://{address}/healthz?person=anna", verify=NO_TLS, timeout=30).status_code == 200
    assert httpx.get(f"http://{address}/nowhere%0Anew%20line", verify=NO_TLS, timeout=30).status_code == 404
    assert httpx.get(f"http://{address}/zero%00", verify=NO_TLS, timeout=30).status_code == 404
    eventually(lambda: '"GET /nowhere' in web.said(), within=5)
    eventually(lambda: '"GET /zero\\x00"' in web.said(), within=5)
    assert "\x00" not in web.said()

    assert strange(control.said(), after="ready.") == []
    assert strange(beat.said(), after="beat: Starting") == []
    assert strange(web.said(), after="Starting gunicorn") == []
    assert about(web.said(), '"GET /healthz" 200') == [NOTHING]
    assert "anna" not in web.said()


@pytest.mark.processes
@pytest.mark.services
def test_a_killed_child_of_the_pool_is_told_of_in_the_same_lines(site):
    worker = site.worker("killed")
    child = next(each for each in psutil.Process(worker.pid).children() if each.pid != worker.pid)

    os.kill(child.pid, signal.SIGKILL)
    eventually(lambda: "SIGKILL" in worker.said(), within=20)

    assert about(worker.said(), "signal 9 (SIGKILL)") != []
    assert strange(worker.said(), after="ready.") == []
