"""The diagnosis: what the desk tells an operator at three in the morning."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from outbox import registry
from outbox.admin.messages.diagnosis import Case, diagnose, may_have_acted
from outbox.failures import reasons
from outbox.models import Attempt, AttemptOutcome, ConsumerState, Message
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
    ("consumer", "outcome", "error", "expected"),
    [
        (ISSUE, AttemptOutcome.FAILED, "ReadTimeout: timed out", False),
        (ISSUE, AttemptOutcome.LOST, "", False),
        (ORDER, AttemptOutcome.FAILED, "ReadTimeout: timed out", True),
        (ORDER, AttemptOutcome.FAILED, "TimeoutError", True),
        (ORDER, AttemptOutcome.FAILED, "RemoteProtocolError: server disconnected without a response", True),
        (ORDER, AttemptOutcome.FAILED, "ConnectionResetError: connection reset by peer", True),
        (ORDER, AttemptOutcome.LOST, "the worker was gone", True),
        (ORDER, AttemptOutcome.LATE, "", True),
        (ORDER, AttemptOutcome.FAILED, "KeyError: 'sku'", False),
        (ORDER, AttemptOutcome.REJECTED, "no such article", False),
        (ORDER, AttemptOutcome.UNAVAILABLE, "503", False),
        ("desk.gone", AttemptOutcome.LOST, "", True),
    ],
)
def test_the_other_side_may_have_acted_where_an_attempt_outside_was_cut_off(
    consumer: str, outcome: str, error: str, expected: bool
) -> None:
    message = wins.failed(consumer=consumer)
    attempt(message, 3, outcome, error=error)

    assert may_have_acted(case(message)) is expected


def test_a_timeout_outside_says_ask_first() -> None:
    message = wins.failed(consumer=ORDER)
    attempt(message, 3, error="ReadTimeout: timed out")

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
    ("outcome", "error", "happened"),
    [
        (AttemptOutcome.REJECTED, "not for sale (rejected)", "The consumer refused it for good in attempt 3."),
        (AttemptOutcome.LOST, "the worker was gone", "The worker died while working on it, 2 times in a row."),
        (AttemptOutcome.FAILED, reasons.EXPIRED, "The deadline passed before it succeeded, after 3 attempts."),
        (AttemptOutcome.FAILED, reasons.GONE, "Its consumer has been missing from the code for too long."),
    ],
)
def test_why_the_machine_gave_up(outcome: str, error: str, happened: str) -> None:
    message = wins.failed(last_error=error, lost=2)
    attempt(message, 3, outcome)

    assert diagnose(case(message)).happened == happened


def test_a_message_that_nobody_took_asks_for_workers() -> None:
    message = wins.failed(attempts=0, last_error="no worker took it: 360 hints went into an empty queue")

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
