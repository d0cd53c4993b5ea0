"""The engine's own words are the reader's; what a consumer said stays as it was said."""

import pytest
from django.test import Client
from django.utils import translation

from outbox.admin import formats
from outbox.failures import reasons
from outbox.models import AttemptOutcome, FailureGroup
from tests.harness.desk import failure_group, wins
from tests.harness.rows import attempt
from tests.outbox.admin.acting import LIST, url_of

ENGINE_S = [
    reasons.EXPIRED,
    reasons.GONE,
    reasons.LOST,
    reasons.NOBODY,
    "the worker shop-1:77 was gone before it settled attempt 3 (worker lost, no tries left)",
    "refused, a later attempt or an operator was faster; the handler had succeeded",
]


@pytest.mark.parametrize("text", ENGINE_S)
def test_what_the_engine_says_is_said_in_english_as_it_is_stored_and_in_chinese_without_a_word_of_it(text: str) -> None:
    with translation.override("en"):
        english = formats.translate_error(text)
    with translation.override("zh-hans"):
        chinese = formats.translate_error(text).replace("shop-1:77", "")

    assert english == text
    assert not any(character.isascii() and character.isalpha() for character in chinese)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ValueError: the till is jammed (no tries left)", "ValueError: the till is jammed (尝试次数已用完)"),
        ("Reject: no such award (rejected)", "Reject: no such award (被拒绝)"),
        ("rejected", "rejected"),
        ("ValueError: jammed (again)", "ValueError: jammed (again)"),
        ("", ""),
    ],
)
def test_of_a_consumer_s_error_only_the_engine_s_ending_is_translated(text: str, told: str) -> None:
    with translation.override("zh-hans"):
        assert formats.translate_error(text) == told


@pytest.mark.parametrize(
    ("title", "read"),
    [
        ("the till jams", "the till jams"),
        ("order <n> for <mail>: HTTP <n>", "order … for …: HTTP …"),
        ("Client error <n> {<text>: <text>, <text>: <n>}", "Client error … {…}"),
        ("timed out after <n>s at <url>", "timed out after …s at …"),
        ("Key (id)=(<value>) already exists.", "Key (id)=… already exists."),
        ("<n> {<text>: <text>} <text>", "ValueError: … {…} …"),
        ("a <n>, <n> and <text> <text>", "a … and …"),
        ("x < y and y > z", "x < y and y > z"),
        ("", "ValueError"),
        (reasons.EXPIRED, reasons.EXPIRED),
    ],
)
def test_a_failure_group_is_read_without_the_marks_of_what_differs(title: str, read: str) -> None:
    assert formats.format_group(FailureGroup(title=title, exception="ValueError")) == read


@pytest.mark.django_db
def test_every_page_that_names_the_group_reads_the_same(desk: Client) -> None:
    group = failure_group("vendor", stuck=1, title="vendor answered <n> {<text>: <n>}")
    stuck = wins.failed("k", failure=group.pk)
    pages = [
        "/admin/",
        "/admin/outbox/failuregroup/",
        f"/admin/outbox/failuregroup/{group.pk}/change/",
        f"{LIST}?tab=failed&group={group.pk}",
        url_of(stuck),
    ]

    for address in pages:
        page = desk.get(address).text
        assert "vendor answered … {…}" in page, address
        assert "&lt;n&gt;" not in page, address


@pytest.mark.django_db
def test_a_chinese_page_says_in_chinese_why_the_machine_gave_up(desk: Client) -> None:
    message = wins.failed(last_error=reasons.EXPIRED, attempts=0)

    queue = desk.get(LIST, headers={"Accept-Language": "zh-hans"}).text
    page = desk.get(url_of(message), headers={"Accept-Language": "zh-hans"}).text

    for text in (queue, page):
        assert "已过期：在成功之前截止时间已过" in text
        assert "expired:" not in text


@pytest.mark.django_db
def test_the_timeline_says_how_many_attempts_in_a_row_ended_the_same_way(desk: Client) -> None:
    message = wins.failed()
    attempt(message, 1, AttemptOutcome.UNAVAILABLE)
    attempt(message, 3, AttemptOutcome.UNAVAILABLE, times=40)

    page = desk.get(url_of(message)).text

    assert "Attempt 1: unavailable</strong>" in page
    assert "Attempt 3: unavailable, 40 in a row" in page
