"""Merging and splitting failure groups at the desk, why a group is one, and its last day."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from outbox import operate
from outbox.models import FailureGroup, FailureHour
from outbox.models.failure import ThisHour
from tests.harness.desk import ISSUE, ORDER, failure_group, page_of, text_of, user
from tests.outbox.admin.acting import LIST as QUEUE

pytestmark = pytest.mark.django_db
LIST = "/admin/outbox/failuregroup/"


def merge(client: Client, group: FailureGroup, into: str, **given: Any):
    return client.post(page_of(group), {"act": "merge", "revision": group.revision, "into": into, **given})


def test_a_group_is_merged_and_its_page_leads_to_the_one_that_stands_for_it(desk: Client) -> None:
    one, other = failure_group("jam", stuck=2), failure_group("tear", stuck=1)
    failure_group("paper", consumer=ORDER)
    offered = desk.get(page_of(one)).context["merge_panel"].form.fields["into"].choices
    assert [fingerprint for fingerprint, _label in offered] == ["", other.pk]

    answer = merge(desk, one, other.pk)

    assert answer.url == page_of(other)
    assert desk.get(page_of(one)).url == page_of(other)
    said = text_of(desk.get(page_of(other)))
    assert "Stuck now: 3 messages" in said
    assert "lead merged the failure group into another" in said
    [listed] = desk.get(LIST, {"consumer": ISSUE}).context["page"]
    assert (listed.stuck.counted, len(listed.members)) == (3, 1)


def test_what_is_merged_is_split_off_again_on_the_same_page(desk: Client) -> None:
    one, other = failure_group("jam"), failure_group("tear")
    merge(desk, one, other.pk)

    answer = desk.post(page_of(other), {"act": "split", "member": one.pk, "revision": 1})
    stale = desk.post(page_of(other), {"act": "split", "member": one.pk, "revision": 1})

    assert answer.url == page_of(other)
    assert "stands for itself" in text_of(stale)
    assert len(desk.get(LIST).context["page"]) == 2


def test_the_queue_of_a_group_has_what_is_merged_into_it_and_goes_on_through_all_of_it(desk: Client) -> None:
    one, other = failure_group("jam", stuck=30), failure_group("tear", stuck=30)
    merge(desk, one, other.pk)

    page = desk.get(QUEUE, {"tab": "failed", "group": other.pk})
    further = desk.get(QUEUE + page.context["older_url"])

    shown = [message.pk for each in (page, further) for message, _subject in each.context["rows"]]
    assert len(set(shown)) == len(shown) == 60
    assert shown == sorted(shown, reverse=True)
    assert next(tally.counted for _tab, tally, _url in page.context["tabs"]) == 60
    alone = desk.get(QUEUE, {"tab": "failed", "group": one.pk})
    assert next(tally.counted for _tab, tally, _url in alone.context["tabs"]) == 30
    new = desk.get(f"{QUEUE}arrivals/", {"group": other.pk}).json()
    assert new["count"] == 60


def test_what_is_refused_says_why_and_keeps_the_choice(desk: Client) -> None:
    one, other, third = failure_group("jam"), failure_group("tear"), failure_group("dust")
    operate.merge_group(other.pk, into=third.pk, revision=0, actor="bob")

    said = merge(desk, one, other.pk)

    assert "Select a valid choice" in text_of(said)
    assert re.search(r'data-act="merge"[^>]*\bopen\b', said.text)
    assert "no longer there" in text_of(desk.post(page_of(third), {"act": "split", "member": "x", "revision": 0}))


def test_what_others_were_merged_into_meanwhile_is_not_merged_and_the_page_says_why(desk: Client) -> None:
    one, other, third = failure_group("jam"), failure_group("tear"), failure_group("dust")
    operate.merge_group(third.pk, into=one.pk, revision=0, actor="bob")

    page = merge(desk, one, other.pk)

    assert page.context["problems"]
    assert page.context["problems"][0] in text_of(page)
    assert FailureGroup.objects.exclude(merged_into=None).count() == 1


def test_where_no_group_can_be_merged_away_none_is_offered_or_read(desk: Client) -> None:
    one, other = failure_group("jam"), failure_group("tear")
    operate.merge_group(one.pk, into=other.pk, revision=0, actor="bob")

    with CaptureQueriesContext(connection) as queries:
        desk.get(page_of(other))

    assert [
        query for query in queries if '"merged_into_id" IS NULL' in query["sql"] and "LIMIT 100" in query["sql"]
    ] == []


def test_who_may_not_change_groups_reads_and_merges_nothing(client: Client, viewer: User) -> None:
    viewer.user_permissions.add(Permission.objects.get(codename="view_failuregroup"))
    client.force_login(viewer)
    one, other = failure_group("jam"), failure_group("tear")

    assert "outbox.change_failuregroup" in text_of(merge(client, one, other.pk))
    assert not FailureGroup.objects.exclude(merged_into=None).exists()


def test_the_page_says_why_the_failures_are_one(desk: Client) -> None:
    by_text = failure_group("jam", title="order <n> of <mail> refused")
    by_machine = failure_group("gone", exception="", place="", title="expired", reason="expired")

    said = text_of(desk.get(page_of(by_text)))
    assert "order <n> of <mail> refused" in said
    assert "<n> a number" in said
    assert "<url>" not in said
    assert "shop/till.py:open" in said
    assert "No exception made it" in text_of(desk.get(page_of(by_machine)))


def test_the_last_day_stands_beside_each_group_as_a_line_and_in_words(desk: Client) -> None:
    one, other, silent = failure_group("jam"), failure_group("tear"), failure_group("dust")
    for group, ago, count in ((one, 0, 3), (other, 5, 4)):
        FailureHour.objects.create(group=group, hour=ThisHour() - ago, slot=1, count=count)
    merge(desk, one, other.pk)

    page = desk.get(LIST)

    words = {summary.group.pk: line.words for summary, line in page.context["rows"]}
    assert words == {
        other.pk: "in the last 24 hours 7, at most 4 in one hour, 3 in this one",
        silent.pk: "no failure in the last 24 hours",
    }
    assert page.text.count('class="desk-spark"') == 2
    assert "style=" not in page.text.split('class="desk-queue"')[1]
    assert "in the last 24 hours 7" in text_of(desk.get(page_of(other)))


def test_who_may_see_no_messages_is_led_to_none_of_what_is_merged(client: Client) -> None:
    one, other = failure_group("jam", stuck=2), failure_group("tear")
    operate.merge_group(one.pk, into=other.pk, revision=0, actor="bob")
    client.force_login(user("olga", "view_failuregroup"))

    page = client.get(page_of(other))

    assert "stuck: 2 messages" in text_of(page)
    assert QUEUE not in page.text
