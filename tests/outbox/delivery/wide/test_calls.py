"""Calls beside each other, in threads and on the event loop."""

import asyncio
import threading
import time
from datetime import timedelta

import pytest

from outbox import Unavailable
from tests.harness.messages import (
    MessageState,
    effects,
    kept_attempts,
    publish_message,
    publish_messages,
    state_of,
    states_of,
)
from tests.outbox.delivery.wide.conftest import all_are, wait_for
from tests.shop.models import Effect

DONE = MessageState("success", attempts=1, attempt_limit=3)


class Meeting:
    """Notes how many calls are under way, and lets them go when so many have met."""

    def __init__(self, many):
        self.barrier = threading.Barrier(many, timeout=10)

    def plain(self, _message):
        self.barrier.wait()

    async def on_the_loop(self, _message):
        self.here = getattr(self, "here", 0) + 1
        while self.here % self.barrier.parties:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("way", ["plain", "on_the_loop"])
def test_as_many_calls_are_under_way_at_once_as_there_are_places(listen, deliver, way):
    till = listen(getattr(Meeting(10), way), atomic=False, concurrency=10)
    ids = publish_messages(10)

    deliver(till, ids)

    wait_for(all_are("success", ids))
    assert states_of(ids) == [DONE] * 10


def test_a_place_that_is_free_is_filled_while_another_call_goes_on(listen, deliver):
    go_on = threading.Event()
    first = []

    def handler(message):
        if message.pk == first[0]:
            go_on.wait(10)

    till = listen(handler, atomic=False, concurrency=3)
    ids = publish_messages(30)
    first.append(ids[0])

    deliver(till, ids[:3])

    wait_for(all_are("success", ids[1:]))
    assert state_of(ids[0]).status == "started"
    go_on.set()
    wait_for(all_are("success", ids))


def test_no_row_is_started_before_its_call_has_a_place(listen, deliver):
    go_on = threading.Event()
    till = listen(lambda _message: go_on.wait(10), atomic=False, concurrency=2)
    ids = publish_messages(5)

    deliver(till, ids)
    time.sleep(0.3)

    assert [entry.status for entry in states_of(ids)].count("started") == 2
    go_on.set()
    wait_for(all_are("success", ids))


def test_one_failure_is_no_harm_to_the_others(listen, deliver):
    def handler(message):
        if message.payload.get("do") == "fail":
            raise ValueError("the vendor is confused")

    till = listen(handler, atomic=False, concurrency=5)
    ids = [*publish_messages(4), publish_message(do="fail")]

    deliver(till, ids)

    wait_for(all_are("success", ids[:4]))
    wait_for(lambda: kept_attempts(ids[4]))
    assert kept_attempts(ids[4]) == [(1, "failed", "ValueError: the vendor is confused")]
    assert states_of(ids[:4]) == [DONE] * 4


def test_an_async_handler_settles_with_what_it_writes(listen, deliver):
    def write(message):
        Effect.objects.create(key=message.key, message_id=message.pk, attempt=message.attempts, pid=0)

    async def handler(message):
        await asyncio.sleep(0.01)
        await message.settle(write, message)

    till = listen(handler, atomic=False, concurrency=5)
    ids = publish_messages(5)

    deliver(till, ids)

    wait_for(all_are("success", ids))
    assert sorted(effects()) == sorted((id, 1) for id in ids)


def test_an_async_handler_is_cancelled_at_its_timeout(listen, deliver):
    cancelled = []

    async def handler(message):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(message.pk)
            raise

    till = listen(handler, atomic=False, concurrency=5, timeout=timedelta(seconds=0.3))
    id = publish_message()

    deliver(till, [id])

    wait_for(lambda: kept_attempts(id))
    assert cancelled == [id]
    assert kept_attempts(id) == [(1, "failed", "CallTimedOut: the handler took longer than its timeout of 0.3 s")]


def test_a_thread_that_hangs_is_given_up_and_keeps_its_place(listen, deliver, pool):
    go_on = threading.Event()
    till = listen(lambda _message: go_on.wait(20), atomic=False, concurrency=5, timeout=timedelta(seconds=0.3))
    id = publish_message()

    deliver(till, [id])

    wait_for(lambda: kept_attempts(id))
    assert kept_attempts(id)[0][2].endswith("timeout of 0.3 s, and still runs")
    assert [call.given_up for call in pool.under_way()] == [True]
    go_on.set()
    wait_for(lambda: not pool.under_way())
    wait_for(lambda: len(kept_attempts(id)) == 2)
    assert kept_attempts(id)[1][1] == "late"


def test_a_handler_that_blocks_the_loop_is_charged_and_those_beside_it_are_not(listen, deliver):
    began = threading.Event()

    async def handler(message):
        if message.payload.get("do") == "block":
            began.set()
            time.sleep(2.5)
            await asyncio.sleep(10)
        await asyncio.sleep(0.5)

    till = listen(handler, atomic=False, concurrency=5, timeout=timedelta(seconds=1))
    ids = publish_messages(3)
    guilty = publish_message(do="block")

    deliver(till, [*ids, guilty])

    assert began.wait(5)
    wait_for(lambda: kept_attempts(guilty))
    wait_for(
        lambda: all(
            state.status == "success" or kept_attempts(id) for id, state in zip(ids, states_of(ids), strict=True)
        )
    )
    assert kept_attempts(guilty)[0][1] == "failed"
    assert {outcome for id in ids for _number, outcome, _error in kept_attempts(id)} <= {"unavailable"}
    assert all("the event loop stood still" in error for id in ids for _n, _outcome, error in kept_attempts(id))


def test_a_settle_by_a_coroutine_that_never_runs_is_a_failed_attempt(listen, deliver):
    async def write() -> None:
        await Effect.objects.acreate(key="lost", message_id=1, attempt=1, pid=1)

    async def handler(message):
        await message.settle(write)

    till = listen(handler, atomic=False, concurrency=5)
    id = publish_message()

    deliver(till, [id])

    wait_for(lambda: kept_attempts(id))
    assert state_of(id).status == "pending"
    assert "message.settle() was given a function that returns a coroutine" in kept_attempts(id)[0][2]


def test_an_async_handler_that_returns_an_error_has_not_succeeded(listen, deliver):
    async def handler(_message):
        return Unavailable("the bank does not answer")

    till = listen(handler, atomic=False, concurrency=5)
    id = publish_message()

    deliver(till, [id])

    wait_for(lambda: kept_attempts(id))
    assert "it must raise it instead" in kept_attempts(id)[0][2]


def test_a_settle_that_is_not_awaited_is_a_failed_attempt(listen, deliver):
    async def handler(message):
        message.settle(print)

    till = listen(handler, atomic=False, concurrency=5)
    id = publish_message()

    deliver(till, [id])

    wait_for(lambda: kept_attempts(id))
    assert "called message.settle() and did not await it" in kept_attempts(id)[0][2]
