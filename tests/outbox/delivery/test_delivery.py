"""One message: started, handled, settled, in each of the ways a handler can end."""

from datetime import timedelta
from typing import Any

import pytest

from outbox import Snooze, Unavailable
from outbox.delivery import chunks, starting
from outbox.models import Attempt, Message
from tests.harness.clock import let_pass, timed
from tests.harness.messages import (
    MessageState,
    effects,
    kept_attempts,
    publish_message,
    set_message,
    state_of,
)

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

JAMMED = "ValueError: the till is jammed"


def times(id: int) -> dict[str, Any]:
    names = ("due_at", "not_before", "lease_until", "started_at", "finished_at", "exhausted_at")
    return Message.objects.values(*names).get(pk=id)


def test_a_handler_that_returns_makes_a_success(listen):
    listen()
    id = publish_message()

    with timed() as span:
        chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState("success", attempts=1, attempt_limit=3)
    assert effects() == [(id, 1)]
    assert kept_attempts(id) == []
    assert span.contains(times(id)["finished_at"])
    assert times(id)["lease_until"] is None
    assert Message.objects.get(pk=id).worker == starting.worker_name()


def test_a_failure_rolls_its_effects_back_and_waits(listen):
    listen()
    id = publish_message(do="fail")

    with timed() as span:
        chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState("pending", attempts=1, attempt_limit=3, last_error=JAMMED)
    assert effects() == []
    assert kept_attempts(id) == [(1, "failed", JAMMED)]
    assert 'raise ValueError(message.payload.get("text"' in Attempt.objects.get().traceback
    assert span.contains(times(id)["not_before"] - timedelta(seconds=10))
    assert times(id)["due_at"] == times(id)["not_before"]


def test_waits_grow_with_every_failure_until_no_tries_are_left(listen):
    listen()
    id = publish_message(do="fail")
    waits = []

    for _ in range(2):
        with timed() as span:
            chunks.deliver("test.till", [id])
        waits.append(round((times(id)["not_before"] - span.began).total_seconds() / 10) * 10)
        let_pass(timedelta(seconds=30))
    with timed() as span:
        chunks.deliver("test.till", [id])

    assert waits == [10, 20]
    assert state_of(id) == MessageState(
        "failed", attempts=3, attempt_limit=3, last_error=JAMMED, reason="no_tries_left"
    )
    assert kept_attempts(id) == [(1, "failed", JAMMED), (2, "failed", JAMMED), (3, "failed", JAMMED)]
    assert span.contains(times(id)["exhausted_at"])
    assert effects() == []


def test_a_message_that_fails_once_succeeds_at_the_second_attempt(listen):
    listen()
    id = publish_message(do="fail once")
    chunks.deliver("test.till", [id])
    let_pass(timedelta(seconds=10))

    chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState("success", attempts=2, attempt_limit=3)
    assert effects() == [(id, 2)]
    assert kept_attempts(id) == [(1, "failed", JAMMED)]


def test_reject_fails_at_once(listen):
    listen()
    id = publish_message(do="reject")

    chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState(
        "failed", attempts=1, attempt_limit=3, last_error="Reject: not for sale", reason="rejected"
    )
    assert kept_attempts(id) == [(1, "rejected", "Reject: not for sale")]
    assert effects() == []


def test_snooze_waits_as_long_as_it_says_and_spends_no_attempt(listen):
    listen()
    id = publish_message(do="snooze", seconds=60)

    with timed() as span:
        chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState(
        "pending", attempts=1, attempt_limit=4, last_error="Snooze: not ready, again in 0:01:00"
    )
    assert kept_attempts(id) == [(1, "snoozed", "Snooze: not ready, again in 0:01:00")]
    assert span.contains(times(id)["not_before"] - timedelta(seconds=60))
    assert effects() == []


@pytest.mark.parametrize("span", [timedelta(0), timedelta(seconds=-1), timedelta(days=366), timedelta.max])
def test_a_snooze_that_makes_no_sense_spends_no_attempt_either(listen, span):
    def handler(_message):
        raise Snooze(span)

    listen(handler)
    id = publish_message()

    chunks.deliver("test.till", [id])

    error = (
        f"Snooze: Snooze takes a timedelta greater than zero and of at most a year, not {span!r}; "
        "waiting 0:01:00 instead"
    )
    assert state_of(id) == MessageState("pending", attempts=1, attempt_limit=4, last_error=error)


def test_unavailable_spends_no_attempt(listen):
    listen()
    id = publish_message(do="unavailable")

    with timed() as span:
        chunks.deliver("test.till", [id])

    error = "Unavailable: the bank does not answer"
    assert state_of(id) == MessageState("pending", attempts=1, attempt_limit=4, last_error=error)
    assert kept_attempts(id) == [(1, "unavailable", error)]
    assert span.contains(times(id)["not_before"] - timedelta(seconds=5))


def test_free_attempts_do_not_make_later_waits_longer(listen):
    signals = iter([Snooze(timedelta(seconds=1)), Unavailable("down"), Snooze(timedelta(seconds=1)), ValueError("no")])

    def moody(_message):
        raise next(signals)

    listen(moody)
    id = publish_message()
    for _ in range(3):
        chunks.deliver("test.till", [id])
        let_pass(timedelta(seconds=30))

    with timed() as span:
        chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState("pending", attempts=4, attempt_limit=6, last_error="ValueError: no")
    assert span.contains(times(id)["not_before"] - timedelta(seconds=10))


def test_an_attempt_that_did_not_lose_its_worker_ends_the_losses_in_a_row(listen):
    listen()
    id = publish_message(do="fail")
    set_message(id, lost=2)

    chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState("pending", attempts=1, attempt_limit=3, lost=0, last_error=JAMMED)


def test_a_follow_up_commits_with_the_message_that_led_to_it(listen):
    def lead_on(message):
        publish_message("test.next", key=message.key)
        if message.attempts == 1:
            raise ValueError("after the follow-up was written")

    listen(lead_on)
    listen(topic="test.next", name="test.follower")
    id = publish_message(key="one")
    chunks.deliver("test.till", [id])
    after_failure = Message.objects.filter(consumer="test.follower").count()
    let_pass(timedelta(seconds=10))

    chunks.deliver("test.till", [id])

    assert after_failure == 0
    assert list(Message.objects.filter(consumer="test.follower").values_list("key", "status")) == [("one", "pending")]
