"""A real browser: pages under the site's own content security policy, and what axe has to say about them."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from django.contrib.auth.models import User
from django.test import Client, override_settings
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from pytest_django.live_server_helper import LiveServer

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")
"""The first is the same without windows, and a page costs a quarter of the processor's time."""
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESKTOP: ViewportSize = {"width": 1200, "height": 900}
SMALL: ViewportSize = {"width": 390, "height": 800}
LOOKS: dict[str, dict[str, Any]] = {
    "desktop, then dark phone": {"viewport": DESKTOP},
    "chinese phone": {"viewport": SMALL, "locale": "zh-CN"},
}
"""How a page is opened to be looked at; from a desktop to a phone in the dark no load is needed: see ``each_look``."""
# Without preload, as axe would fetch every style sheet and put it into the page, which our policy forbids.
AXE = "async () => (await axe.run({{{rules}, preload: false, resultTypes: ['violations']}})).violations"
ALL_RULES = "runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']"
COLOURS = "runOnly: ['color-contrast']"
ALL_BUT_COLOURS = f"{ALL_RULES}, rules: {{'color-contrast': {{enabled: false}}}}"
"""That of colours takes half of the time, and there are two sets of colours: by day and in the dark."""
STILL = """() => Promise.all(document.getAnimations().filter(each => each.effect.getComputedTiming().endTime <= 1000)
    .map(each => each.finished.catch(() => null)))"""
"""Waits for what fades and slides; a colour in between is no colour of the page's."""

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium; Playwright's loop then runs in this thread, which Django would take for async code."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium, which is not installed")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, live_server: LiveServer) -> Iterator[Page]:
    """A page of a stranger, who is signed in nowhere."""
    context = browser.new_context(base_url=live_server.url)
    yield context.new_page()
    context.close()


@pytest.fixture(autouse=True)
def over_http() -> Iterator[None]:
    """Let cookies travel without TLS, which the test's server does not speak."""
    with override_settings(SESSION_COOKIE_SECURE=False, CSRF_COOKIE_SECURE=False):
        yield


@pytest.fixture
def open_page(browser: Browser, live_server: LiveServer, lead: User) -> Iterator[Open]:
    """Open a page as the lead; at the end nothing may have been refused by the content security policy.

    ``forgive`` lets the browser complain, where what is tested is something that fails.
    """
    complaints: list[str] = []
    contexts = []

    def listen(message: Any) -> None:
        if message.type == "error":
            complaints.append(message.text)

    def open_page(path: str, *, user: User = lead, forgive: bool = False, **how: Any) -> Page:
        client = Client()
        client.force_login(user)
        context = browser.new_context(base_url=live_server.url, **how)
        contexts.append(context)
        cookie = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
        page = context.new_page()
        if not forgive:
            page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def violations(page: Page, rules: str = ALL_RULES) -> list[str]:
    """Return what axe finds on the page: each broken rule with where it is broken."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_FILE_PATH.read_text())
    page.evaluate(STILL)
    found = page.evaluate(AXE.format(rules=rules))
    return [f"{each['id']}: {[node['html'][:150] for node in each['nodes']]}" for each in found]


def each_look(page: Page) -> Iterator[str]:
    """Take the looks that the page has without another load, and yield which of axe's rules hang on each.

    What was opened on a desktop becomes a phone in the dark, where the colours are others. What a phone shows, and what
    it does not, the Chinese phone has as well.
    """
    yield ALL_BUT_COLOURS if page.viewport_size == SMALL else ALL_RULES
    if page.viewport_size == DESKTOP:
        page.set_viewport_size(SMALL)
        page.emulate_media(color_scheme="dark")
        yield COLOURS
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(DESKTOP)


def violations_in_each_look(page: Page) -> list[str]:
    """Return what axe finds on the page in each of its looks."""
    return [found for rules in each_look(page) for found in violations(page, rules)]


def complaints(page: Page) -> tuple[list[str], int]:
    """Return what axe finds on the page, and by how many pixels it is wider than the screen, in each of its looks."""
    found, wider = [], 0
    for rules in each_look(page):
        found += violations(page, rules)
        wider = max(wider, page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))
    return found, wider
