"""The result of a rehearsal in a real browser: readable for everybody, on a phone, in the dark, in Chinese."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from playwright.sync_api import expect

from outbox.models import BulkOperation, Message
from tests.harness.browsing import LOOKS, Open, complaints, violations
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


def many() -> BulkOperation:
    for do in ["", "", "fail at COMMIT", "fail at COMMIT", "fail"]:
        failed(do)
    return prepared()


@pytest.mark.parametrize("make", [one, many], ids=lambda make: make.__name__)
def test_what_a_rehearsal_has_found_is_readable_everywhere(make: Any, open_page: Open) -> None:
    row = make()
    for look in LOOKS:
        page = open_page(f"/admin/outbox/{row._meta.model_name}/{row.pk}/change/", **look)
        page.locator("button[value=rehearse]").click()
        expect(page.locator(".desk-rehearsed").first).to_be_visible(timeout=60_000)

        assert violations(page) == []
        assert complaints(page) == ([], 0)
