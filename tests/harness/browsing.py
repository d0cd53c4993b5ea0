"""A real browser: pages under the site's own content security policy, and what axe has to say about them."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from django.contrib.auth.models import User
from django.test import Client, override_settings
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LOOKS = [
    {"viewport": {"width": 1200, "height": 900}},
    {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"},
    {"viewport": {"width": 390, "height": 800}, "locale": "zh-CN"},
]
# Without preload, as axe would fetch every style sheet and put it into the page, which our policy forbids.
AXE = """async () => (await axe.run({
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], preload: false,
})).violations"""

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


def violations(page: Page) -> list[str]:
    """Return what axe finds on the page: each broken rule with where it is broken."""
    page.evaluate(AXE_FILE_PATH.read_text())
    return [f"{each['id']}: {[node['html'][:150] for node in each['nodes']]}" for each in page.evaluate(AXE)]


def complaints(page: Page) -> tuple[list[str], int]:
    """Return what axe finds on the page, and by how many pixels the page is wider than the screen."""
    return violations(page), max(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"), 0)
