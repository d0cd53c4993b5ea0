"""The desk in a real browser: reachable by keyboard and on a phone, readable for everybody, and under a strict CSP."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.utils import timezone
from playwright.sync_api import Page, expect

from outbox import operate
from outbox.models import (
    AttemptOutcome,
    ConsumerState,
    EvidenceKind,
    Exchange,
    FailureHour,
    GroupState,
    HandledAs,
    Message,
    MinuteStat,
    Status,
)
from outbox.models.failure import ThisHour
from outbox.policy import Reason
from tests.harness.browsing import ALL_BUT_COLOURS, ALL_RULES, COLOURS, PHONE, Open, violations
from tests.harness.desk import ISSUE, ORDER, failure_group, wins
from tests.harness.rows import attempt, proof
from tests.harness.translation import FILES, strings_of_code, strings_of_template

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LIST = "/admin/outbox/message/"


@pytest.fixture
def story(lead: User) -> dict[str, str]:
    """Make a message for every kind of page, and return the pages' addresses by name."""
    order = wins.failed("A-1", consumer=ORDER, error="ReadTimeout: timed out, " + "x" * 120)
    wins.success("A-1")
    said = {"request": '{"sku": "MUG", "to": "ada@example.com"}', "answer": '{"error": "no such street"}'}
    Exchange.objects.create(message=order, number=3, position=0, **said)
    operate.set_note(order.pk, revision=0, actor=lead, owner="lead", text="N " * 60)
    operate.save_view("V " * 20, "tab=failed", actor=lead, is_shared=True)
    operate.save_view("of nobody", "tab=all&mine=1", actor="nobody", is_shared=True)
    attempt(order, 1, AttemptOutcome.UNAVAILABLE)
    attempt(order, 3, error="ReadTimeout", traceback="Traceback (most recent call last): " + "y" * 300)
    handled = wins.failed("A-2")
    operate.mark_handled(handled.pk, revision=0, actor=lead, reason="R", outcome=HandledAs.ISSUED, evidence="E-1")
    reopened = wins.failed("A-6")
    operate.mark_handled(reopened.pk, revision=0, actor=lead, reason="R", outcome=HandledAs.ISSUED, evidence="E-2")
    operate.reopen(reopened.pk, revision=1, actor=lead, reason="R")
    doubled = wins.success("A-7")
    proof(doubled, "https://vendor.example/7", kind=EvidenceKind.LINK, retried_at=Now())
    proof(doubled, retracted_at=Now())
    discarded = wins.failed("A-3")
    operate.discard(discarded.pk, revision=0, actor=lead, reason="R")
    wins.failed("head", ordering_key="till 1")
    asleep = wins.pending("asleep", ordering_key="till 1")
    Message.objects.filter(pk=asleep.pk).put_to_sleep()
    made = {
        "asleep": asleep,
        "timed out": wins.failed("A-4", reason=Reason.TIMED_OUT, error=""),
        "ended the transaction": wins.failed("A-5", reason=Reason.ENDED_TRANSACTION),
        "failed": order,
        "handled": handled,
        "reopened": reopened,
        "issued twice": doubled,
        "discarded": discarded,
        "pending": wins.pending("p"),
        "started": wins.started("s"),
        "success": wins.success("ok"),
    }
    pages = {name: f"{LIST}{message.pk}/change/" for name, message in made.items()}
    return {
        **pages,
        "queue": LIST,
        "queue of one's own": f"{LIST}?mine=1&order=turned",
        "saved views": f"{LIST}saved-views/",
        "empty": f"{LIST}?tab=discarded&consumer={ORDER}",
        "search": f"{LIST}?q=A-1",
        "audit": "/admin/outbox/auditentry/",
        "audit, nothing found": "/admin/outbox/auditentry/?about=nobody&from=2026-01-01&act=retry",
        **watching(order, lead),
    }


