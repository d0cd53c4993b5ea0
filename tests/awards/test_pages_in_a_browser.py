"""The public pages in a real browser: no violation of the policy, nothing for axe to find, and the script's manners."""

import os
import shutil

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from django.test import override_settings
from playwright.sync_api import sync_playwright

from awards.consumers import issue_points
from awards.models import Draw
from tests.awards.given import Sequence, a_campaign, a_draw, a_gift, message_of, points

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = "async () => (await axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})).violations"
LOOKS = [
    {"viewport": {"width": 1200, "height": 900}},
    {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"},
    {"viewport": {"width": 390, "height": 800}, "locale": "zh-CN"},
]


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("needs Chromium, which is not installed")
    # Playwright's synchronous interface runs a loop in this thread; the tests use the database from it all the same.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def page(browser, live_server):
    context = browser.new_context(base_url=live_server.url)
    yield context.new_page()
    context.close()


@pytest.fixture(autouse=True)
def over_http():
    with override_settings(SESSION_COOKIE_SECURE=False, CSRF_COOKIE_SECURE=False):
        yield


@pytest.mark.parametrize("look", LOOKS, ids=["desktop", "phone-dark", "phone-chinese"])
def test_every_page_keeps_the_policy_pleases_axe_and_fits_the_screen(browser, live_server, look):
    campaign = a_campaign(losing_weight=1, description="Come one, come all.")
    a_gift(campaign, name="A prize with a name that is a good deal longer than most", stock=3)
    points(campaign)
    won, lost = a_draw(campaign), a_draw(campaign, luck=Sequence(0))
    issued = a_draw(campaign)
    issue_points(message_of(issued.award))
    a_campaign("over", active=False)
    draws = [f"/draws/{drawn.public_id}/" for drawn in (won, lost, issued)]
    context = browser.new_context(base_url=live_server.url, **look)
    page, said, found = context.new_page(), [], {}
    page.on("console", lambda message: said.append(message.text))

    for path in ["/", "/campaigns/raffle/", "/campaigns/over/", *draws]:
        page.goto(path)
        page.wait_for_timeout(600)
        page.evaluate(AXE_FILE_PATH.read_text())
        violations = [f"{each['id']}: {each['nodes'][0]['html']}" for each in page.evaluate(AXE)]
        too_wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        found[path] = (violations, max(too_wide, 0))
    context.close()

    assert found == dict.fromkeys(found, ([], 0))
    assert said == []


def test_a_double_click_draws_once_and_the_result_changes_by_itself(page):
    points(a_campaign())
    page.goto("/campaigns/raffle/")
    page.get_by_label("Your e-mail address or name").fill("anna@example.com")

    page.get_by_role("button", name="Draw").dblclick()
    page.wait_for_url("**/draws/**")
    page.get_by_text("On its way").wait_for()
    issue_points(message_of(Draw.objects.get().award))
    page.get_by_text("50 points are in your account.").wait_for(timeout=20_000)

    assert Draw.objects.count() == 1


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
