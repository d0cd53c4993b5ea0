"""Bulk operations in a real browser: readable for everybody in every state, on a phone, in the dark, in Chinese."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import F
from django.db.models.functions import Now
from playwright.sync_api import expect

from outbox import operate
from outbox.bulk import operations, running
from outbox.models import BulkOperation, Message, Status
from outbox.models.bulk import BulkVerb
from tests.harness.browsing import LOOKS, PHONE, Open, complaints, violations_in_each_look
from tests.harness.bulk import fail_again, failed_messages, go_on, now, prepared, started, succeed
from tests.harness.desk import ISSUE, ORDER, failure_group, wins
from tests.harness.rows import all_is_well, attempt, set_consumer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LIST = "/admin/outbox/bulkoperation/"


@pytest.fixture
def lead(lead: User) -> User:
    more = Permission.objects.filter(codename__in=["bulk_message", "approve_bulk", "view_bulkoperation"])
    lead.user_permissions.add(*more)
    return User.objects.get(pk=lead.pk)


def preview() -> BulkOperation:
    failed_messages(40, consumer=ORDER)
    attempt(wins.failed("suspect", consumer=ORDER), outcome="lost")
    return prepared()


def trial() -> BulkOperation:
    failed_messages(40)
    return go_on(started(canary=5, stop_percent=10, rate=200))


def stopped() -> BulkOperation:
    operation = trial()
    first, *others = Message.objects.filter(status=Status.PENDING).values_list("pk", flat=True)
    fail_again(first), succeed(*others)
    Message.objects.filter(pk=first).update(
        status=Status.FAILED, attempts=F("attempt_limit"), finished_at=Now(), exhausted_at=Now()
    )
    return go_on(operation)


def suspended() -> BulkOperation:
    operation = trial()
    set_consumer(ISSUE, breaker="open")
    return go_on(operation)


def waiting() -> BulkOperation:
    wins.failed("one to discard")
    return started(verb=BulkVerb.DISCARD)


def done() -> BulkOperation:
    failed_messages(12)
    operate.retry(Message.objects.earliest("pk").pk, revision=0, actor="bob", reason="me first")
    operation = started(verb=BulkVerb.HANDLE, outcome="compensated", evidence="vouchers of 3 May")
    return go_on(operation)


STATES = {made.__name__: made for made in (preview, trial, stopped, suspended, waiting, done)}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("state", STATES)
def test_the_page_of_each_state_pleases_axe_and_fits_the_screen(open_page: Open, state: str, look: Any) -> None:
    all_is_well()
    operation = STATES[state]()

    page = open_page(f"{LIST}{operation.pk}/change/", **look)
    assert complaints(page) == ([], 0)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_the_lists_do_as_well(open_page: Open, look: Any) -> None:
    all_is_well()
    group = failure_group("jam", stuck=3)
    stopped(), waiting()
    addresses = {
        "list": LIST,
        "prepare": f"{LIST}prepare/",
        "none": f"{LIST}?tab=drafts",
        "queue": "/admin/outbox/message/",
        "group": f"/admin/outbox/failuregroup/{group.pk}/change/",
        "rows": f"{LIST}{BulkOperation.objects.earliest('pk').pk}/change/?show=failed",
    }
    page, found = open_page(LIST, **look), {}
    for name, address in addresses.items():
        page.goto(address)
        found[name] = violations_in_each_look(page)

    assert {name: broken for name, broken in found.items() if broken} == {}


def test_from_the_group_to_the_end_by_hand_on_a_phone(open_page: Open) -> None:
    all_is_well()
    group = failure_group("jam", stuck=3)
    page = open_page(f"/admin/outbox/failuregroup/{group.pk}/change/", **PHONE)

    page.get_by_role("button", name="Retry all…", exact=True).tap()
    expect(page.get_by_text("Preview: nothing has been done yet.")).to_be_visible()
    page.get_by_label("Reason").fill("the till is mended")
    page.get_by_label("Try first").fill("0")
    page.get_by_role("button", name="Start", exact=True).tap()
    expect(page.get_by_text("Started.")).to_be_visible()
    running.go_on()
    succeed()
    running.go_on()

    # The page reads itself again, and with the state the acts change.
    expect(page.locator("[data-refresh-state=done]")).to_be_visible()
    expect(page.get_by_text("Pause the operation")).to_have_count(0)
    assert now(BulkOperation.objects.get()).succeeded == 3
    assert operations.history(BulkOperation.objects.get()).count() == 2
