"""The failure groups' list and page as an operator uses them."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from outbox.admin.failures import groups
from outbox.models import AuditEntry, FailureGroup, GroupState, Message
from tests.harness.desk import ISSUE, ORDER, failure_group, page_of, user, wins
from tests.harness.rows import attempt
from tests.outbox.admin.acting import LIST as QUEUE
from tests.outbox.admin.acting import retry, url_of

pytestmark = pytest.mark.django_db
LIST = "/admin/outbox/failuregroup/"


def save(client: Client, group: FailureGroup, **given: Any):
    values = {
        "revision": group.revision,
        "was": group.state,
        "state": "investigating",
        "owner": "",
        "note": "",
        **given,
    }
    return client.post(page_of(group), values, follow=True)


def test_the_list_opens_on_what_is_open_and_every_tab_counts_its_own(desk: Client) -> None:
    failure_group("till", stuck=2, failures=7)
    failure_group("drawer", state=GroupState.FIXED)

    page = desk.get(LIST)

    assert [one.group.title for one in page.context["page"]] == ["the till jams"]
    assert [count for _slug, _label, count, _url in page.context["tabs"]] == [1, 0, 1, 2]
    assert f"{QUEUE}?tab=failed&amp;group={FailureGroup.objects.get(title='the till jams').pk}" in page.text


@pytest.mark.parametrize("tab", groups.GROUP_TABS)
def test_an_empty_tab_says_what_that_means(tab: str, desk: Client) -> None:
    assert str(groups.GROUP_TABS[tab][1]) in desk.get(LIST, {"tab": tab}).text


def test_pages_and_a_consumer_narrow_the_list(desk: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "GROUPS_PER_PAGE", 2)
    for n in range(3):
        failure_group(str(n), stuck=n)
    failure_group("other", consumer=ORDER)

    first = desk.get(LIST, {"consumer": ISSUE})
    second = desk.get(LIST + first.context["older_url"])

    assert [one.group.title for one in first.context["page"]] == ["the 2 jams", "the 1 jams"]
    assert [one.group.title for one in second.context["page"]] == ["the 0 jams"]


def test_the_page_shows_figures_a_sample_and_the_newest_traceback(desk: Client) -> None:
    group = failure_group(stuck=1, failures=7, regressions=2)
    message = Message.objects.get()
    attempt(message, 3, traceback="Traceback: line 31")

    page = desk.get(page_of(group)).text

    assert "Stuck now: 1 message" in page
    assert "7 attempts have failed so." in page
    assert "came back 2 times after it was said to be fixed" in page
    assert "ValueError: the till is jammed" in page
    assert "Traceback: line 31" in page
    assert url_of(message) in page


def test_a_group_without_stuck_messages_says_so(desk: Client) -> None:
    page = desk.get(page_of(failure_group())).text

    assert "Nothing is stuck for this reason now." in page
    assert "There is none, so there is no sample to show." in page


def test_saving_writes_it_down_and_shows_it(desk: Client) -> None:
    group = failure_group()

    page = save(desk, group, owner="ada", ticket="https://tracker.example/7", note="ask the vendor")

    assert "Written down." in page.text
    assert '<a href="https://tracker.example/7" rel="noopener noreferrer">' in page.text
    assert "lead changed the failure group" in page.text
    assert "state: new → being looked into" in page.text
    assert (AuditEntry.objects.get().actor, FailureGroup.objects.get().note) == ("lead", "ask the vendor")


def test_i_see_to_it_makes_one_the_owner(desk: Client) -> None:
    group = failure_group()

    save(desk, group, state="new", owner="", take="1")

    changed = FailureGroup.objects.get()
    assert (changed.owner, changed.state) == ("lead", GroupState.INVESTIGATING)


def test_a_conflict_keeps_what_was_written_and_lets_one_decide_again(desk: Client) -> None:
    group = failure_group()
    save(desk, group, owner="bob")

    refused = save(desk, group, note="my long explanation")

    assert "lead changed the failure group since you looked" in refused.text
    assert "my long explanation" in refused.text
    assert '<input type="hidden" name="revision" value="1"' in refused.text
    assert '<input type="hidden" name="was" value="investigating"' in refused.text


def test_ignoring_too_few_says_how_many_there_have_been(desk: Client) -> None:
    group = failure_group(failures=10)

    page = save(desk, group, state="ignored", ignored_up_to="10")

    assert "more than the 10 there have been" in page.text
    assert FailureGroup.objects.get().state == GroupState.NEW


def test_whoever_may_only_look_sees_the_form_disabled_and_is_refused(client: Client) -> None:
    group = failure_group()
    client.force_login(user("watcher", "view_failuregroup"))

    page = client.get(page_of(group)).text
    posted = save(client, group)

    assert '<fieldset class="desk-plain" disabled>' in page
    assert "it takes the permission “outbox.change_failuregroup”" in page
    assert "You may not do this" in posted.text
    assert FailureGroup.objects.get().revision == 0


def test_whoever_may_not_look_is_refused(client: Client, viewer: User) -> None:
    group = failure_group()
    client.force_login(viewer)

    assert [client.get(path).status_code for path in (LIST, page_of(group))] == [403, 403]
    assert save(client, group).status_code == 403


def test_a_group_that_is_gone_leads_back_to_the_list(desk: Client) -> None:
    page = desk.get(f"{LIST}nothing/change/", follow=True)

    assert page.redirect_chain == [(LIST, 302)]


def test_the_queue_shows_one_group_and_keeps_it_while_one_works_through_it(desk: Client) -> None:
    group = failure_group(stuck=2)
    wins.failed("other")
    one, two = Message.objects.filter(failure=group.pk).order_by("id")

    listed = desk.get(QUEUE, {"tab": "failed", "group": group.pk})
    query = "?" + listed.context["page_query"]
    opened = desk.get(url_of(two, query))
    retry(desk, two, query=query)
    alone = desk.get(url_of(one, query))

    assert [message.pk for message, _described in listed.context["rows"]] == [two.pk, one.pk]
    assert listed.context["tabs"][0][1].counted == 2
    assert "Only failures of this kind:" in listed.text
    assert opened.context["next_failed"] == one.pk
    assert alone.context["next_failed"] is None
    assert f"group={group.pk}" in alone.context["list_url"]


def test_a_group_that_does_not_exist_narrows_nothing(desk: Client) -> None:
    wins.failed()

    assert len(desk.get(QUEUE, {"tab": "failed", "group": "nothing"}).context["rows"]) == 1


def test_a_message_leads_to_its_group_and_shows_what_is_known(desk: Client, client: Client) -> None:
    group = failure_group(stuck=1, owner="ada", note="ask the vendor first")
    message = Message.objects.get()

    page = desk.get(url_of(message)).text
    client.force_login(user("stranger", "view_message"))
    unseen = client.get(url_of(message)).text

    assert page_of(group) in page
    assert "ask the vendor first" in page
    assert page_of(group) not in unseen
