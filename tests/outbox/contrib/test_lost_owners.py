"""Whoever took the guard was killed, or is still at it: nothing is done twice, and of the rest a person is asked."""

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from outbox import Snooze
from outbox.conf import conf
from outbox.contrib import redis_heart, redis_scripts
from outbox.contrib.redis_guard import once
from outbox.delivery import chunks
from outbox.maintenance import rescan
from outbox.models import Message
from tests.harness.messages import publish_message, set_message, state_of
from tests.harness.program import ROOT, eventually
from tests.outbox.contrib.guarded import Vendor, guarded, retry_by_hand, try_again

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched", "link", "redis")

PROGRAM = """
import os, signal, sys, django
django.setup()
from pathlib import Path
from outbox.contrib.redis_guard import once
from outbox.models import Message
message = Message.objects.get(pk=int(sys.argv[1]))
def die_at(where):
    if sys.argv[2] == where:
        os.kill(os.getpid(), signal.SIGKILL)
with once(message) as is_mine:
    if is_mine:
        die_at("before")
        with Path(sys.argv[3]).open("a") as book:
            book.write("sent\\n")
        die_at("after")
die_at("done")
"""
"""A worker in miniature, which dies where it is told to."""


def lose_the_worker(id, where, book):
    """Start the row as a worker does, run the handler in a process that is killed, and let the lease run out."""
    Message.objects.filter(pk=id).update(
        status="started", attempts=1, started_at=Now(), lease_until=Now(), due_at=Now()
    )
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": database_url(),
        "REDIS_URL": conf().redis_url,
        "OUTBOX_PREFIX": conf().prefix,
        "STATE_DIR": "/tmp",
    }
    argv = [sys.executable, "-c", PROGRAM, str(id), where, str(book)]
    ended = subprocess.run(argv, cwd=ROOT, env=environment, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    set_message(id, lease_until=Now() - timedelta(seconds=1), due_at=Now() - timedelta(seconds=1))
    rescan.rescan()
    assert state_of(id).status == "pending"


def database_url():
    given = connection.settings_dict
    return f"postgres://{given['USER']}:{given['PASSWORD']}@{given['HOST']}:{given['PORT']}/{given['NAME']}"


def sent(book):
    return len(book.read_text().splitlines()) if book.exists() else 0


@pytest.mark.services
@pytest.mark.processes
@pytest.mark.parametrize("where", ["before", "after"])
def test_an_owner_that_was_killed_is_the_desk_s_question_and_a_retry_by_hand_acts(
    where, listen, redis, tmp_path, quickly_dead
):
    vendor, book = Vendor(), tmp_path / "book"
    guarded(listen, vendor)
    id = publish_message()
    lose_the_worker(id, where, book)

    eventually(lambda: redis.client.keys("*:once:*"), within=1)
    threading.Event().wait(0.4)
    try_again(id)

    assert (sent(book), vendor.calls) == (1 if where == "after" else 0, 0)
    assert (state_of(id).status, state_of(id).reason) == ("failed", "effect_unknown")
    retry_by_hand(id)
    try_again(id)
    assert (vendor.calls, state_of(id).status) == (1, "success")


@pytest.mark.services
@pytest.mark.processes
def test_an_owner_that_was_killed_when_the_effect_was_done_needs_nobody(listen, redis, tmp_path):
    vendor, book = Vendor(), tmp_path / "book"
    guarded(listen, vendor)
    id = publish_message()
    lose_the_worker(id, "done", book)

    try_again(id)

    assert (sent(book), vendor.calls, vendor.skipped, state_of(id).status) == (1, 0, 1, "success")


def test_what_another_that_lives_has_under_way_waits(listen, redis):
    vendor = Vendor()
    guarded(listen, vendor)
    id = publish_message()
    with once(Message.objects.get(pk=id)):
        chunks.deliver("test.till", [id])

        assert (vendor.calls, state_of(id).status, state_of(id).attempt_limit) == (0, "pending", 4)
    try_again(id)
    assert (vendor.calls, vendor.skipped, state_of(id).status) == (0, 1, "success")


def test_a_slow_owner_says_that_it_lives(listen, redis, monkeypatch):
    monkeypatch.setattr(redis_heart, "STALE", timedelta(seconds=0.5))
    monkeypatch.setattr(redis_heart, "EVERY_SECONDS", 0.1)
    listen()
    message = Message.objects.get(pk=publish_message())
    with once(message):
        threading.Event().wait(1.2)

        with pytest.raises(Snooze), once(message):
            raise AssertionError("it is under way")


def test_a_guard_that_became_another_s_is_not_settled_by_the_one_before(listen, redis):
    listen()
    message = Message.objects.get(pk=publish_message())
    with once(message):
        [key] = redis.client.keys("*:once:*")
        redis.client.hset(key, "owner", "another")

    assert redis.client.hget(key, "state") == redis_scripts.TAKEN
