"""The dispatcher: hints leave soon after the commit, and no request ever waits for the broker or fails of it."""

from time import monotonic, sleep

import pytest

from outbox.broker import dispatcher
from outbox.broker.connection import Hint
from tests.harness.threads import TIMEOUT


@pytest.fixture
def own(broker):
    """A dispatcher of the test's own, with a broker under its hand."""
    own = dispatcher.Dispatcher()
    yield own
    broker.answers.set()
    own.drain(TIMEOUT)


def wait_until(true) -> None:
    deadline = monotonic() + TIMEOUT
    while not true():
        assert monotonic() < deadline
        sleep(0.005)


def test_dispatching_returns_although_the_broker_does_not_answer(own, broker):
    broker.answers.clear()
    own.offer({"test.till": [1]})
    broker.sending.wait(TIMEOUT)

    taken = [own.offer({"test.till": [id]}) for id in (2, 3, 4)]

    assert taken == [True] * 3
    assert broker.sent == []


def test_what_waited_meanwhile_travels_together_in_chunks_of_the_consumer(own, broker, listen):
    listen(chunk=3)
    broker.answers.clear()
    own.offer({"test.till": [1]})
    broker.sending.wait(TIMEOUT)
    for id in range(2, 9):
        own.offer({"test.till": [id]})

    broker.answers.set()
    own.drain(TIMEOUT)

    assert [hint.ids for hint in broker.sent] == [(1,), (2, 3, 4), (5, 6, 7), (8,)]


def test_a_hint_for_every_consumer(own, broker, listen):
    listen(name="test.other", topic="test.other")

    own.offer({"test.till": [1], "test.other": [2]})
    own.drain(TIMEOUT)

    assert broker.sent == [Hint("test.till", (1,)), Hint("test.other", (2,))]


def test_dispatching_no_ids_sends_a_hint_to_look_for_what_is_due(own, broker):
    own.offer({"test.till": ()})
    own.drain(TIMEOUT)

    assert broker.sent == [Hint("test.till", ())]


def test_a_full_dispatcher_drops_what_it_is_given(monkeypatch, configure, broker):
    configure(DISPATCH_BACKLOG=2)
    broker.answers.clear()
    own = dispatcher.Dispatcher()
    own.offer({"test.till": [1]})
    broker.sending.wait(TIMEOUT)

    taken = [own.offer({"test.till": [id]}) for id in (2, 3, 4, 5)]
    broker.answers.set()
    own.drain(TIMEOUT)

    assert taken == [True, True, False, False]
    assert [hint.ids for hint in broker.sent] == [(1,), (2, 3)]


def test_a_full_dispatcher_is_no_error_for_who_dispatches(monkeypatch, configure, broker, caplog):
    configure(DISPATCH_BACKLOG=1)
    broker.answers.clear()
    dispatcher.dispatch({"test.till": [1]})
    broker.sending.wait(TIMEOUT)

    for id in (2, 3):
        dispatcher.dispatch({"test.till": [id]})

    assert [record.message for record in caplog.records] == [
        "too many hints are waiting; the rescan will find these rows"
    ]


def test_no_more_hints_are_sent_than_the_queue_has_room_for(own, broker, listen):
    listen(chunk=1, high_water=5)
    broker.depth_now = 3

    own.offer({"test.till": [1, 2, 3, 4]})
    own.drain(TIMEOUT)

    assert [hint.ids for hint in broker.sent] == [(1,), (2,)]


@pytest.mark.parametrize("depth", [50, 51])
def test_nothing_is_sent_into_a_full_queue(own, broker, depth):
    broker.depth_now = depth

    own.offer({"test.till": [1, 2]})
    own.drain(TIMEOUT)

    assert broker.sent == []


def test_rows_of_a_consumer_that_is_not_in_the_code_are_left_to_the_rescan(own, broker):
    own.offer({"test.unheard-of": [1], "test.till": [2]})
    own.drain(TIMEOUT)

    assert broker.sent == [Hint("test.till", (2,))]


def test_while_the_broker_is_away_hints_are_dropped_without_asking_it_again(own, broker, monkeypatch):
    monkeypatch.setattr(dispatcher, "REST_SECONDS", 60.0)
    broker.away = True
    own.offer({"test.till": [1]})
    wait_until(lambda: broker.asked == 1)
    broker.away = False

    for id in (2, 3):
        own.offer({"test.till": [id]})
    own.drain(TIMEOUT)

    assert broker.asked == 1
    assert broker.sent == []


def test_after_a_rest_the_broker_is_asked_again(own, broker, monkeypatch):
    monkeypatch.setattr(dispatcher, "REST_SECONDS", 0.0)
    broker.away = True
    own.offer({"test.till": [1]})
    wait_until(lambda: broker.asked == 1)
    broker.away = False

    own.offer({"test.till": [2]})
    own.drain(TIMEOUT)

    assert broker.sent == [Hint("test.till", (2,))]


def test_hints_that_were_not_taken_are_followed_by_a_rest_too(own, broker, monkeypatch):
    monkeypatch.setattr(dispatcher, "REST_SECONDS", 60.0)
    broker.takes = False
    own.offer({"test.till": [1]})
    broker.sending.wait(TIMEOUT)
    broker.takes = True

    own.offer({"test.till": [2]})
    own.drain(TIMEOUT)

    assert broker.sent == []


def test_the_thread_outlives_an_error_nobody_has_thought_of(own, broker):
    broker.error = ZeroDivisionError("out of the blue")
    own.offer({"test.till": [1]})
    wait_until(lambda: broker.error is None)

    own.offer({"test.till": [2]})
    own.drain(TIMEOUT)

    assert broker.sent == [Hint("test.till", (2,))]


def test_draining_sends_what_waits_and_ends_the_thread(own, broker):
    for id in (1, 2, 3):
        own.offer({"test.till": [id]})

    ended = own.drain(TIMEOUT)

    assert ended
    assert sorted(id for hint in broker.sent for id in hint.ids) == [1, 2, 3]


def test_draining_does_not_wait_for_a_broker_that_does_not_answer(own, broker):
    broker.answers.clear()
    own.offer({"test.till": [1]})
    broker.sending.wait(TIMEOUT)

    ended = own.drain(0.01)

    assert not ended


def test_after_draining_a_process_can_dispatch_again(broker):
    dispatcher.dispatch({"test.till": [1]})
    dispatcher.drain()

    dispatcher.dispatch({"test.till": [2]})
    dispatcher.drain()

    assert broker.sent == [Hint("test.till", (1,)), Hint("test.till", (2,))]
