"""One message: started, handled, settled, in each of the ways a handler can end."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from outbox import Reject, Snooze, Unavailable, tasks
from outbox.delivery import chunks
from outbox.models import Attempt, Message
from tests.harness.clock import let_pass, timed
from tests.harness.messages import (
    MessageState,
    effects,
    kept_attempts,
    publish_message,
    publish_messages,
    set_message,
    state_of,
    states_of,
)
from tests.shop.models import Effect, Stock

pytestmark = pytest.mark.usefixtures("transactional_db", "offered")

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
    assert Message.objects.get(pk=id).worker == chunks.worker_name()


def test_the_same_hint_ten_times_has_one_effect(listen):
    listen()
    id = publish_message()

    for _ in range(10):
        chunks.deliver("test.till", [id, id])

    assert state_of(id) == MessageState("success", attempts=1, attempt_limit=3)
    assert effects() == [(id, 1)]


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


def test_a_duplicate_hint_does_not_start_a_message_before_its_time(listen):
    listen()
    id = publish_message(do="fail")
    chunks.deliver("test.till", [id])

    chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState("pending", attempts=1, attempt_limit=3, last_error=JAMMED)


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
    assert state_of(id) == MessageState("failed", attempts=3, attempt_limit=3, last_error=f"{JAMMED} (no tries left)")
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
        "failed", attempts=1, attempt_limit=3, last_error="Reject: not for sale (rejected)"
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
def test_a_snooze_that_makes_no_sense_is_a_failed_attempt(listen, span):
    def handler(_message):
        raise Snooze(span)

    listen(handler)
    id = publish_message()

    chunks.deliver("test.till", [id])

    error = f"ValueError: Snooze takes a positive timedelta of at most a year, not {span!r}"
    assert state_of(id) == MessageState("pending", attempts=1, attempt_limit=3, last_error=error)


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


def test_an_error_with_characters_no_database_stores_is_kept_readable(listen):
    def fail(_message):
        raise ValueError("a NUL \0 and half a \ud83d")

    listen(fail)
    id = publish_message()

    chunks.deliver("test.till", [id])

    error = "ValueError: a NUL \\0 and half a \\ud83d"
    assert state_of(id) == MessageState("pending", attempts=1, attempt_limit=3, last_error=error)
    assert kept_attempts(id) == [(1, "failed", error)]


def test_an_error_that_cannot_even_be_read_is_a_failed_attempt(listen):
    class Unreadable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def fail(_message):
        raise Unreadable

    listen(fail)
    good, bad = publish_message(), publish_message()

    chunks.deliver("test.till", [good, bad])

    assert [entry.status for entry in states_of([good, bad])] == ["pending", "pending"]
    assert [entry.attempts for entry in states_of([good, bad])] == [1, 1]


def test_a_very_long_error_is_cut(listen):
    listen()
    id = publish_message(do="fail", text="x" * 100_000)

    chunks.deliver("test.till", [id])

    assert state_of(id).last_error == ("ValueError: " + "x" * 100_000)[:2_000]
    assert len(Attempt.objects.get().traceback) == 20_000


def test_a_handler_that_swallows_a_database_error_has_not_succeeded(listen):
    def swallow(message):
        Effect.objects.create(key=message.key, message_id=message.pk, attempt=message.attempts, pid=1)
        try:
            Stock.objects.create(pk=1)
        except IntegrityError:
            return

    listen(swallow)
    Stock.objects.create(pk=1)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert effects() == []
    assert state_of(id).status == "pending"
    [(number, outcome, error)] = kept_attempts(id)
    assert (number, outcome) == (1, "failed")
    assert error.startswith("SwallowedError: the handler caught a database error")


@pytest.mark.services
def test_statements_of_its_own_that_a_handler_let_fail_spoil_its_row_and_no_other(listen):
    def swallow(message):
        Effect.objects.create(key=message.key, message_id=message.pk, attempt=message.attempts, pid=1)
        if message.key == "bad":
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1 / 0")
            except DataError:
                return

    listen(swallow)
    ids = [publish_message(key=key) for key in ("before", "bad", "after")]

    chunks.deliver("test.till", ids)

    assert [entry.status for entry in states_of(ids)] == ["success", "pending", "success"]
    assert effects() == [(ids[0], 1), (ids[2], 1)]
    assert kept_attempts(ids[1])[0][2].startswith("SwallowedError")


def test_a_handler_that_catches_an_error_in_its_own_savepoint_succeeds(listen):
    def careful(message):
        Effect.objects.create(key=message.key, message_id=message.pk, attempt=message.attempts, pid=1)
        try:
            with transaction.atomic():
                Stock.objects.create(pk=1)
        except IntegrityError:
            return

    listen(careful)
    Stock.objects.create(pk=1)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState("success", attempts=1, attempt_limit=3)
    assert effects() == [(id, 1)]


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


def test_finished_and_pruned_rows_are_left_alone(listen, offered):
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

    tasks.deliver(consumer, ids)

    assert delivered == []
    assert state_of(id) == MessageState("pending", attempts=0, attempt_limit=3)


@pytest.mark.parametrize("ids", [[], [2**62], [1, 2**62, 1]])
def test_a_forged_hint_names_rows_that_are_not_there_and_nothing_happens(listen, ids):
    listen(chunk=1)

    tasks.deliver("test.till", ids)

    assert effects() == []


def test_a_forged_hint_starts_no_more_than_a_chunk(listen, one_chunk):
    listen(chunk=5)
    ids = publish_messages(20)

    tasks.deliver("test.till", ids)

    assert sorted(entry.status for entry in states_of(ids)) == ["pending"] * 15 + ["success"] * 5


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


def test_reject_is_told_apart_from_an_error_of_the_same_name(listen):
    class Reject_(Reject):
        pass

    def fail(_message):
        raise Reject_("never")

    listen(fail)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState("failed", attempts=1, attempt_limit=3, last_error="Reject_: never (rejected)")


async def _later(_message):
    """Never runs."""


def _bit_by_bit(_message):
    yield


@pytest.mark.parametrize("handler", [_later, _bit_by_bit])
def test_what_would_not_have_run_is_a_failed_attempt_even_behind_a_lambda(listen, handler):
    listen(lambda message: handler(message))
    id = publish_message()

    chunks.deliver("test.till", [id])

    [(number, outcome, error)] = kept_attempts(id)
    assert (state_of(id).status, number, outcome) == ("pending", 1, "failed")
    assert "which has not run; a consumer is a plain function" in error


def test_a_handler_that_ends_its_process_says_so_in_the_log(listen, caplog):
    def leave(_message):
        raise SystemExit(3)

    listen(leave)
    id = publish_message()

    with pytest.raises(SystemExit):
        chunks.deliver("test.till", [id])

    assert "the handler ended its process: SystemExit(3)" in caplog.text
    assert state_of(id).status == "started"