def watching(order: Message, lead: User) -> dict[str, str]:
    """Make the other pages' contents: a pause, an open breaker, failure groups, a day of measurements."""
    operate.pause(ISSUE, seen=None, actor=lead, reason="R", lasting=timedelta(hours=1))
    ConsumerState.objects.create(consumer=ORDER, breaker="open", canary=order.pk, probe_at=Now())
    group = failure_group(
        "vendor", stuck=2, failures=40, regressions=1, ticket="https://tracker.example/7", owner="ada"
    )
    attempt(Message.objects.latest("id"), 3, traceback="File till.py, line 7: " + "z" * 300)
    failure_group("drawer", state=GroupState.FIXED, stuck=1, consumer=ORDER)
    failure_group("printer", state=GroupState.IGNORED, ignored_up_to=1, failures=5, ticket="SHOP-7")
    belt = failure_group("belt", state=GroupState.WAITING, title="order <n> of <mail> is on no belt")
    FailureHour.objects.create(group=belt, hour=ThisHour() - 2, slot=1, count=7)
    merged = failure_group("buckle", stuck=1, failures=2)
    operate.merge_group(merged.pk, into=belt.pk, revision=0, actor=lead)
    failure_group("light", state=GroupState.INVESTIGATING)
    operate.set_group(group.pk, revision=0, was=GroupState.NEW, actor=lead, state=GroupState.NEW, note="N " * 90)
    for hours in range(5):
        at = timezone.now().replace(second=0, microsecond=0) - timedelta(hours=hours)
        MinuteStat.objects.create(minute=at, consumer=ISSUE, successes=900 * hours, failed=hours, snoozed=1)
    return {
        "home": "/admin/",
        "operations": "/admin/outbox/",
        "consumers": "/admin/outbox/consumerstate/",
        "paused": f"/admin/outbox/consumerstate/{ISSUE}/change/",
        "breaker open": f"/admin/outbox/consumerstate/{ORDER}/change/",
        "groups": "/admin/outbox/failuregroup/",
        "no groups": f"/admin/outbox/failuregroup/?tab=fixed&consumer={ISSUE}",
        "group": f"/admin/outbox/failuregroup/{group.pk}/change/",
        "group of several": f"/admin/outbox/failuregroup/{belt.pk}/change/",
        "queue of a group": f"{LIST}?tab=failed&group={group.pk}",
    }


OPEN_ALL = "for (const details of document.querySelectorAll('details:not([name])')) details.open = true"
CUT_OFF = """[...document.querySelectorAll('#content tbody :is(td, th)')]
    .filter(cell => cell.checkVisibility() && cell.getBoundingClientRect().right > innerWidth)
    .map(cell => cell.outerHTML.slice(0, 150))"""


def walk(page: Page, story: dict[str, str], look: Callable[[], Any], rules: str = ALL_RULES) -> dict[str, Any]:
    """Return what ``look`` finds wrong with the pages, by their names, and then axe, with all open that can be."""
    found = {}
    for name, path in story.items():
        page.goto(path)
        wrong = look()
        page.evaluate(OPEN_ALL)
        if wrong or (wrong := violations(page, rules)):
            found[name] = wrong
    return found


def test_axe_finds_nothing_on_any_page_in_the_light_and_in_the_dark(story: dict[str, str], open_page: Open) -> None:
    page = open_page(LIST)
    found = {}
    for name, path in story.items():
        page.goto(path)
        page.evaluate(OPEN_ALL)
        found[name] = violations(page)
        page.emulate_media(color_scheme="dark")
        found[f"{name}, dark"] = violations(page, COLOURS)
        page.emulate_media(color_scheme="light")

    assert {name: broken for name, broken in found.items() if broken} == {}


def test_a_phone_shows_every_page_without_scrolling_sideways_cuts_no_cell_off_and_pleases_axe(
    story: dict[str, str], open_page: Open
) -> None:
    page = open_page(LIST, **PHONE)

    def look() -> list[str]:
        width = page.evaluate("document.documentElement.scrollWidth")
        return [*page.evaluate(CUT_OFF), *([f"{width} wide"] if width > 390 else [])]

    assert walk(page, story, look) == {}


