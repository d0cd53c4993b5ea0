"""A retry behind a pause or an open breaker says that nothing starts yet, why, and when it goes on."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from outbox import operate
from outbox.admin.messages import detail, diagnosis
from outbox.models import ConsumerState
from outbox.models.state import Breaker
from outbox.operate.wording import format_datetime
from tests.harness.desk import ISSUE, wins
from tests.outbox.admin.acting import LIST, url_of

pytestmark = pytest.mark.django_db

UNTIL_RESUMED = "The consumer desk.issue was paused by ada: it goes on when somebody resumes it."
DOWN = (
    "What desk.issue needs is down or wants to be left alone: one message at a time is tried, and this one goes on "
    "when it is back."
)


def pause(**how: timedelta) -> ConsumerState:
    return operate.pause(ISSUE, seen=None, actor="ada", reason="the till is mended", **how)


def retried(desk: Client) -> str:
    given = {"act": "retry", "revision": 0, "reason": "mended"}
    return desk.post(url_of(wins.failed()), given, follow=True).text


def test_while_it_is_paused_a_retry_says_by_whom_and_promises_no_worker(desk: Client) -> None:
    pause()

    told = retried(desk)

    assert f"Pending again. {UNTIL_RESUMED}" in told
    assert "a worker takes it up now" not in told


def test_a_pause_with_an_end_says_when_it_goes_on(desk: Client) -> None:
    state = pause(lasting=timedelta(hours=1))
    assert state.paused_until is not None
    until = format_datetime(state.paused_until)

    told = retried(desk)

    assert f"The consumer desk.issue was paused by ada until {until}; it goes on then." in told
    assert f"It goes on by itself at {until}, or when the consumer is resumed." in told


def test_behind_an_open_breaker_it_says_what_is_down(desk: Client) -> None:
    ConsumerState.objects.create(consumer=ISSUE, breaker=Breaker.OPEN)

    assert f"Pending again. {DOWN}" in retried(desk)


def test_once_the_pause_is_over_a_worker_takes_it_up(desk: Client) -> None:
    pause()
    ConsumerState.objects.update(paused_until=timezone.now() - timedelta(seconds=1))

    assert "Pending again: a worker takes it up now." in retried(desk)


def test_what_is_retried_together_is_told_of_once_for_each_consumer(desk: Client) -> None:
    pause()
    picks = [f"{wins.failed(key).pk}:0" for key in "12"]

    done = desk.post(LIST + "retry-selected/", {"pick": picks, "confirmed": "1", "reason": "mended"}, follow=True)

    assert "2 messages are pending again." in done.text
    assert done.text.count(UNTIL_RESUMED) == 1


def test_the_command_says_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    pause()
    message = wins.failed()

    call_command("outbox_retry", str(message.pk), "--reason", "mended", "--actor", "bob")

    assert capsys.readouterr().out == f"{message.pk}: pending again (desk.issue). {UNTIL_RESUMED}\n"


def test_a_pause_without_an_end_goes_on_only_when_it_is_resumed() -> None:
    pause()
    found = detail.find_message(wins.pending().pk)
    assert found is not None

    assert diagnosis.diagnose(found.case).do == "It goes on when the consumer is resumed."
