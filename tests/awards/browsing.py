"""A real browser for the tests that need one, and what it is asked about a page."""

import os
import shutil

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from django.test import override_settings
from playwright.sync_api import Page, sync_playwright

__all__ = ["LOOKS", "browser", "complaints", "over_http", "page"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Without preload, as axe would fetch every style sheet and put it into the page, which our policy forbids.
AXE = """async () => (await axe.run({
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], preload: false,
})).violations"""
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


def complaints(page: Page) -> tuple[list[str], int]:
    """Return what axe finds on the page, and by how many pixels the page is wider than the screen."""
    page.evaluate(AXE_FILE_PATH.read_text())
    violations = [f"{each['id']}: {each['nodes'][0]['html']}" for each in page.evaluate(AXE)]
    return violations, max(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"), 0)
