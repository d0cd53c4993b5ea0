"""What a hint can name: messages that are done, of another consumer, of nobody; and what is no hint at all."""

from datetime import timedelta

import pytest

from outbox import tasks
from outbox.delivery import chunks
from outbox.models import Message
from tests.harness.clock import let_pass
from tests.harness.messages import (
    MessageState,
    effects,
    publish_message,
    publish_messages,
    set_message,
    state_of,
    states_of,
)

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


JAMMED = "ValueError: the till is jammed"


def test_the_same_hint_ten_times_has_one_effect(listen):
    listen()
    id = publish_message()

    for _ in range(10):
        chunks.deliver("test.till", [id, id])

    assert state_of(id) == MessageState("success", attempts=1, attempt_limit=3)
    assert effects() == [(id, 1)]


def test_a_duplicate_hint_does_not_start_a_message_before_its_time(listen):
    listen()
    id = publish_message(do="fail")
    chunks.deliver("test.till", [id])

    chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState("pending", attempts=1, attempt_limit=3, last_error=JAMMED)


def test_finished_and_pruned_rows_are_left_alone(listen, dispatched):
    listen()
    success = publish_message()
    chunks.deliver("test.till", [success])
    failed, discarded, pruned = publish_messages(3)
    set_message(failed, status="failed", finished_at="2026-01-01T00:00Z", exhausted_at="2026-01-01T00:00Z")
    set_message(discarded, status="failed", resolution="discarded", finished_at="2026-01-01T00:00Z")
    Message.objects.filter(pk=pruned).delete()
    before = states_of([success, failed, discarded])

    chunks.deliver("test.till", [success, failed, discarded, pruned])

    assert states_of([success, failed, discarded]) == before
    assert effects() == [(success, 1)]


def test_a_hint_does_not_reach_the_rows_of_another_consumer(listen):
    listen()
    listen(topic="test.other", name="test.other")
    other = publish_message("test.other")

    chunks.deliver("test.till", [other])

    assert state_of(other) == MessageState("pending", attempts=0, attempt_limit=3)
    assert effects() == []


def test_a_consumer_that_is_not_in_the_code_leaves_its_rows_to_the_rescan(listen):
    listen()
    id = publish_message()

    chunks.deliver("test.unheard-of", [id])

    assert state_of(id) == MessageState("pending", attempts=0, attempt_limit=3)


@pytest.mark.parametrize(
    ("consumer", "ids"),
    [
        ("test.till", "1"),
        ("test.till", {"1": 1}),
        ("test.till", [True]),
        ("test.till", [0]),
        ("test.till", [-1]),
        ("test.till", [2**63]),
        ("test.till", [1.0]),
        ("test.till", ["1"]),
        ("test.till", [None]),
        ("test.till", [[1]]),
        ("test.till", list(range(1, 10_002))),
        ("test.till", None),
        (17, [1]),
        (None, [1]),
        (["test.till"], [1]),
    ],
)
def test_what_is_no_hint_is_dropped(listen, monkeypatch, consumer, ids):
    listen()
    id = publish_message()
    delivered = []
    monkeypatch.setattr(chunks, "deliver", lambda *hint: delivered.append(hint))

    tasks.run_deliver(consumer, ids)

    assert delivered == []
    assert state_of(id) == MessageState("pending", attempts=0, attempt_limit=3)


@pytest.mark.parametrize("ids", [[], [2**62], [1, 2**62, 1]])
def test_a_forged_hint_names_rows_that_are_not_there_and_nothing_happens(listen, ids):
    listen(chunk=1)

    tasks.run_deliver("test.till", ids)

    assert effects() == []


def test_a_forged_hint_starts_no_more_than_a_chunk(listen, one_chunk):
    listen(chunk=5)
    ids = publish_messages(20)

    tasks.run_deliver("test.till", ids)

    tried = sorted((entry.status, entry.attempts) for entry in states_of(ids))
    assert tried == [("pending", 0)] * 15 + [("success", 1)] * 5


def test_a_paused_consumer_starts_nothing(listen, pause):
    listen()
    named, other = publish_messages(2)
    pause("test.till")

    chunks.deliver("test.till", [named])

    assert states_of([named, other]) == [MessageState("pending", attempts=0, attempt_limit=3)] * 2


def test_a_pause_that_is_over_starts_again(listen, pause):
    listen()
    id = publish_message()
    pause("test.till", for_=timedelta(minutes=5))
    let_pass(timedelta(minutes=6))

    chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState("success", attempts=1, attempt_limit=3)
