"""Database sessions of handlers in threads, and what async handlers leave open."""

import asyncio
import os
import socket
import threading
import time
from contextlib import closing
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction

from outbox import Backoff
from outbox.delivery import chunks
from tests.harness.messages import kept_attempts, publish_message, publish_messages, state_of
from tests.outbox.delivery.wide.conftest import all_are, wait_for
from tests.shop.models import Effect, Tag

pytestmark = pytest.mark.services


def backend():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def test_thirty_threads_share_three_sessions_and_none_waits_for_another_that_talks_to_a_vendor(
    listen, deliver, configure
):
    configure(THREAD_SESSIONS=3)
    backends, together = set(), threading.Barrier(30, timeout=10)

    def handler(message):
        backends.add(backend())
        together.wait()
        with transaction.atomic():
            backends.add(backend())
            Effect.objects.create(key=message.key, message_id=message.pk, attempt=1, pid=0)

    till = listen(handler, atomic=False, concurrency=30)
    ids = publish_messages(30)

    deliver(till, ids)

    wait_for(all_are("success", ids))
    assert len(backends) <= 3
    assert Effect.objects.count() == 30


def test_a_handler_that_finds_no_session_in_its_time_fails_with_a_sentence(listen, deliver, configure):
    configure(THREAD_SESSIONS=1)
    first, go_on = threading.Event(), threading.Event()

    def handler(message):
        if not first.is_set():
            with transaction.atomic():
                backend()
                first.set()
                go_on.wait(10)
        else:
            backend()

    till = listen(handler, atomic=False, concurrency=2, timeout=timedelta(seconds=0.5))
    one, two = publish_messages(2)

    deliver(till, [one])
    first.wait(5)
    deliver(till, [two])

    wait_for(lambda: kept_attempts(two))
    go_on.set()
    assert "all 1 sessions on 'default' for handlers in threads are in use" in kept_attempts(two)[0][2]


def test_what_one_handler_sets_on_its_session_reaches_no_other(listen, deliver, configure):
    configure(THREAD_SESSIONS=1)
    seen = []

    def handler(message):
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            seen.append(cursor.fetchone()[0])
            cursor.execute("SET statement_timeout = '7s'")

    till = listen(handler, atomic=False, concurrency=5)
    ids = publish_messages(4)

    deliver(till, ids)

    wait_for(all_are("success", ids))
    assert seen == ["0"] * 4


def test_a_transaction_that_an_async_handler_leaves_open_is_its_own_failure(listen, deliver):
    opened = threading.Event()

    def leave_open():
        transaction.set_autocommit(False)
        Tag.objects.create(name="lost")
        opened.set()

    async def handler(message):
        if message.payload.get("do") == "leave open":
            await sync_to_async(leave_open)()
        else:
            while not opened.is_set():
                await sync_to_async(time.sleep)(0.01)
            await Tag.objects.acreate(name=f"kept {message.pk}")

    till = listen(handler, atomic=False, concurrency=5)
    guilty = publish_message(do="leave open")
    ids = publish_messages(3)

    deliver(till, [guilty, *ids])

    wait_for(all_are("success", ids))
    wait_for(lambda: kept_attempts(guilty))
    assert "LeftOpenError: the handler returned with a transaction open on default" in kept_attempts(guilty)[0][2]
    assert state_of(guilty).status == "pending"
    assert sorted(Tag.objects.values_list("name", flat=True)) == sorted(f"kept {id}" for id in ids)


def test_async_handlers_of_a_process_share_one_session(listen, deliver):
    backends = set()

    async def handler(message):
        backends.add(await sync_to_async(backend)())
        await message.settle(lambda: backends.add(backend()))

    till = listen(handler, atomic=False, concurrency=20)
    ids = publish_messages(20)

    deliver(till, ids)

    wait_for(all_are("success", ids))
    assert len(backends) <= 2  # the first is closed when it was learnt from a second how a new one begins


@pytest.mark.parametrize("how", ["terminated", "cut"])
@pytest.mark.parametrize("way", ["one by one", "threads", "loop"])
def test_a_session_that_ends_spends_nothing_although_there_is_a_new_one_when_it_is_judged(
    listen, deliver, dispatched, way, how
):
    backends = []

    def end_session():
        Effect.objects.create(key="one", message_id=1, attempt=1, pid=0)
        if how == "cut":
            with closing(socket.socket(fileno=os.dup(connection.connection.fileno()))) as line:
                line.shutdown(socket.SHUT_RDWR)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    def handler(message):
        with message.settling():
            end_session()

    async def on_loop(message):
        # The second stands in the thread's queue: it has a session before anybody judges the first.
        await asyncio.gather(message.settle(end_session), sync_to_async(lambda: backends.append(backend()))())

    width = {} if way == "one by one" else {"concurrency": 5}
    till = listen(on_loop if way == "loop" else handler, atomic=False, retry=Backoff(limit=1), **width)
    id = publish_message()

    deliver(till, [id]) if width else chunks.deliver("test.till", [id])

    wait_for(lambda: kept_attempts(id))
    assert [outcome for _number, outcome, _error in kept_attempts(id)] == ["unavailable"]
    assert len(backends) == (way == "loop")
    assert state_of(id).status == "pending"
    assert not Effect.objects.exists()
