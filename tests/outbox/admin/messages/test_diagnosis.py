"""The diagnosis: what the desk tells an operator at three in the morning."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from outbox import registry
from outbox.admin.messages.detail import find_message
from outbox.admin.messages.diagnosis import Case, diagnose, other_side_may_have_acted
from outbox.models import Attempt, AttemptOutcome, ConsumerState, Message
from outbox.policy import Reason
from tests.harness.desk import ISSUE, ORDER, wins
from tests.harness.rows import attempt

pytestmark = pytest.mark.django_db


def case(message: Message, **known: Any) -> Case:
    values = {
        "attempts": list(Attempt.objects.order_by("id")),
        "consumer": registry.get(message.consumer),
        "state": None,
        "now": timezone.now(),
    }
    return Case(message=message, **{**values, **known})


@pytest.mark.parametrize(
    ("consumer", "outcome", "cut_off", "expected"),
    [
        (ISSUE, AttemptOutcome.FAILED, True, False),
        (ISSUE, AttemptOutcome.LOST, False, False),
        (ORDER, AttemptOutcome.FAILED, True, True),
        (ORDER, AttemptOutcome.FAILED, False, False),
        (ORDER, AttemptOutcome.LOST, False, True),
        (ORDER, AttemptOutcome.LATE, False, True),
        (ORDER, AttemptOutcome.REJECTED, False, False),
        (ORDER, AttemptOutcome.UNAVAILABLE, False, False),
        ("desk.gone", AttemptOutcome.LOST, False, True),
    ],
)
def test_the_other_side_may_have_acted_where_an_attempt_outside_was_cut_off(
    consumer: str, outcome: str, cut_off: bool, expected: bool
) -> None:
    message = wins.failed(consumer=consumer)
    attempt(message, 3, outcome, may_have_acted=cut_off)

    assert other_side_may_have_acted(case(message)) is expected


@pytest.mark.parametrize("outcome", [AttemptOutcome.SNOOZED, AttemptOutcome.UNAVAILABLE])
def test_what_waits_as_its_consumer_was_not_ready_says_what_for_and_what_to_do(
    outcome: str,
) -> None:
    message = wins.pending(attempts=3, attempt_limit=8, not_before=timezone.now() + timedelta(minutes=4))
    attempt(message, 2, AttemptOutcome.SNOOZED, error="Snooze: something else")
    attempt(message, 3, outcome, error=f"{outcome.replace('snoozed', 'snooze').capitalize()}: add codes to its pool")

    diagnosis = diagnose(case(message))

    assert diagnosis.means == "Its consumer was not ready for it, and has said: “add codes to its pool”."
    assert diagnosis.do.startswith("If that asks for something, do it. Otherwise wait: it is tried again by itself at")
    assert diagnosis.tone == "wait"


def test_what_waits_after_a_failure_or_by_its_own_delay_needs_nobody() -> None:
    failed = wins.pending("failed", attempts=1, not_before=timezone.now() + timedelta(minutes=4))
    attempt(failed, 1)
    delayed = wins.pending("delayed", not_before=timezone.now() + timedelta(minutes=4))

    assert {diagnose(case(failed)).do, diagnose(case(delayed, attempts=[])).do} == {"Nothing to do."}


def test_a_timeout_outside_says_ask_first() -> None:
    message = wins.failed(consumer=ORDER)
    attempt(message, 3, error="ReadTimeout: timed out", may_have_acted=True)

    diagnosis = diagnose(case(message))

    assert diagnosis.tone == "bad"
    assert diagnosis.means == "At least one attempt was cut off. The other side may have acted all the same."
    assert diagnosis.do.startswith(
        f"Ask the other side before retrying, by the idempotency key {message.idempotency_key}"
    )


def test_failed_attempts_of_an_atomic_consumer_left_nothing_behind() -> None:
    message = wins.failed()
    attempt(message, 3)

    diagnosis = diagnose(case(message))

    assert diagnosis.happened == "All tries are used up: 3 attempts, none succeeded."
    assert diagnosis.means == "Every attempt was rolled back: nothing was done, nothing is half done."
    assert "that is safe" in diagnosis.do


@pytest.mark.parametrize(
    ("outcome", "reason", "happened"),
    [
        (AttemptOutcome.REJECTED, Reason.REJECTED, "The consumer refused it for good in attempt 3."),
        (AttemptOutcome.LOST, Reason.WORKER_LOST, "Its worker did not settle it in time, 2 times in a row."),
        (
            AttemptOutcome.FAILED,
            Reason.TIMED_OUT,
            "In its last attempt the handler took longer than the consumer's timeout.",
        ),
        (AttemptOutcome.FAILED, Reason.EXPIRED, "The deadline passed before it succeeded, after 3 attempts."),
        (AttemptOutcome.FAILED, Reason.CONSUMER_GONE, "Its consumer has been missing from the code for too long."),
    ],
)
def test_why_the_machine_gave_up(outcome: str, reason: Reason, happened: str) -> None:
    message = wins.failed(reason=reason, lost=2)
    attempt(message, 3, outcome)

    assert diagnose(case(message)).happened == happened


def test_a_message_that_nobody_took_asks_for_workers() -> None:
    message = wins.failed(attempts=0, reason=Reason.NOT_TAKEN)

    diagnosis = diagnose(case(message))

    assert diagnosis.do == "Make sure that workers are running, then retry."


def test_what_happens_by_itself_wants_nobody() -> None:
    pending, started, success = wins.pending("1"), wins.started("2"), wins.success("3")

    assert [diagnose(case(message)).tone for message in (pending, started, success)] == ["busy", "busy", "good"]


def test_a_worker_that_is_overdue_is_told_of() -> None:
    message = wins.started(lease_until=timezone.now() - timedelta(seconds=5))

    assert diagnose(case(message)).means == "The worker is overdue; it may be slow, or gone."


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (ConsumerState(paused_at=timezone.now(), paused_by="ada", paused_reason="stocktaking"), "paused by ada"),
        (ConsumerState(breaker="open"), "is down"),
    ],
)
def test_a_held_back_consumer_explains_the_wait(state: ConsumerState, word: str) -> None:
    assert word in diagnose(case(wins.pending(), state=state)).means


def test_a_message_that_lies_about_is_noticed() -> None:
    message = wins.pending(due_at=timezone.now() - timedelta(minutes=6))

    diagnosis = diagnose(case(message))

    assert diagnosis.tone == "wait"
    assert "without being started" in diagnosis.means


def test_a_consumer_gone_from_the_code_is_named() -> None:
    for make in (wins.pending, wins.failed):
        message = make(make.__name__, consumer="desk.gone")

        assert "desk.gone" in diagnose(case(message)).means


def test_who_ended_the_transaction_may_have_acted_although_its_consumer_is_atomic() -> None:
    message = wins.failed(reason=Reason.ENDED_TRANSACTION, attempts=1)

    diagnosis = diagnose(case(message))

    assert other_side_may_have_acted(case(message))
    assert "ended the transaction" in diagnosis.happened
    assert "Look whether its effect is there" in diagnosis.do


def test_a_message_that_sleeps_behind_another_of_its_key_says_which() -> None:
    head = wins.failed("head", ordering_key="till 1")
    asleep = wins.pending("asleep", ordering_key="till 1")
    Message.objects.filter(pk=asleep.pk).put_to_sleep()

    behind, before = find_message(asleep.pk), find_message(head.pk)

    assert behind is not None
    assert before is not None
    assert diagnose(behind.case).means == f"It waits for message {head.pk}, which comes first among those of “till 1”."
    assert before.case.head is None


@pytest.mark.parametrize(
    ("make", "state", "word"),
    [
        (wins.failed, {}, "has failed and waits for a person"),
        (wins.started, {}, "a worker is at work on that one"),
        (wins.pending, {"not_before": timezone.now() + timedelta(hours=1)}, "that one is tried at"),
        (
            wins.pending,
            {"not_before": timezone.now() + timedelta(hours=1), "last_error": "Snooze: add codes"},
            "and has said: “add codes”. If that asks for something, do it.",
        ),
        (wins.pending, {}, "it is taken up when that one has succeeded"),
    ],
)
def test_who_waits_is_told_how_the_one_that_it_waits_for_stands(make: Any, state: dict[str, Any], word: str) -> None:
    make("head", ordering_key="till 1", **state)
    found = find_message(wins.pending("behind", ordering_key="till 1").pk)

    assert found is not None
    assert word in diagnose(found.case).do


def test_the_head_says_how_many_wait_behind_it() -> None:
    head = wins.failed("head", ordering_key="till 1")
    for n in range(3):
        wins.pending(f"behind {n}", ordering_key="till 1")
    wins.pending("other", ordering_key="till 2")
    wins.success("settled", ordering_key="till 1")

    found = find_message(head.pk)

    assert found is not None
    assert diagnose(found.case).means.endswith("Waiting behind it, by the ordering key “till 1”: 3 messages.")