def test_a_chinese_desk_has_no_english_of_ours_and_pleases_axe(story: dict[str, str], open_page: Open) -> None:
    ours = {
        text
        for path in FILES
        for text in (strings_of_code(path) if path.suffix == ".py" else strings_of_template(path))
        if "%" not in text and len(text) > 4
    }
    page = open_page(LIST, locale="zh-CN")

    def look() -> list[str]:
        shown = page.locator("#content").inner_text() + page.locator("#footer").inner_text()
        return [text for text in ours if re.search(rf"(?<![\w.]){re.escape(text)}(?![\w.])", shown)]

    assert walk(page, story, look, ALL_BUT_COLOURS) == {}


def test_an_operator_works_through_the_queue_by_keyboard_alone(open_page: Open) -> None:
    first, second = wins.failed("1"), wins.failed("2")
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
    wins.failed()
    page = open_page(LIST)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Next, previous in the list")

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
    message = wins.failed()
    wins.failed("2")
    page = open_page(f"{LIST}{message.pk}/change/")

    page.get_by_label("Reason").first.fill("")
    page.get_by_label("Reason").first.press_sequentially("nu rj?/x")

    assert page.url.endswith(f"/{message.pk}/change/")
    expect(page.get_by_label("Reason").first).to_have_value("nu rj?/x")


def test_times_are_shown_in_the_reader_s_own_zone_with_utc_in_the_tooltip(open_page: Open) -> None:
    message = wins.pending()
    Message.objects.filter(pk=message.pk).update(created_at="2026-01-05T12:00:00Z")

    page = open_page(f"{LIST}{message.pk}/change/", timezone_id="Asia/Shanghai", locale="en-GB")

    shown = page.locator('time[datetime="2026-01-05T12:00:00.000+00:00"]').first
    expect(shown).to_contain_text("8:00:00")
    expect(shown).to_have_attribute("title", "2026-01-05 12:00:00 UTC")


def test_selected_messages_go_through_the_reason_page(open_page: Open) -> None:
    wins.failed("1")
    wins.failed("2")
    page = open_page(LIST)
    expect(page.get_by_role("button", name="Retry selected messages")).to_be_disabled()

    page.get_by_label("Select all messages on this page").check()
    page.get_by_role("button", name="Retry selected messages").click()
    page.get_by_label("Reason").fill("the till is mended")
    page.get_by_role("button", name="Retry now").click()

    expect(page.locator(".messagelist")).to_contain_text("2 messages are pending again")


def test_a_conflict_keeps_what_was_typed(open_page: Open) -> None:
    message = wins.failed()
    page = open_page(f"{LIST}{message.pk}/change/")
    operate.discard(message.pk, revision=0, actor="ada", reason="a test campaign")

    page.get_by_label("Reason").first.fill("my long explanation")
    page.get_by_role("button", name="Retry now").click()

    expect(page.locator(".errornote")).to_contain_text("ada discarded the message since you looked")
    expect(page.get_by_label("Reason").first).to_have_value("my long explanation")


def test_the_link_of_a_message_is_copied_by_button_and_by_key(open_page: Open) -> None:
    message = wins.failed("1")
    page = open_page(f"{LIST}{message.pk}/change/?_changelist_filters=tab%3Dfailed")
    link = page.url.partition("?")[0]
    read = "navigator.clipboard.readText()"
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])

    page.get_by_role("button", name="Copy the link").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate(read) == link

    page.evaluate("navigator.clipboard.writeText('')")
    page.keyboard.press("c")
    page.wait_for_function(f"{read}.then(text => text.endsWith('/change/'))")


def test_one_takes_a_message_by_keyboard_and_saves_the_queue_of_ones_own(open_page: Open) -> None:
    message = wins.failed("1")
    page = open_page(f"{LIST}{message.pk}/change/")

    page.keyboard.press("i")
    page.keyboard.type("asked the vendor")
    page.get_by_role("button", name="I see to it").click()
    expect(page.get_by_text("Written down.")).to_be_visible()
    expect(page.locator(".desk-said", has_text="asked the vendor")).to_be_visible()
    page.goto(f"{LIST}?mine=1")
    page.keyboard.press("s")
    page.get_by_label("Name").fill("mine")
    page.locator(".desk-views").get_by_role("button", name="Save").click()

    expect(page.get_by_role("link", name="mine", exact=True)).to_have_attribute("aria-current", "page")
    assert page.url.endswith("?mine=1")
    expect(page.get_by_text("lead sees to it")).to_be_visible()
