"""What a message says again and again leaves a handful of rows, and asks less and less often."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from outbox.models import Attempt, Message
from outbox.policy import Again, Backoff, Counters, FoundUnavailable, Snoozed, decide
from tests.harness.clock import SECOND, database_time
from tests.harness.rows import sales

pytestmark = pytest.mark.usefixtures("transactional_db")

FULL = timedelta(minutes=10)


def say(message: Message, number: int, outcome: str = "unavailable", *, ago: timedelta = timedelta(0)) -> int:
    """Keep one attempt that ended so long ago; return how many in a row ended like it."""
    made = Attempt(message=message, number=number, outcome=outcome, ended_at=database_time() - ago)
    return Attempt.objects.keep([made])[message.pk]


def kept(message: Message) -> Sequence[tuple[int, str, int]]:
    rows = Attempt.objects.filter(message=message).order_by("id")
    return list(rows.values_list("number", "outcome", "times"))


def test_of_a_long_row_the_first_stays_and_those_of_the_last_minutes():
    message = sales.failed()
    for number in range(1, 6):
        say(message, number, ago=FULL + SECOND)
    for number in (6, 7):
        say(message, number)

    assert kept(message) == [(1, "unavailable", 1), (6, "unavailable", 6), (7, "unavailable", 7)]


@pytest.mark.parametrize("outcome", ["unavailable", "snoozed"])
def test_each_counts_how_many_in_a_row_were_like_it(outcome: str):
    message = sales.failed()

    assert [say(message, number, outcome) for number in (1, 2, 3)] == [1, 2, 3]


def test_another_outcome_or_an_attempt_between_begins_a_new_row():
    message = sales.failed()

    places = [
        say(message, 1),
        say(message, 2, "snoozed"),
        say(message, 3, "snoozed"),
        say(message, 5, "snoozed"),
        say(message, 6, "failed"),
        say(message, 7, "failed"),
    ]

    assert places == [1, 1, 2, 1, 1, 1]


def test_failures_and_the_rows_of_others_stay_whole():
    one, other = sales.failed(), sales.failed()
    for number in (1, 2, 3):
        say(other, number, ago=FULL + SECOND)
        say(one, number, "failed", ago=FULL + SECOND)
    for number in (4, 5, 6, 7):
        say(one, number, ago=FULL + SECOND)

    assert [number for number, _outcome, _times in kept(one)] == [1, 2, 3, 4, 7]
    assert [number for number, _outcome, _times in kept(other)] == [1, 3]


def test_a_row_that_has_ended_keeps_its_first_and_its_last():
    message = sales.failed()
    for number in (1, 2, 3, 4):
        say(message, number, ago=FULL + SECOND)
    say(message, 5, "failed", ago=FULL + SECOND)
    for number in (6, 7, 8):
        say(message, number, ago=FULL + SECOND)

    assert kept(message) == [
        (1, "unavailable", 1),
        (4, "unavailable", 4),
        (5, "failed", 1),
        (6, "unavailable", 1),
        (8, "unavailable", 3),
    ]


def test_many_messages_at_once_take_as_many_statements_as_one():
    def statements(many: int) -> int:
        messages = [sales.failed() for _ in range(many)]
        for number in (1, 2, 3):
            attempts = [Attempt(message=message, number=number, outcome="unavailable") for message in messages]
            with CaptureQueriesContext(connection) as captured:
                Attempt.objects.keep(attempts)
        Attempt.objects.update(ended_at=F("ended_at") - FULL)
        return len(captured)

    assert statements(1) == statements(50) <= 5


@pytest.mark.parametrize(
    ("times", "seconds"), [(1, 5), (2, 10), (3, 20), (4, 30), (5, 30), (10_000, 30)], ids=lambda value: str(value)
)
def test_the_wait_of_a_row_that_finds_the_world_down_grows_as_the_breaker_s_does(times: int, seconds: int):
    decision = decide(
        FoundUnavailable(timedelta(seconds=5)), Counters(times, times + 3, 0), Backoff(), uniform=0.5, times=times
    )

    assert decision == Again(timedelta(seconds=seconds), free=True)


def test_a_longer_first_wait_stays_as_it_is():
    decision = decide(FoundUnavailable(timedelta(minutes=2)), Counters(9, 12, 0), Backoff(), uniform=0.5, times=9)

    assert decision == Again(timedelta(minutes=2), free=True)


def test_what_is_not_ready_says_itself_when_to_come_back():
    decision = decide(Snoozed(timedelta(seconds=5)), Counters(9, 12, 0), Backoff(), uniform=0.5, times=9)

    assert decision == Again(timedelta(seconds=5), free=True)
