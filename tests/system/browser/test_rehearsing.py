"""The result of a rehearsal in a real browser: readable for everybody, on a phone, in the dark, in Chinese."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from playwright.sync_api import expect

from outbox.models import BulkOperation, BulkRehearsal, Message
from outbox.rehearsal import background, whole_sets
from tests.harness.browsing import LOOKS, Open, complaints
from tests.harness.bulk import prepared
from tests.harness.messages import publish_failed

pytestmark = [pytest.mark.browser, pytest.mark.services, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def lead(lead: User) -> User:
    lead.user_permissions.add(*Permission.objects.filter(codename__in=["bulk_message", "view_bulkoperation"]))
    return User.objects.get(pk=lead.pk)


def failed(do: str = "") -> Message:
    return Message.objects.get(pk=publish_failed("shop.tried", do=do))


def one() -> Message:
    return failed("fail")


def set_of_five() -> BulkOperation:
    for do in ["", "", "fail at COMMIT", "fail at COMMIT", "fail"]:
        failed(do)
    return prepared()


def begun() -> BulkOperation:
    """Have a set wait for a worker, which none of these tests starts."""
    operation = set_of_five()
    whole_sets.start(operation.pk, actor="ada")
    return operation


def under_way() -> BulkOperation:
    operation = begun()
    background.take()
    results = {"shop.try_out": {"counts": {"success": 2}, "groups": [], "together": None}}
    BulkRehearsal.objects.update(done=2, ran_seconds=90, results=results)
    return operation


def over() -> BulkOperation:
    operation = begun()
    taken = background.take()
    assert taken is not None
    background.play(taken)
    Message.objects.filter(pk=Message.objects.values("pk")[:1]).update(revision=1)
    return operation


def stopped() -> BulkOperation:
    operation = under_way()
    whole_sets.stop(BulkRehearsal.objects.get().pk, actor="ben")
    return operation


def test_what_a_rehearsal_of_a_message_has_found_is_readable_everywhere(open_page: Open) -> None:
    row = one()
    for look in LOOKS.values():
        page = open_page(f"/admin/outbox/message/{row.pk}/change/", **look)
        page.locator("button[value=rehearse]").click()
        expect(page.locator(".desk-rehearsed").first).to_be_visible(timeout=60_000)

        assert complaints(page) == ([], 0)


@pytest.mark.parametrize(
    "make", [set_of_five, begun, under_way, over, stopped], ids=lambda make: make.__name__.replace("_", " ")
)
def test_every_state_of_a_set_s_rehearsal_is_readable_everywhere(make: Any, open_page: Open) -> None:
    row = make()
    for look in LOOKS.values():
        page = open_page(f"/admin/outbox/bulkoperation/{row.pk}/change/", **look)
        expect(page.locator("#desk-rehearsal")).to_be_visible()

        assert complaints(page) == ([], 0)


def test_the_page_follows_a_rehearsal_while_it_is_open(open_page: Open) -> None:
    row = under_way()
    page = open_page(f"/admin/outbox/bulkoperation/{row.pk}/change/")
    expect(page.locator(".desk-rehearsed")).to_contain_text("2 of 5 rehearsed")

    BulkRehearsal.objects.update(done=4)

    expect(page.locator(".desk-rehearsed")).to_contain_text("4 of 5 rehearsed")
    page.get_by_role("button", name="Stop the rehearsal").click()
    expect(page.locator(".desk-rehearsed")).to_contain_text("lead has stopped it. 4 of 5 rehearsed.")


def test_a_key_leads_to_the_button_and_the_focus_stays_while_the_page_is_read_again(open_page: Open) -> None:
    row = under_way()
    page = open_page(f"/admin/outbox/bulkoperation/{row.pk}/change/")
    page.keyboard.press("e")

    BulkRehearsal.objects.update(done=4)
    expect(page.locator(".desk-rehearsed")).to_contain_text("4 of 5 rehearsed")
    page.keyboard.press("Enter")

    expect(page.locator(".desk-rehearsed")).to_contain_text("lead has stopped it. 4 of 5 rehearsed.")
