"""The public pages in a real browser: no violation of the policy, nothing for axe to find, and the script's manners."""

import re
from urllib.parse import quote

import pytest
from django.db import transaction
from playwright.sync_api import expect

from awards.claims import expiry
from awards.consumers import issue_points
from awards.models import Draw
from outbox.testing import deliver_pending
from tests.awards.claims.given import ANNA, a_claimable, let_time_pass
from tests.awards.clients.given import a_closed_campaign, a_link, an_entitlement
from tests.awards.given import Sequence, a_campaign, a_coupon_prize, a_draw, a_gift, hand_out, message_of, points
from tests.harness.browsing import LOOKS, browser, complaints, over_http, page

__all__ = ["browser", "over_http", "page"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_every_page_keeps_the_policy_pleases_axe_and_fits_the_screen(browser, live_server, look):
    campaign = a_campaign(losing_weight=1, description="Come one, come all.")
    a_gift(campaign, name="A prize with a name that is a good deal longer than most", stock=3)
    points(campaign)
    won, lost = a_draw(campaign), a_draw(campaign, luck=Sequence(0))
    issued = a_draw(campaign)
    issue_points(message_of(issued.award))
    a_campaign("over", active=False)
    vouchers = a_campaign("vouchers")
    a_coupon_prize(vouchers, codes=1)
    coupon = a_draw(vouchers)
    hand_out(coupon.award)
    unclaimed, over, expired = (a_claimable() for _ in range(3))
    for late in (over, expired):
        let_time_pass(late)
    with transaction.atomic():
        expiry.expire(expired.pk)
    claims = [award.draw for award in (unclaimed, over, expired)]
    draws = [f"/draws/{drawn.public_id}/" for drawn in (won, lost, issued, coupon, *claims)]
    earned = a_closed_campaign("earned")
    points(earned)
    links = ["/campaigns/earned/", f"/campaigns/earned/?link={quote(a_link(an_entitlement(earned)))}"]
    context = browser.new_context(base_url=live_server.url, **look)
    page, said, found = context.new_page(), [], {}
    page.on("console", lambda message: said.append(message.text))

    for path in ["/", "/campaigns/raffle/", "/campaigns/over/", *links, *draws]:
        page.goto(path)
        found[path] = complaints(page)
    context.close()

    assert found == dict.fromkeys(found, ([], 0))
    assert said == []


def test_a_winner_says_on_a_phone_where_the_gift_goes(browser, live_server):
    award = a_claimable()
    context = browser.new_context(base_url=live_server.url, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(f"/draws/{award.draw.public_id}/")

    for label, text in (("Name", ANNA.name), ("Street and number", ANNA.street), ("Postcode", "?")):
        page.get_by_label(label).fill(text)
    page.get_by_label("Town").fill(ANNA.city)
    page.get_by_label("Country").fill(ANNA.country)
    page.get_by_role("button", name="Claim it").click()
    expect(page.get_by_text("This is no postcode.")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value(ANNA.name)
    page.get_by_label("Postcode").fill(ANNA.postcode)
    page.get_by_role("button", name="Claim it").click()

    expect(page.get_by_text("On its way")).to_be_visible()
    context.close()


def test_of_two_tabs_the_second_is_told_that_the_first_one_stands_and_then_shows_by_itself_what_is_issued(
    browser, live_server, vendor
):
    award = a_claimable()
    context = browser.new_context(base_url=live_server.url, viewport={"width": 390, "height": 800})
    first, second = context.new_page(), context.new_page()
    for tab, town in ((first, "Leipzig"), (second, "Bonn")):
        tab.goto(f"/draws/{award.draw.public_id}/")
        for label, text in (("Name", ANNA.name), ("Street and number", ANNA.street), ("Postcode", ANNA.postcode)):
            tab.get_by_label(label).fill(text)
        tab.get_by_label("Town").fill(town)
        tab.get_by_label("Country").fill(ANNA.country)

    first.get_by_role("button", name="Claim it").click()
    expect(first.get_by_text("It goes to A…, Leipzig, Germany")).to_be_visible()
    second.get_by_role("button", name="Claim it").click()
    expect(second.get_by_role("alert")).to_contain_text("claimed for another address")
    found = complaints(second)
    deliver_pending("awards.order_gift")

    expect(second.get_by_text("It has been ordered for you")).to_be_visible(timeout=20_000)
    expect(second.get_by_text("It goes to A…, Leipzig, Germany")).to_be_visible()
    second.get_by_role("button", name="简体中文").click()
    expect(second.get_by_text("寄往")).to_be_visible()
    context.close()
    assert found == ([], 0)


def test_a_double_click_draws_once_and_the_result_changes_by_itself(page):
    points(a_campaign())
    page.goto("/campaigns/raffle/")
    page.get_by_label("Your e-mail address or name").fill("anna@example.com")

    page.get_by_role("button", name="Draw").dblclick()
    page.wait_for_url("**/draws/**")
    page.get_by_text("On its way").wait_for()
    page.evaluate("window.stillTheSamePage = true")
    issue_points(message_of(Draw.objects.get().award))
    page.get_by_role("status").get_by_text("50 points are in your account.").wait_for(timeout=20_000)

    assert Draw.objects.count() == 1
    assert page.evaluate("window.stillTheSamePage")
    expect(page.get_by_text("On its way")).to_have_count(0)


def test_a_draw_that_is_under_way_says_so(page):
    points(a_campaign())
    page.goto("/campaigns/raffle/")
    page.evaluate("document.querySelector('form.draw').addEventListener('submit', (event) => event.preventDefault())")
    page.get_by_label("Your e-mail address or name").fill("anna")

    page.get_by_role("button", name="Draw", exact=True).click()

    expect(page.get_by_role("button", name="Drawing…")).to_have_attribute("aria-disabled", "true")


def test_a_code_appears_by_itself_and_can_be_copied(browser, live_server):
    campaign = a_campaign()
    a_coupon_prize(campaign, codes=1)
    drawn = a_draw(campaign)
    context = browser.new_context(base_url=live_server.url, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"/draws/{drawn.public_id}/")
    hand_out(drawn.award)

    page.get_by_role("button", name="Copy").click(timeout=20_000)
    page.get_by_role("button", name="Copied").wait_for()

    assert page.evaluate("navigator.clipboard.readText()") == "CODE-0001-ABCD"
    context.close()


@pytest.mark.parametrize(("motion", "confetti"), [("no-preference", 1), ("reduce", 0)])
def test_a_prize_is_celebrated_once_and_not_at_all_for_who_wants_no_motion(browser, live_server, motion, confetti):
    campaign = a_campaign()
    points(campaign)
    drawn = a_draw(campaign)
    context = browser.new_context(base_url=live_server.url, reduced_motion=motion)
    page = context.new_page()

    page.goto(f"/draws/{drawn.public_id}/")
    first = page.locator(".confetti").count()
    page.reload()
    again = page.locator(".confetti").count()
    context.close()

    assert (first, again) == (confetti, 0)


@pytest.mark.parametrize("path", ["/", "/campaigns/raffle/", "/campaigns/over/", "claim"])
def test_times_are_told_where_the_reader_is_and_name_their_zone_with_utc_in_the_tooltip(browser, live_server, path):
    points(a_campaign(ends_at="2099-01-05T12:00:00Z"))
    a_campaign("over", ends_at="2025-01-05T12:00:00Z", starts_at="2025-01-01T12:00:00Z")
    context = browser.new_context(base_url=live_server.url, timezone_id="Asia/Shanghai", locale="en-GB")
    page = context.new_page()
    page.goto(f"/draws/{a_claimable().draw.public_id}/" if path == "claim" else path)

    moment = page.locator("time").first
    expect(moment).to_contain_text(re.compile(r"20\d\d.*\d:\d\d.*GMT\+8"))
    expect(moment).to_have_attribute("title", re.compile(r"\d\d:\d\d UTC$"))
    context.close()


def test_without_javascript_one_can_draw_and_look_again(browser, live_server):
    points(a_campaign())
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/campaigns/raffle/")

    page.get_by_label("Your e-mail address or name").fill("anna")
    page.get_by_label("Your e-mail address or name").press("Enter")
    page.get_by_text("On its way").wait_for()
    issue_points(message_of(Draw.objects.get().award))
    page.get_by_role("link", name="Look again").click()
    page.get_by_text("50 points are in your account.").wait_for()
    context.close()

    assert Draw.objects.count() == 1


def test_the_language_switch_stays_on_the_page(page):
    points(a_campaign())
    page.goto("/campaigns/raffle/")

    page.get_by_role("button", name="简体中文").click()
    page.get_by_role("button", name="抽奖").wait_for()

    assert page.url.endswith("/campaigns/raffle/")
