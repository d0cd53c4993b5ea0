"""Whoever leaves the desk is signed out after half an hour, even if a page goes on reading itself."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from outbox.admin import sessions, typed
from tests.harness.translation import HOME
from tests.outbox.admin.acting import LIST

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Iterator[Any]:
    """What the time is to the middleware."""
    with mock.patch.object(sessions.time, "time", return_value=time.time()) as clock:
        yield clock


def lasts() -> timedelta:
    return Session.objects.get().expire_date - timezone.now()


def let_pass(span: timedelta) -> None:
    """Let the session be as old as if it was last saved so long ago."""
    for session in Session.objects.all():
        session.expire_date -= span
        session.save()


def test_a_session_of_the_desk_lasts_half_an_hour_from_the_last_request_on(desk: Client, clock: Any) -> None:
    desk.get(LIST)
    assert timedelta(minutes=29) < lasts() <= timedelta(minutes=30)
    let_pass(timedelta(minutes=20))
    clock.return_value += 20 * 60

    desk.get(LIST)

    assert lasts() > timedelta(minutes=29)


def test_then_it_is_over(desk: Client, clock: Any) -> None:
    desk.get(LIST)
    let_pass(timedelta(minutes=31))

    assert desk.get(LIST).headers["Location"].startswith("/admin/login/")


def test_a_page_that_reads_itself_keeps_nobody_signed_in(desk: Client, clock: Any) -> None:
    desk.get(LIST)
    let_pass(timedelta(minutes=20))
    clock.return_value += 20 * 60

    desk.get(LIST, headers={typed.BY_ITSELF: "1"})

    assert lasts() < timedelta(minutes=11)


def test_the_scripts_that_read_pages_say_so() -> None:
    for script in (HOME / "static" / "outbox").glob("*.js"):
        source = script.read_text()
        assert source.count("fetch(") == source.count(typed.BY_ITSELF), script.name


def test_a_session_is_saved_once_a_minute_at_most(desk: Client, clock: Any) -> None:
    desk.get(LIST)
    with mock.patch.object(Session, "save", autospec=True) as saved:
        clock.return_value += 30
        desk.get(LIST)

    assert saved.call_count == 0


def test_how_long_it_lasts_is_a_setting(desk: Client, clock: Any, settings: Any) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "DESK_SESSION": timedelta(minutes=5)}

    desk.get(LIST)

    assert lasts() <= timedelta(minutes=5)


def test_sessions_of_those_who_draw_are_left_alone(client: Client, clock: Any) -> None:
    session = client.session
    session["draws"] = ["x"]
    session.save()
    before = Session.objects.get().expire_date

    client.get("/")

    assert Session.objects.get().expire_date == before
