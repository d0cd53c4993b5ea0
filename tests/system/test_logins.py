"""Logins are limited: after five wrong passwords nobody gets in with this name from there for a quarter of an hour."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"
LIMIT = 5


@pytest.fixture(autouse=True)
def people(db: None) -> None:
    for name in ("ada", "ben"):
        User.objects.create_user(name, password="right", is_staff=True)


def log_in(client: Client, name: str, password: str, **how: Any) -> Any:
    return client.post(LOGIN, {"username": name, "password": password, "next": "/admin/"}, **how)


def lock(client: Client, name: str = "ada", **how: Any) -> Any:
    answers = [log_in(client, name, "wrong", **how) for _n in range(LIMIT)]
    assert [answer.status_code for answer in answers[:-1]] == [200] * (LIMIT - 1)
    return answers[-1]


@pytest.mark.parametrize(("language", "said"), [("en", "Too many failed logins"), ("zh-hans", "登录失败次数过多")])
def test_the_right_password_is_of_no_use_after_five_wrong_ones(client: Client, language: str, said: str) -> None:
    answer = lock(client, headers={"Accept-Language": language})

    assert answer.status_code == 429
    assert said in answer.text
    assert "outbox/site.css" in answer.text
    assert log_in(client, "ada", "right").status_code == 429
    assert "_auth_user_id" not in client.session


def test_somebody_else_and_another_place_are_not_locked_out(client: Client) -> None:
    lock(client)

    assert log_in(client, "ben", "right").status_code == 302
    assert log_in(Client(), "ada", "right", REMOTE_ADDR="10.9.9.9").status_code == 302


def test_a_success_forgets_the_failures_before_it(client: Client) -> None:
    for _n in range(LIMIT - 1):
        log_in(client, "ada", "wrong")

    assert log_in(client, "ada", "right").status_code == 302
    assert not AccessAttempt.objects.exists()


def test_after_a_quarter_of_an_hour_it_is_over(client: Client) -> None:
    lock(client)
    for attempt in AccessAttempt.objects.all():
        attempt.attempt_time -= timedelta(minutes=16)
        attempt.save()

    assert log_in(client, "ada", "right").status_code == 302


def test_the_place_is_what_our_own_proxies_say(client: Client, settings: Any) -> None:
    """Else all who come through the proxy would be one, or anybody could say that they are elsewhere."""
    settings.OUTBOX = {**settings.OUTBOX, "PROXIES": 1}
    for n in range(LIMIT):
        log_in(client, "ada", "wrong", headers={"X-Forwarded-For": f"10.0.0.{n}, 203.0.113.9"})

    assert log_in(client, "ada", "right", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 429
    assert log_in(client, "ada", "right", headers={"X-Forwarded-For": "203.0.113.10"}).status_code == 302


def test_what_is_no_address_is_no_error(client: Client, settings: Any) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "PROXIES": 1}

    assert lock(client, headers={"X-Forwarded-For": "unknown"}).status_code == 429


def test_the_log_says_who_was_locked_out_and_from_where(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="axes"):
        lock(client)

    told = [record.getMessage() for record in caplog.records if "Locking out" in record.getMessage()]
    assert len(told) == 1
    assert "ada" in told[0]
    assert "127.0.0.1" in told[0]


def test_whoever_is_signed_in_stays_so_while_others_try(client: Client) -> None:
    log_in(client, "ada", "right")
    lock(Client(), REMOTE_ADDR="10.9.9.9")

    assert client.get("/admin/").status_code == 200
