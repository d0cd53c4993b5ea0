"""The page of the broker in a real browser: dead letters are discarded; on a phone, in the dark and in Chinese."""

import pytest
from django.contrib.auth.models import Permission, User
from playwright.sync_api import expect

from outbox.broker.queues import dead_letter_queue, queue_name
from outbox.broker.watching import BrokerLook, NodeSeen, QueueSeen
from outbox.models import DeadLetter
from outbox.monitoring.broker import note
from tests.harness.browsing import LOOKS, Open, complaints
from tests.harness.rows import all_is_well, sales

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PAGE, HOME = "/admin/outbox/deadletter/", "/admin/outbox/"


@pytest.fixture(autouse=True)
def troubled(lead: User) -> None:
    """A broker with an alarm, a queue without a worker, and dead letters; and somebody who may discard them."""
    lead.user_permissions.add(*Permission.objects.filter(codename__in=["view_deadletter", "discard_deadletter"]))
    all_is_well()
    queues = [
        QueueSeen(queue_name("shop.book"), 1234, 0, 50, True, 1, 1),
        QueueSeen(queue_name("shop.take"), 0, 4, 4, True, 3, 2),
        QueueSeen(dead_letter_queue().name, 2, 0, 0, True, 3, 3),
    ]
    nodes = [
        NodeSeen("rabbit@first.example", True, 900_000_000, 800_000_000, True, 5_000_000_000, 50_000_000, False),
        NodeSeen("rabbit@second.example", False),
    ]
    note(BrokerLook(version="3.10.8", blocked="low on memory", queues=queues, nodes=nodes, management="http://r:15672"))
    rows = [sales.failed().pk, sales.success().pk, sales.pending().pk]
    hint = {"queue": queue_name("shop.book"), "reason": "delivery_limit", "consumer": "shop.book"}
    DeadLetter.objects.create(digest="a" * 64, ids=[*rows, *range(900, 950)], task_id="8d1f-11", **hint)
    DeadLetter.objects.create(digest="b" * 64, queue="", reason="", text="{" * 500)


def test_dead_letters_are_discarded_with_a_reason(open_page: Open) -> None:
    page = open_page(HOME)
    page.get_by_role("link", name="Look at the broker").first.click()
    expect(page.get_by_text("worker after worker was lost with it").first).to_be_visible()
    page.locator("summary", has_text="Discard").click()
    page.get_by_label("Reason").fill("seen to")
    page.get_by_role("button", name="Discard them").click()

    expect(page.get_by_text("There is no dead letter")).to_be_visible()
    assert DeadLetter.objects.shown().count() == 0
    assert complaints(page) == ([], 0)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_nothing_is_wrong_with_any_page(open_page: Open, look: dict[str, object]) -> None:
    page, found = open_page(PAGE, **look), {}
    for path in (PAGE, HOME):
        page.goto(path)
        found[path] = complaints(page)

    assert {path: wrong for path, wrong in found.items() if wrong != ([], 0)} == {}
