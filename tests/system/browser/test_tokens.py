"""API tokens in a real browser: made, shown once, revoked; on a phone, in the dark and in Chinese."""

import pytest
from django.contrib.auth.models import Permission, User
from playwright.sync_api import expect

from outbox.models import ApiToken
from tests.harness.api import program_of
from tests.harness.browsing import LOOKS, Open, complaints
from tests.harness.desk import page_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LIST, MAKE = "/admin/outbox/apitoken/", "/admin/outbox/apitoken/make/"


@pytest.fixture(autouse=True)
def may_manage(lead: User) -> None:
    lead.user_permissions.add(*Permission.objects.filter(codename__in=["view_apitoken", "manage_apitoken"]))


def test_a_token_is_made_shown_and_revoked(open_page: Open) -> None:
    page = open_page(LIST)
    page.get_by_role("link", name="Make one").click()
    page.get_by_label("Name").fill("night job")
    page.get_by_label("read messages").check()
    page.get_by_label("Reason").fill("retries at night")
    page.get_by_role("button", name="Make the token").click()
    expect(page.locator(".desk-json")).to_contain_text(ApiToken.objects.get().prefix)
    assert complaints(page) == ([], 0)

    page.get_by_role("link", name="Open the token").click()
    page.locator("summary", has_text="Revoke").click()
    page.get_by_label("Reason").fill("the laptop is lost")
    page.get_by_role("button", name="Revoke the token").click()

    expect(page.get_by_text("Revoked: nobody gets in with it any more.")).to_be_visible()
    assert ApiToken.objects.get().revoked_by == "lead"


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_nothing_is_wrong_with_any_page(open_page: Open, lead: User, look: dict[str, object]) -> None:
    token = program_of(lead).token
    program_of(lead, name="another with a name that is as long as a name may be, or so")

    page, found = open_page(LIST, **look), {}
    for path in (LIST, MAKE, page_of(token)):
        page.goto(path)
        found[path] = complaints(page)

    assert {path: wrong for path, wrong in found.items() if wrong != ([], 0)} == {}
