"""Operations in a real browser: it reads itself again, says when it cannot, and takes nothing from one's hands."""

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect

from outbox.admin.operations import page as operations_page
from outbox.models import ConsumerState, Heartbeat
from tests.harness.browsing import PHONE, Open
from tests.harness.desk import ISSUE, wins

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
HOME = "/admin/outbox/"


@pytest.fixture(autouse=True)
def every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations_page, "EVERY_SECONDS", 1)
    for name in ("rescan", "prune", "rollup", "alerts", "audit"):
        Heartbeat.objects.create(name=name)


def test_it_reads_itself_again_and_tells_those_who_listen(open_page: Open) -> None:
    page = open_page(HOME)
    expect(page.locator("#desk-health")).to_have_text("Everything is in order.")
    expect(page.locator("[data-refresh-on]")).to_be_visible()

    wins.failed()

    expect(page.locator("#desk-health")).to_have_text("1 thing wants a look.")
    expect(page.locator("[data-refresh-said]")).to_have_text("1 thing wants a look.")
    expect(page.locator("[data-refresh-stale]")).to_be_hidden()


def test_what_one_has_opened_and_where_one_is_stay_as_they_are(open_page: Open) -> None:
    page = open_page(HOME)
    page.get_by_text("The figures as a table").click()
    page.get_by_role("link", name=f"Pause {ISSUE}").focus()
    before = page.locator(".desk-taken time").get_attribute("datetime") or ""

    expect(page.locator(".desk-taken time")).not_to_have_attribute("datetime", before)

    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == f"Pause {ISSUE}"
    expect(page.get_by_role("columnheader", name="Hour")).to_be_visible()


def test_times_stay_in_the_reader_s_zone_when_it_is_read_again(open_page: Open) -> None:
    page = open_page(HOME, timezone_id="Asia/Shanghai", locale="en-GB")
    stamp = page.locator(".desk-taken time")
    before = stamp.get_attribute("datetime") or ""
    expect(stamp).not_to_have_attribute("datetime", before)

    now, text = stamp.evaluate("time => [time.dateTime, time.textContent]")
    hour = (int(now[11:13]) + 8) % 12 or 12
    assert f"{hour}:{now[14:16]}:{now[17:19]}" in text


def test_whoever_was_signed_out_is_told_that_the_figures_are_old(open_page: Open) -> None:
    page = open_page(HOME, forgive=True)

    Session.objects.all().delete()

    expect(page.locator("[data-refresh-stale]")).to_be_visible(timeout=10_000)
    expect(page.locator("[data-refresh-stale]")).to_contain_text("These figures are old")


def test_nobody_is_read_to_who_does_not_look(open_page: Open) -> None:
    page = open_page(HOME)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.evaluate("Object.defineProperty(document, 'visibilityState', {value: 'hidden'})")
    page.wait_for_timeout(2_500)

    assert [url for url in asked if url.endswith(HOME)] == []


def test_without_a_script_the_page_is_whole_and_reloads_itself(open_page: Open) -> None:
    wins.failed()

    page = open_page(HOME, java_script_enabled=False)

    expect(page.locator("#desk-health")).to_have_text("1 thing wants a look.")
    expect(page.locator("[data-refresh-on]")).to_be_hidden()
    assert page.locator("noscript meta[http-equiv=refresh]").count() == 1


@pytest.mark.parametrize("how", [{}, PHONE], ids=["desktop", "phone"])
def test_a_consumer_is_paused_and_resumed_from_operations(how: dict[str, object], open_page: Open) -> None:
    page = open_page(HOME, **how)

    _act(page, f"Pause {ISSUE}", "Pause the consumer")
    assert ConsumerState.objects.paused().get().paused_by == "lead"
    page.goto(HOME)
    _act(page, f"Resume {ISSUE}", "Resume the consumer")

    assert not ConsumerState.objects.paused().exists()


def test_somebody_signs_in_and_lands_on_operations(open_page: Open) -> None:
    page = open_page(HOME)
    page.context.clear_cookies()

    page.goto("/admin/")
    page.get_by_label("Username").fill("lead")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Log in").click()

    expect(page.locator("#desk-health")).to_have_text("Everything is in order.")


def _act(page: Page, link: str, button: str) -> None:
    page.get_by_role("link", name=link).click()
    page.get_by_label("Reason").first.fill("stocktaking")
    page.get_by_role("button", name=button).click()
    expect(page.locator(".messagelist")).to_be_visible()
