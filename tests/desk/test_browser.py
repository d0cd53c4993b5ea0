"""The desk in a real browser: reachable by keyboard and on a phone, readable for everybody, and under a strict CSP."""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from outbox import operate
from outbox.acts import HandledAs
from outbox.models import AttemptOutcome, Message, Status
from tests.desk import rows
from tests.desk.test_translation import FILES, strings_of_code, strings_of_template

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LIST = "/admin/outbox/message/"
AXE = AXE_FILE_PATH.read_text()
OPTIONS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium; Playwright's loop then runs in this thread, which Django would take for async code."""
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        chromium = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser, live_server: LiveServer, lead: User) -> Iterator[Open]:
    """Open a page as the lead; at the end nothing may have been refused by the content security policy."""
    complaints: list[str] = []
    contexts = []

    def listen(message: Any) -> None:
        if message.type == "error" and "favicon" not in message.location.get("url", ""):
            complaints.append(message.text)

    def open_page(path: str, *, user: User = lead, **how: Any) -> Page:
        client = Client()
        client.force_login(user)
        context = browser.new_context(base_url=live_server.url, **how)
        contexts.append(context)
        cookie = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def story(lead: User) -> dict[str, str]:
    """Make a message for every kind of page, and return the pages' addresses by name."""
    order = rows.failed("A-1", consumer=rows.ORDER, error="ReadTimeout: timed out, " + "x" * 120)
    rows.success("A-1")
    rows.attempt(order, 1, AttemptOutcome.UNAVAILABLE)
    rows.attempt(order, 3, error="ReadTimeout", traceback="Traceback (most recent call last): " + "y" * 300)
    handled = rows.failed("A-2")
    operate.mark_handled(handled.pk, revision=0, actor=lead, reason="R", outcome=HandledAs.ISSUED, evidence="E-1")
    discarded = rows.failed("A-3")
    operate.discard(discarded.pk, revision=0, actor=lead, reason="R")
    made = {
        "failed": order,
        "handled": handled,
        "discarded": discarded,
        "pending": rows.pending("p"),
        "started": rows.started("s"),
        "success": rows.success("ok"),
    }
    pages = {name: f"{LIST}{message.pk}/change/" for name, message in made.items()}
    return {
        **pages,
        "queue": LIST,
        "empty": f"{LIST}?tab=discarded&consumer={rows.ORDER}",
        "search": f"{LIST}?q=A-1",
        "audit": "/admin/outbox/auditentry/",
        "consumers": "/admin/outbox/consumerstate/",
    }


@pytest.mark.parametrize(
    "how", [{}, {"color_scheme": "dark"}, PHONE, {"locale": "zh-CN"}], ids=["light", "dark", "phone", "chinese"]
)
def test_axe_finds_nothing_on_any_page(how: dict[str, Any], story: dict[str, str], open_page: Open) -> None:
    page = open_page(LIST, **how)
    found = {}
    for name, path in story.items():
        page.goto(path)
        page.evaluate("for (const details of document.querySelectorAll('details:not([name])')) details.open = true")
        page.evaluate(AXE)
        result = page.evaluate("options => axe.run(document, options)", OPTIONS)
        found[name] = [(rule["id"], [node["html"][:150] for node in rule["nodes"]]) for rule in result["violations"]]

    assert {name: violations for name, violations in found.items() if violations} == {}


def test_a_phone_shows_every_page_without_scrolling_sideways(story: dict[str, str], open_page: Open) -> None:
    page = open_page(LIST, **PHONE)
    widths = {}
    for name, path in story.items():
        page.goto(path)
        widths[name] = page.evaluate("document.documentElement.scrollWidth")

    assert {name: width for name, width in widths.items() if width > 390} == {}


def test_a_chinese_desk_has_no_english_of_ours(story: dict[str, str], open_page: Open) -> None:
    ours = {
        text
        for path in FILES
        for text in (strings_of_code(path) if path.suffix == ".py" else strings_of_template(path))
        if "%" not in text and len(text) > 4
    }
    page = open_page(LIST, locale="zh-CN")
    left = {}
    for name, path in story.items():
        page.goto(path)
        shown = page.locator("#content").inner_text() + page.locator("#footer").inner_text()
        left[name] = [text for text in ours if re.search(rf"(?<![\w.]){re.escape(text)}(?![\w.])", shown)]

    assert {name: texts for name, texts in left.items() if texts} == {}


def test_an_operator_works_through_the_queue_by_keyboard_alone(open_page: Open) -> None:
    first, second = rows.failed("1"), rows.failed("2")
    page = open_page(LIST)

    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{second.pk}/change/*")
    page.keyboard.press("r")
    page.keyboard.type("the till is mended")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".messagelist")).to_contain_text("Pending again")
    page.keyboard.press("n")
    page.wait_for_url(f"**/{first.pk}/change/*")
    page.keyboard.press("u")
    page.wait_for_url(f"**{LIST}*")

    second.refresh_from_db()
    assert second.status == Status.PENDING


def test_question_mark_lists_the_keys_and_the_switch_turns_them_off_for_good(open_page: Open) -> None:
    rows.failed()
    page = open_page(LIST)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Next, previous message in the list")

    page.get_by_label("Single-key shortcuts are on").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    page.keyboard.press("j")
    page.keyboard.press("?")

    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("document.activeElement === document.body")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_typing_a_reason_triggers_no_shortcut(open_page: Open) -> None:
    message = rows.failed()
    rows.failed("2")
    page = open_page(f"{LIST}{message.pk}/change/")

    page.get_by_label("Reason").first.fill("")
    page.get_by_label("Reason").first.press_sequentially("nu rj?/x")

    assert page.url.endswith(f"/{message.pk}/change/")
    expect(page.get_by_label("Reason").first).to_have_value("nu rj?/x")


def test_times_are_shown_in_the_reader_s_own_zone_with_utc_in_the_tooltip(open_page: Open) -> None:
    message = rows.pending()
    Message.objects.filter(pk=message.pk).update(created_at="2026-01-05T12:00:00Z")

    page = open_page(f"{LIST}{message.pk}/change/", timezone_id="Asia/Shanghai", locale="en-GB")

    shown = page.locator('time[datetime="2026-01-05T12:00:00.000+00:00"]').first
    expect(shown).to_contain_text("8:00:00")
    expect(shown).to_have_attribute("title", "2026-01-05 12:00:00 UTC")


def test_selected_messages_go_through_the_reason_page(open_page: Open) -> None:
    rows.failed("1")
    rows.failed("2")
    page = open_page(LIST)
    expect(page.get_by_role("button", name="Retry selected messages")).to_be_disabled()

    page.get_by_label("Select all messages on this page").check()
    page.get_by_role("button", name="Retry selected messages").click()
    page.get_by_label("Reason").fill("the till is mended")
    page.get_by_role("button", name="Retry now").click()

    expect(page.locator(".messagelist")).to_contain_text("2 messages are pending again")


def test_a_conflict_keeps_what_was_typed(open_page: Open) -> None:
    message = rows.failed()
    page = open_page(f"{LIST}{message.pk}/change/")
    operate.discard(message.pk, revision=0, actor="ada", reason="a test campaign")

    page.get_by_label("Reason").first.fill("my long explanation")
    page.get_by_role("button", name="Retry now").click()

    expect(page.locator(".errornote")).to_contain_text("ada discarded the message since you looked")
    expect(page.get_by_label("Reason").first).to_have_value("my long explanation")
