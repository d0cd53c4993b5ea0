"""Calls that are ready: where many end in a second, the next begin in the same moment, and none is kept from others."""

import threading
import time

import pytest
from django.db.models import F
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.delivery.wide import hints, lanes
from outbox.delivery.wide.calls import Call
from outbox.delivery.wide.lanes import Lane
from outbox.models import Attempt, Message
from tests.harness.messages import publish_messages
from tests.outbox.conftest import SLOW
from tests.outbox.delivery.wide.conftest import all_are, wait_for

PLACES = 4
MANY = 900


class Till:
    """A handler that is quick until it is told to hang, and knows what it was called for."""

    def __init__(self):
        self.called, self.goes_on = [], threading.Event()
        self.goes_on.set()

    def __call__(self, message):
        self.called.append(message.pk)
        time.sleep(0.01)
        self.goes_on.wait(20)


@pytest.fixture
def till(pool):  # so that it lets go before the pool waits for its calls
    handler = Till()
    yield handler
    handler.goes_on.set()


@pytest.fixture
def hanging(till, listen, deliver, pool, monkeypatch):
    """Calls that ended quickly, until all places hang with others ready behind them; return the ids of all."""
    # Longer than a busy machine takes to look, and ready although it is slow.
    monkeypatch.setattr(lanes, "STALE_SECONDS", 3.0)
    monkeypatch.setattr(lanes, "NEXT_SECONDS", 0.5)
    consumer = listen(till, atomic=False, concurrency=PLACES)
    ids = publish_messages(MANY)
    deliver(consumer, ids)
    time.sleep(3 * lanes.PACE_SECONDS)
    wait_for(lambda: len(till.called) > 10 * PLACES)
    till.goes_on.clear()
    wait_for(lambda: count("success") == len(till.called) - PLACES)
    assert count("started") > PLACES
    return ids


def count(*statuses):
    return Message.objects.filter(status__in=statuses).count()


def test_what_is_ready_and_gets_no_place_is_given_back_and_spends_nothing(hanging, till):
    wait_for(lambda: count("started") == PLACES)
    assert count("started", "success") == len(till.called)

    till.goes_on.set()

    wait_for(all_are("success", hanging))
    assert sorted(till.called) == sorted(hanging)
    assert not Attempt.objects.exists()
    left = Message.objects.values_list(F("attempt_limit") - F("attempts"), flat=True)
    assert set(left) == {SLOW.limit - 1}


def test_a_process_that_ends_gives_back_what_is_ready(hanging, till, pool):
    pool.begin_to_end()
    wait_for(lambda: count("started") == PLACES, within=2)

    till.goes_on.set()
    pool.end()

    assert count("success") == len(till.called) == len(set(till.called))
    assert count("pending") == len(hanging) - len(till.called) > 0


def test_the_next_call_begins_when_one_ends(till, listen):
    lane, (_first, second) = a_lane(listen(till, atomic=False, concurrency=1))

    assert lane.take_next() is None

    lane.calls.clear()
    assert lane.take_next() is second
    assert lane.calls == {second}
    assert not lane.next


def test_what_is_ready_and_no_longer_ours_is_not_called(till, listen):
    lane, (_first, second) = a_lane(listen(till, atomic=False, concurrency=1))
    second.is_held = False
    lane.calls.clear()

    assert lane.take_next() is None
    assert not lane.calls


@pytest.mark.parametrize(
    ("options", "ready"),
    [({}, 250 * lanes.NEXT_SECONDS), ({"at_most_once": True, "retry": None}, 0), ({"rate": "500/s"}, 0)],
)
def test_what_must_not_be_lost_or_has_a_rate_is_never_kept_ready(till, listen, options, ready):
    lane = Lane(listen(till, atomic=False, concurrency=20, **options))
    lane.paced_at -= 2
    lane.ends = 500

    lane.set_pace()

    assert lane.ready == pytest.approx(ready, abs=1)


def a_lane(consumer):
    """Return a lane whose only place is taken, with a call that is ready, and both calls."""
    calls = [Call(consumer, []), Call(consumer, [])]
    lane = Lane(consumer)
    lane.calls.add(calls[0])
    lane.next.append(calls[1])
    return lane, calls


def test_of_slow_calls_that_end_together_none_is_kept_ready(till, listen):
    lane = Lane(listen(till, atomic=False, concurrency=50))
    lane.paced_at -= lanes.PACE_SECONDS
    for _ in range(50):
        call = Call(lane.consumer, [])
        call.at -= 2.0
        lane.calls.add(call)
        lane.note_end(call)

    lane.set_pace()

    assert not lane.calls
    assert lane.ready == 0


def test_what_was_given_back_is_for_another_process_to_start(till, listen):
    lane, (_first, second) = a_lane(listen(till, atomic=False, concurrency=1))
    second.at -= lanes.STALE_SECONDS

    assert lane.take_ready(all_of_them=False) == [second]
    assert lane.is_awake  # so a hint goes round


def test_a_process_whose_places_are_taken_hints_several_times_a_second_so_that_another_takes_its_part(
    till, listen, deliver, dispatched
):
    till.goes_on.clear()
    consumer = listen(till, atomic=False, concurrency=1)
    ids = publish_messages(3)
    deliver(consumer, ids)
    wait_for(lambda: till.called)
    dispatched.clear()

    # By name: the rescan has sent hints for them, and whoever looks for what is due does not find them for a while.
    wait_for(lambda: dispatched.count({"test.till": (ids[1],)}) >= 4, within=2)

    till.goes_on.set()
    wait_for(all_are("success", ids))
    dispatched.clear()
    time.sleep(0.5)
    assert dispatched == []


def test_a_hint_that_finds_no_place_is_passed_on_and_keeps_its_process_until_it_has_come_to_another(
    till, listen, deliver, dispatched
):
    till.goes_on.clear()
    consumer = listen(till, atomic=False, concurrency=1)
    ids = publish_messages(2)
    deliver(consumer, ids[:1])
    wait_for(lambda: till.called)
    passed_on = {"test.till": ids[1:]}
    dispatched.clear()

    began = time.monotonic()
    deliver(consumer, ids[1:])
    took = time.monotonic() - began
    deliver(consumer, ids[1:])

    assert took >= hints.PASSED_ON_WITHIN
    assert dispatched.count(passed_on) == 1  # and not in circles, where no process has a place


def test_beside_calls_under_way_it_is_looked_again_for_what_others_have_given_back_or_were_sent(till, listen, deliver):
    till.goes_on.clear()
    consumer = listen(till, atomic=False, concurrency=3)
    [first] = publish_messages(1)
    deliver(consumer, [first])
    wait_for(lambda: till.called)
    time.sleep(0.1)

    given_back, sent = publish_messages(2)
    Message.objects.filter(pk=sent).update(due_at=Now() + conf().resend_after)

    wait_for(lambda: sorted(till.called) == [first, given_back, sent], within=2)
