"""The engine's own words are the reader's; what a consumer said stays as it was said."""

import re

import pytest
from django.test import Client
from django.utils import translation

from outbox.admin import formats
from outbox.models import Attempt, AttemptOutcome, FailureGroup, Message
from outbox.policy import Reason
from tests.harness.desk import failure_group, wins
from tests.harness.rows import attempt
from tests.outbox.admin.acting import LIST, url_of

OWN = {
    **{reason: Message(reason=reason) for reason in Reason},
    "a lost worker": Message(status="pending", lost=1, worker="shop-1:77", attempts=3),
    "a lost attempt": Attempt(outcome="lost", worker="shop-1:77", number=3),
    "a late success": Attempt(outcome="late"),
}


def said(row: Message | Attempt) -> str:
    return formats.describe_attempt(row) if isinstance(row, Attempt) else formats.describe_failure(row)


@pytest.mark.parametrize("row", OWN.values(), ids=OWN)
def test_what_the_engine_says_is_in_the_reader_s_language_without_a_word_of_another(row: Message | Attempt) -> None:
    with translation.override("en"):
        english = said(row)
    with translation.override("zh-hans"):
        chinese = said(row).replace("shop-1:77", "")

    assert english.isascii()
    assert english
    assert not any(character.isascii() and character.isalpha() for character in chinese)


@pytest.mark.parametrize(
    ("error", "reason", "told"),
    [
        ("ValueError: the till is jammed", Reason.NO_TRIES_LEFT, "ValueError: the till is jammed (尝试次数已用完)"),
        ("Reject: no such award", Reason.REJECTED, "Reject: no such award (被拒绝)"),
        ("ValueError: card (rejected)", "", "ValueError: card (rejected)"),
        ("ValueError: card (no tries left)", Reason.REJECTED, "ValueError: card (no tries left) (被拒绝)"),
        (
            "the worker shop-1:77 did not settle attempt 3 in time: the process, the database or the network was gone",
            "",
            None,
        ),
        ("expired: the deadline passed before it succeeded", "", None),
        ("ValueError: 503", Reason.EXPIRED, "已过期：在成功之前截止时间已过 (ValueError: 503)"),
        ("", "", ""),
    ],
)
def test_a_consumer_s_error_is_shown_as_it_was_said_and_only_the_reason_is_translated(
    error: str, reason: str, told: str | None
) -> None:
    with translation.override("zh-hans"):
        assert formats.describe_failure(Message(last_error=error, reason=reason)) == (error if told is None else told)


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
    ],
)
def test_a_failure_group_is_read_without_the_marks_of_what_differs(title: str, read: str) -> None:
    assert formats.format_group(FailureGroup(title=title, exception="ValueError")) == read


def test_a_group_that_no_exception_made_is_named_by_its_reason() -> None:
    group = FailureGroup(title="the deadline passed before it succeeded", reason=Reason.EXPIRED)

    with translation.override("zh-hans"):
        assert formats.format_group(group) == "已过期：在成功之前截止时间已过"


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
        page = re.sub('aria-labelledby="desk-why".*?</section>', "", desk.get(address).text, flags=re.DOTALL)
        assert "vendor answered … {…}" in page, address
        assert "&lt;n&gt;" not in page, address


@pytest.mark.django_db
def test_a_chinese_page_says_in_chinese_why_the_machine_gave_up(desk: Client) -> None:
    message = wins.failed(reason=Reason.EXPIRED, attempts=0)

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
