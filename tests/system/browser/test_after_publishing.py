"""Withdrawing, hurrying and replaying in a real browser: every state for everybody's eyes, and the acts by hand."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from outbox import operate
from outbox.models import Message
from tests.harness.browsing import LOOKS, Open, complaints
from tests.harness.clock import HOUR, database_time
from tests.harness.desk import ISSUE, ORDER, page_of, wins
from tests.harness.rows import attempt

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def states(lead: User) -> dict[str, str]:
    """Make a message for every state that the three acts know, and return the pages' addresses by name."""
    delayed = wins.pending("A-1", at=database_time() + HOUR)
    by_a_person = wins.pending("A-2", at=database_time() + HOUR)
    operate.withdraw(by_a_person.pk, revision=0, actor=lead, reason="a test campaign")
    by_code = wins.pending("A-3", consumer=ORDER, attempts=1)
    attempt(by_code, outcome="lost")
    Message.objects.filter(pk=by_code.pk).close_as_withdrawn()
    replayed = wins.success("A-4")
    replay = operate.replay(replayed.pk, revision=0, actor=lead, reason="it lost every second line")
    made = {"delayed": delayed, "withdrawn": by_a_person, "withdrawn by code": by_code, "success": replayed}
    pages = {name: page_of(message) for name, message in {**made, "replay": replay}.items()}
    return {**pages, "tab": "/admin/outbox/message/?tab=withdrawn"}


def open_last_act(page: Page) -> None:
    """Open the act that asks for most; of the acts one is open at a time."""
    act = page.locator("details.desk-act").last
    if act.count() and act.get_attribute("open") is None:
        act.locator("summary").click()


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_every_state_keeps_the_policy_pleases_axe_and_fits_the_screen(
    states: dict[str, str], look: dict[str, object], open_page: Open
) -> None:
    page, found = open_page(states["delayed"], **look), {}

    for name, path in states.items():
        page.goto(path)
        open_last_act(page)
        found[name] = complaints(page)

    assert {name: complaint for name, complaint in found.items() if complaint != ([], 0)} == {}


def test_a_delayed_message_is_hurried_then_withdrawn_and_then_replayed_by_hand(open_page: Open) -> None:
    message = wins.pending("A-1", at=database_time() + HOUR)
    page = open_page(page_of(message))

    page.locator("#hurry-reason").fill("the winner is on the phone")
    page.get_by_role("button", name="Make due now").click()
    expect(page.get_by_text("Due now: a worker takes it up in turn.")).to_be_visible()
    expect(page.locator('[data-act="hurry"]')).to_contain_text("It is due already")
    page.locator('[data-act="withdraw"] summary').click()
    page.locator("#withdraw-reason").fill("a test campaign")
    page.locator("#withdraw-confirm").check()
    page.get_by_role("button", name="Withdraw the message").click()
    expect(page.get_by_text("Withdrawn: it was taken back before it was done.")).to_be_visible()
    page.locator('[data-act="replay"] summary').click()
    page.get_by_label("To", exact=True).select_option(ORDER)
    page.locator("#replay-reason").fill("it was no test")
    page.locator("#replay-confirm").check()
    page.get_by_role("button", name="Replay the event").click()

    expect(page.get_by_text(f"Replayed to {ORDER} as message")).to_be_visible()
    states = Message.objects.order_by("id").values_list("consumer", "status", "resolution")
    assert list(states) == [(ISSUE, "failed", "withdrawn"), (ORDER, "pending", "")]
