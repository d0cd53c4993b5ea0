"""Every act has a key, every list is walked by j and k, and a phone does all that is urgent."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from playwright.sync_api import Page, expect

from outbox import operate
from outbox.models import Heartbeat, Message, Status
from tests.harness.api import program_of
from tests.harness.browsing import PHONE, Open
from tests.harness.bulk import prepared, started
from tests.harness.desk import ISSUE, failure_group, page_of, wins
from tests.harness.rows import all_is_well

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LIST = "/admin/outbox/message/"


@pytest.fixture
def lead(db: None) -> User:
    return User.objects.create_superuser("lead")


def two_of_each(lead: User) -> dict[str, str]:
    """Make two rows for every list of the desk, and return the lists."""
    all_is_well()
    failure_group("till", stuck=1)
    failure_group("drawer", stuck=1)
    started(), prepared()
    operate.retry(wins.failed("1").pk, revision=0, actor=lead, reason="R")
    operate.retry(wins.failed("2").pk, revision=0, actor=lead, reason="R")
    Heartbeat.objects.get_or_create(name="x")
    return {
        "operations": "/admin/",
        "queue": LIST,
        "groups": "/admin/outbox/failuregroup/",
        "consumers": "/admin/outbox/consumerstate/",
        "bulk operations": "/admin/outbox/bulkoperation/?tab=drafts",
        "audit": "/admin/outbox/auditentry/",
        "heartbeats": "/admin/outbox/heartbeat/",
    }


def at(page: Page) -> int:
    """Return in which row of its list the focus is."""
    return int(
        page.evaluate("""() => {
            const row = document.activeElement.closest("tbody tr");
            return row ? [...row.parentElement.children].indexOf(row) : -1;
        }""")
    )


def test_j_and_k_walk_through_every_list(open_page: Open, lead: User) -> None:
    page = open_page("/admin/")
    walked = {}
    for name, path in two_of_each(lead).items():
        page.goto(path)
        rows = page.locator("#result_list tbody tr, [data-row]").count()
        page.keyboard.press("j")
        first = at(page)
        if rows > 1:
            page.keyboard.press("j")
            page.keyboard.press("k")
        walked[name] = (first, at(page))

    assert walked == dict.fromkeys(walked, (0, 0))


def acts_of(page: Page) -> dict[str, str]:
    """Return what one can do on the page, by what it says, with its key; what is switched off has none."""
    return dict(
        page.evaluate("""() => [...document.querySelectorAll(
            "#content details[data-act], #content form[method=post] button[type=submit]:not(details *)"
        )].filter((act) => !act.matches(":disabled, .desk-act-off"))
          .map((act) => [act.innerText.trim().split("\\n")[0], act.dataset.key ?? ""])""")
    )


def failed() -> str:
    return page_of(wins.failed())


def pending() -> str:
    return page_of(wins.pending())


def success() -> str:
    return page_of(wins.success())


def discarded() -> str:
    return page_of(wins.discarded())


def queue() -> str:
    wins.failed()
    return LIST


def group() -> str:
    return page_of(failure_group("till", stuck=1))


def merged() -> str:
    till = failure_group("till", stuck=1)
    for name in ("drawer", "lamp"):
        operate.merge_group(failure_group(name).pk, into=till.pk, revision=0, actor="ada")
    return page_of(till)


def saved_views() -> str:
    for name in ("gifts", "points"):
        operate.save_view(name, "tab=failed", actor=User.objects.get(username="lead"))
    return f"{LIST}saved-views/"


def consumer() -> str:
    return f"/admin/outbox/consumerstate/{ISSUE}/change/"


def draft() -> str:
    wins.failed()
    return page_of(prepared())


def running() -> str:
    wins.failed()
    return page_of(started())


PAGES = (failed, pending, success, discarded, queue, saved_views, group, merged, consumer, draft, running)


@pytest.mark.parametrize("make", PAGES, ids=lambda make: make.__name__)
def test_every_act_has_a_key_of_its_own_that_the_list_names(open_page: Open, make: Callable[[], str]) -> None:
    page = open_page(make())
    acts = acts_of(page)
    page.keyboard.press("?")
    listed = page.get_by_role("dialog").locator("kbd").all_inner_texts()

    assert acts
    assert [name for name, key in acts.items() if not key] == []
    assert len(set(acts.values())) == len(acts)
    assert set(acts.values()) <= set(listed)
    assert len(set(listed)) == len(listed)


def test_the_key_of_an_act_that_each_row_has_leads_from_one_to_the_next(open_page: Open) -> None:
    page = open_page(merged())
    there = []

    for _n in range(3):
        page.keyboard.press("o")
        there.append(page.evaluate("document.activeElement.getAttribute('aria-label')"))

    assert [label.partition(":")[0] for label in there] == ["Split off"] * 3
    assert there[0] == there[2] != there[1]


def test_tokens_are_turned_over_by_key_as_every_list_is(open_page: Open, lead: User) -> None:
    lead.user_permissions.add(Permission.objects.get(codename="view_apitoken"))
    for n in range(51):
        program_of(lead, name=f"program {n}")
    page = open_page("/admin/outbox/apitoken/")

    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"\?page=2$"))
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile(r"/apitoken/\?$"))


def test_u_leads_back_to_the_queue_from_what_was_picked_there(open_page: Open) -> None:
    page = open_page(queue())
    page.get_by_role("checkbox", name="Select message").check()
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Retry now")).to_be_visible()

    page.keyboard.press("u")

    expect(page).to_have_url(re.compile(f"{LIST}$"))


def test_u_leads_back_to_the_list_from_rows_of_django_s_own_pages(open_page: Open) -> None:
    Heartbeat.objects.get_or_create(name="x")
    page = open_page("/admin/outbox/heartbeat/")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/heartbeat/x/change/$"))  # and until its scripts have run

    page.keyboard.press("u")

    expect(page).to_have_url(re.compile(r"/heartbeat/$"))


@pytest.mark.parametrize("key", ["r", "h", "d"])
def test_a_key_leads_to_an_act_and_does_not_do_it(open_page: Open, key: str) -> None:
    message = wins.failed()
    page = open_page(page_of(message))

    page.keyboard.press(key)

    opened = page.locator("details.desk-act[open]")
    expect(opened).to_have_count(1)
    assert opened.get_attribute("data-key") == key
    assert page.evaluate("document.activeElement.closest('details')?.dataset.key") == key
    assert Message.objects.get().status == Status.FAILED


def test_the_switch_turns_all_of_them_off(open_page: Open) -> None:
    page = open_page(failed())
    page.keyboard.press("?")
    page.get_by_label("Single-key shortcuts are on").uncheck()
    page.keyboard.press("Escape")
    page.reload()

    for key in "rhdvjkeu?":
        page.keyboard.press(key)

    assert page.evaluate("document.activeElement === document.body")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_phone_selects_all_and_has_the_acts_in_reach(open_page: Open, **_: Any) -> None:
    for n in range(30):
        wins.failed(f"{n}")
    page = open_page(LIST, **PHONE)
    retry = page.get_by_role("button", name="Retry selected messages")
    expect(retry).to_be_in_viewport()

    page.get_by_label("All on this page").tap()

    expect(page.locator("[data-picked]")).to_have_text("30")
    retry.tap()
    page.get_by_label("Reason").fill("the till is mended")
    page.get_by_role("button", name="Retry now").tap()
    expect(page.locator(".messagelist")).to_contain_text("30 messages are pending again")


def test_a_phone_finds_the_acts_from_anywhere_on_a_long_page(open_page: Open) -> None:
    page = open_page(failed(), **PHONE)
    jump = page.get_by_role("link", name="What you can do")
    expect(jump).to_be_hidden()  # they are in sight, and it would cover them
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(jump).to_be_in_viewport()

    jump.tap()

    expect(page.locator("#desk-acts")).to_be_in_viewport()
