"""Whatever a program sends: an answer in JSON that says what is wrong, and no page, and no traceback."""

import json
from unittest import mock

import pytest
from django.db import OperationalError, connections
from django.test import Client

from outbox import operate
from outbox.api import door, messages
from outbox.models import Message
from tests.harness.api import API, Program, read
from tests.harness.desk import wins

pytestmark = pytest.mark.django_db(transaction=True)
TOLD = {"revision": 0, "reason": "the till is mended"}


def test_what_is_no_address_is_a_problem_and_no_page(night: Program) -> None:
    for path in ("", "messages/", "messages/1/retry/", "nothing", "../v2/messages", "%00", "messages//1"):
        for method in ("GET", "POST", "DELETE"):
            answer = night.call(method, path, {} if method == "POST" else None)
            assert (answer.status, answer.code) == (404, "not_found")
    assert read(Client().get("/outbox/api/")).code == "not_found"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "POST"])
def test_another_method_is_told_which_there_are(night: Program, method: str) -> None:
    answer = night.call(method, "messages")

    assert (answer.status, answer.code, answer.headers["Allow"]) == (405, "method_not_allowed", "GET")


@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"{",
        b'{"revision": 0',
        b'{"reason": "\xff"}',
        b"[" * 100_000,
        b'{"revision": NaN, "reason": "x"}',
        b'{"revision": 0, "revision": 1, "reason": "x"}',
        b'{"revision": ' + b"9" * 5_000 + b', "reason": "x"}',
        b'{"revision": 0, "reason": "\\ud800"}',
    ],
    ids=lambda body: str(body[:30]),
)
def test_what_is_no_json_is_told(night: Program, body: bytes) -> None:
    message = wins.failed()

    answer = night.call("POST", f"messages/{message.pk}/retry", body)

    assert (answer.status, answer.code) == (400, "not_json")
    assert Message.objects.get().revision == 0


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        7,
        {},
        {"revision": 0},
        {"revision": "0", "reason": "x"},
        {"revision": True, "reason": "x"},
        {"revision": -1, "reason": "x"},
        {"revision": 2**31, "reason": "x"},
        {"revision": 1.5, "reason": "x"},
        {"revision": None, "reason": "x"},
        {"revision": 0, "reason": ""},
        {"revision": 0, "reason": "x" * 1_001},
        {"revision": 0, "reason": ["x"]},
        {**TOLD, "force": True},
    ],
    ids=str,
)
def test_a_value_that_is_none_is_told_by_its_name(night: Program, body: object) -> None:
    message = wins.failed()

    answer = night.call("POST", f"messages/{message.pk}/retry", json.dumps(body).encode())

    assert (answer.status, answer.code) == (422, "invalid")
    assert all(error["where"].split(".")[0] == "body" and error["message"] for error in answer.body["errors"])
    assert "body.body" not in answer.body["detail"]
    assert Message.objects.get().revision == 0


def test_a_number_is_whole_if_it_has_nothing_behind_the_point(night: Program) -> None:
    message = wins.failed()

    assert night.call("POST", f"messages/{message.pk}/retry", b'{"revision": 0.0, "reason": "x"}').status == 200


@pytest.mark.parametrize("reason", ["  ", "a\u202eb", "a\0b", "\u3164"])
def test_a_reason_that_says_nothing_or_hides_something_is_refused(night: Program, reason: str) -> None:
    message = wins.failed()

    answer = night.post(f"messages/{message.pk}/retry", {"revision": 0, "reason": reason})

    assert (answer.status, answer.code) == (409, "not_allowed")
    assert Message.objects.get().revision == 0


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_is_not_said_to_be_json_is_not_read(night: Program, kind: str) -> None:
    message = wins.failed()
    answer = Client().generic(
        "POST",
        f"{API}messages/{message.pk}/retry",
        json.dumps(TOLD),
        kind,
        headers={"Authorization": f"Bearer {night.secret}"},
    )

    assert (answer.status_code, read(answer).code) == (415, "unsupported_media_type")


@pytest.mark.parametrize("length", [door.BODY_LIMIT + 1, 10**12])
def test_a_body_that_is_too_large_is_not_read(night: Program, length: int) -> None:
    answer = night.call("POST", "operations", b"[]", headers={"Content-Length": str(length)})

    assert (answer.status, answer.code) == (413, "too_large")


def test_what_django_finds_too_large_is_too_large(night: Program, settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100

    answer = night.call("POST", "operations", b" " * 200)

    assert (answer.status, answer.code) == (413, "too_large")


def test_a_mistake_of_ours_is_a_problem_and_stands_in_the_log(night: Program, caplog) -> None:
    with mock.patch.object(operate, "retry", side_effect=ZeroDivisionError("secret detail")):
        answer = night.post(f"messages/{wins.failed().pk}/retry", TOLD)

    assert (answer.status, answer.code) == (500, "internal_error")
    assert "secret" not in json.dumps(answer.body)
    assert "ZeroDivisionError" in caplog.text


def test_a_database_that_is_away_is_told(night: Program) -> None:
    with mock.patch.object(messages, "_find", side_effect=OperationalError("gone")):
        answer = night.get("messages/1")

    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "unavailable", "5")


def test_the_words_are_in_the_reader_s_language_and_the_codes_are_not(night: Program) -> None:
    answer = night.call("GET", "messages/2000000000", headers={"Accept-Language": "zh-hans"})

    assert answer.code == "not_found"
    assert answer.body["detail"] == "这个地址下没有内容，或已不存在。已了结的消息会被清理。"


def test_a_host_s_transaction_around_each_request_is_not_around_a_call(night: Program, settings) -> None:
    from django.urls import resolve

    view = resolve(f"{API}messages").func

    assert view._non_atomic_requests == set(connections)
    assert view.csrf_exempt
    assert view.login_required is False
