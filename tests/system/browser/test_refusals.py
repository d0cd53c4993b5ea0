"""Error pages, the login after a session that has ended and the lock-out in a real browser: readable for everybody."""

from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect

from outbox.admin.messages import detail
from outbox.models import Message
from tests.harness.browsing import LOOKS, Open, complaints
from tests.harness.desk import page_of, user, wins

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LIST = "/admin/outbox/message/"


def show_403(page: Page) -> None:
    page.goto(LIST)


def show_404(page: Page) -> None:
    page.goto("/admin/nothing/of/the/kind/")


def show_500(page: Page) -> None:
    with mock.patch.object(detail, "find_message", side_effect=RuntimeError("no such luck")):
        page.goto(page_of(wins.failed()))


def show_csrf(page: Page) -> None:
    page.goto(page_of(wins.failed()))
    page.context.clear_cookies(name="csrftoken")
    page.locator("details[open] textarea").fill("typed")
    page.locator("details[open] button[type=submit]").click()


STATES = {"403": show_403, "404": show_404, "500": show_500, "csrf": show_csrf}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("state", STATES)
def test_an_error_page_pleases_axe_and_fits_the_screen(open_page: Open, state: str, look: Any) -> None:
    who = user("nora") if state == "403" else User.objects.create_superuser("lead2")
    page = open_page("/admin/", user=who, forgive=True, **look)

    STATES[state](page)

    assert complaints(page) == ([], 0)


def log_in(page: Page, name: str) -> None:
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Log in").click()


def test_what_was_typed_is_there_after_the_login(open_page: Open, lead: User) -> None:
    message = wins.failed()
    page = open_page(page_of(message))
    page.get_by_label("Reason").first.fill("the vendor wrote at 03:10 that it is mended")
    Session.objects.all().delete()

    page.get_by_role("button", name="Retry now").click()
    page.wait_for_url("**/login/**")
    assert "vendor" not in page.url
    log_in(page, "lead")

    expect(page.locator(".messagelist")).to_contain_text("Nothing was done")
    expect(page.get_by_label("Reason").first).to_have_value("the vendor wrote at 03:10 that it is mended")
    assert Message.objects.get().status == "failed"
    page.get_by_role("button", name="Retry now").click()
    expect(page.locator(".messagelist")).to_contain_text("Pending again")


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_the_lock_out_pleases_axe_and_fits_the_screen(open_page: Open, look: Any) -> None:
    page = open_page("/admin/", forgive=True, **look)
    page.context.clear_cookies()
    for _n in range(5):
        page.goto("/admin/login/")
        page.locator("#id_username").fill("ada")
        page.locator("#id_password").fill("wrong")
        page.locator("[type=submit]").last.click()

    expect(page.locator("h1")).to_be_visible()
    assert complaints(page) == ([], 0)
