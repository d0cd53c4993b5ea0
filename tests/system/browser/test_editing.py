"""Editing a payload in a real browser: by keyboard, on a phone, in the dark, in Chinese."""

import pytest
from django.contrib.auth.models import Permission, User
from playwright.sync_api import expect

from outbox.models import Message
from tests.harness.browsing import LOOKS, PHONE, Open, complaints, violations, violations_in_each_look
from tests.harness.desk import failure_group, wins
from tests.harness.rows import all_is_well

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
MAY = ["edit_payload", "view_payload", "bulk_message", "view_bulkoperation", "retry_message"]


@pytest.fixture
def lead(lead: User) -> User:
    lead.user_permissions.add(*Permission.objects.filter(codename__in=MAY))
    return User.objects.get(pk=lead.pk)


def test_a_payload_is_edited_by_the_keyboard_and_seen_before_it_is_retried(open_page: Open) -> None:
    all_is_well()
    message = wins.failed("7")
    page = open_page(f"/admin/outbox/message/{message.pk}/change/")

    assert violations(page) == []
    page.keyboard.press("e")
    page.get_by_label("Payload").fill('{"award": 17, "winner": "bob@example.com"}')
    page.get_by_label("Reason").fill("a typing error")
    page.get_by_role("button", name="Show what it changes").click()
    row = page.get_by_role("row", name="winner")
    expect(row.locator("del")).to_have_text('"ada@example.com"')
    expect(row.locator("ins")).to_have_text('"bob@example.com"')
    page.get_by_role("button", name="Edit and retry").click()

    expect(page.get_by_text("Edited, and pending again")).to_be_visible()
    assert Message.objects.get().payload == {"award": 17, "winner": "bob@example.com"}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_every_step_of_an_edit_pleases_axe_and_fits_the_screen(open_page: Open, look: dict[str, object]) -> None:
    all_is_well()
    message = wins.failed("7", payload={"award": 17, "address": {"street": "a very long street " * 8}})
    address = f"/admin/outbox/message/{message.pk}/edit/"

    page = open_page(address, **look)
    assert complaints(page) == ([], 0)
    page.locator("textarea[name=payload]").fill('{\n"award" 17}')
    page.locator("textarea[name=reason]").fill("x")
    page.locator("button[value=preview]").click()
    expect(page.locator(".desk-field-error")).to_be_visible()
    assert complaints(page) == ([], 0)
    page.locator("textarea[name=payload]").fill('{"award": 18, "address": {"street": "Elm"}}')
    page.locator("button[value=preview]").click()
    expect(page.locator(".desk-changes")).to_be_visible()
    assert complaints(page) == ([], 0)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_the_change_of_a_set_and_its_preview_do_as_well(open_page: Open, look: dict[str, object]) -> None:
    all_is_well()
    group = failure_group("jam", stuck=3)

    page = open_page(f"/admin/outbox/failuregroup/{group.pk}/change/", **look)
    page.locator("button[value=edit]").click()
    expect(page.locator("textarea[name=rename]")).to_be_visible()
    assert complaints(page) == ([], 0)
    page.locator("textarea[name=rename]").fill("winner = person")
    page.locator("textarea[name=set]").fill("city = Bonn")
    page.locator("form button.default").click()
    expect(page.locator(".desk-field-error")).to_be_visible()
    assert violations_in_each_look(page) == []
    page.locator("textarea[name=set]").fill('city = "Bonn"')
    page.locator("form button.default").click()
    expect(page.locator("[data-act=bulk_start]")).to_be_visible()
    assert complaints(page) == ([], 0)


def test_from_the_group_to_the_edited_set_on_a_phone(open_page: Open) -> None:
    all_is_well()
    group = failure_group("jam", stuck=3)
    page = open_page(f"/admin/outbox/failuregroup/{group.pk}/change/", **PHONE)

    page.get_by_role("button", name="Edit and retry all…").tap()
    page.get_by_label("Rename keys").fill("winner = person")
    page.get_by_role("button", name="Preview").tap()

    expect(page.get_by_text("rename “winner” to “person”")).to_be_visible()
    expect(page.get_by_text("Preview: nothing has been done yet.")).to_be_visible()
