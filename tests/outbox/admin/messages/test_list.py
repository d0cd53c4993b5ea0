"""The work queue and the other lists as an operator uses them."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from outbox import operate
from outbox.admin import Description, Fact, describe, descriptions
from outbox.admin.messages.tabs import TABS, find_tab
from outbox.models import AuditEntry, Message
from tests.harness.clock import DAY, database_time
from tests.harness.desk import ISSUE, ORDER, failure_group, user, wins
from tests.harness.rows import attempt
from tests.outbox.admin.acting import LIST, retry, url_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def awards():
    @describe("desk.#")
    def awards(messages: Sequence[Message]) -> Mapping[int, Description]:
        return {
            message.pk: Description(
                f"Award {message.key}", "/award/", [Fact("winner", "a•••")], [Fact("points", "+500", "/points/")]
            )
            for message in messages
        }

    yield awards
    descriptions.forget_describer("desk.#")


def test_the_queue_opens_on_what_failed_and_is_unresolved(desk: Client) -> None:
    wins.failed("waits-for-us")
    for make in (wins.pending, wins.started, wins.success, wins.handled, wins.discarded):
        make(make.__name__)

    page = desk.get(LIST)

    assert [message.key for message, _described in page.context["rows"]] == ["waits-for-us"]
    assert [tally.counted for _tab, tally, _url in page.context["tabs"]] == [1, 1, 1, 1, 1, 1, 0, 0, 6]
    assert "waits-for-us" in page.text


def test_the_queue_is_read_from_either_end_and_a_message_leads_on_in_the_same_order(desk: Client) -> None:
    low, middle, high = (wins.failed(key) for key in "abc")

    page = desk.get(LIST, {"order": "turned"})

    assert [message for message, _described in page.context["rows"]] == [low, middle, high]
    assert all("order=turned" in url for _tab, _tally, url in page.context["tabs"])
    assert not page.context["arrivals_url"]
    opened = desk.get(url_of(low, "?" + page.context["page_query"]))
    assert opened.context["next_failed"] == middle.pk


def test_a_message_leads_on_within_the_span_that_the_queue_was_narrowed_down_to(desk: Client) -> None:
    wins.failed("long ago", at=database_time() - 2 * DAY)
    lately, newest = wins.failed("lately"), wins.failed("newest")

    page = desk.get(LIST, {"within": "24h"})
    query = "?" + page.context["page_query"]

    assert [message for message, _subject in page.context["rows"]] == [newest, lately]
    assert desk.get(url_of(newest, query)).context["next_failed"] == lately.pk
    assert desk.get(url_of(lately, query)).context["next_failed"] == newest.pk


@pytest.mark.parametrize("slug", [tab.slug for tab in TABS])
def test_an_empty_tab_says_what_that_means(slug: str, desk: Client) -> None:
    page = desk.get(LIST, {"tab": slug})

    assert str(find_tab(slug).empty) in page.text


def test_the_list_reads_the_same_few_statements_however_many_rows_it_shows(desk: Client, awards) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            desk.get(LIST)
        return len(queries)

    wins.failed("0")
    statements()  # the first request writes down that somebody is there
    with_one = statements()
    for n in range(1, 30):
        wins.failed(str(n))

    assert statements() == with_one <= 25


def test_search_shows_any_status_and_says_so_when_there_is_nothing(desk: Client) -> None:
    wins.success("A-17")

    assert "A-17" in desk.get(LIST, {"q": " A-17 "}).text
    assert "There is no message that “A-18” means." in desk.get(LIST, {"q": "A-18"}).text


def test_filters_survive_opening_a_message_acting_and_going_back(desk: Client) -> None:
    message = wins.failed(consumer=ORDER)
    other = wins.failed("2", consumer=ORDER)
    wins.failed("3")
    filters = f"?tab=failed&consumer={ORDER}"

    listed = desk.get(LIST + filters)
    query = "?" + listed.context["page_query"]
    opened = desk.get(url_of(message, query))
    acted = retry(desk, message, query=query)

    assert opened.context["list_url"] == LIST + filters
    assert opened.context["next_failed"] == other.pk
    assert parse_qs(urlsplit(acted.url).query) == parse_qs(query[1:])


def test_a_project_s_description_stands_where_topic_and_key_would(desk: Client, awards) -> None:
    message = wins.failed("17")

    assert "Award 17" in desk.get(LIST).text
    page = desk.get(url_of(message)).text
    assert 'href="/award/"' in page
    assert 'href="/points/"' in page


def test_a_description_that_breaks_does_not_take_the_desk_away(desk: Client) -> None:
    @describe("desk.#")
    def broken(messages: Sequence[Message]) -> Mapping[int, Description]:
        raise RuntimeError("no such table")

    message = wins.failed("17")
    try:
        pages = [desk.get(LIST), desk.get(url_of(message))]
    finally:
        descriptions.forget_describer("desk.#")

    assert [page.status_code for page in pages] == [200, 200]
    assert "desk.won 17" in pages[0].text


def test_without_the_view_permission_there_is_no_desk(client: Client) -> None:
    message = wins.failed()
    client.force_login(user("stranger", "retry_message"))

    assert client.get(LIST).status_code == 403
    assert client.get(url_of(message)).status_code == 403
    assert retry(client, message).status_code == 403
    assert client.post(LIST + "retry-selected/", {"pick": "1:0"}).status_code == 403
    assert client.get("/admin/outbox/auditentry/").status_code == 403
    assert client.get("/admin/outbox/auditentry/export/").status_code == 403


def test_nothing_can_be_added_changed_or_deleted_even_by_a_superuser(admin_client: Client, settings: Any) -> None:
    settings.DATABASE_ROUTERS = []  # Django's own view opens a transaction before it refuses
    message = wins.failed()

    assert admin_client.get(LIST + "add/").status_code == 403
    assert admin_client.post(f"{LIST}{message.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Message.objects.exists()


def test_selected_messages_are_retried_one_by_one_after_a_reason(desk: Client) -> None:
    one, two = wins.failed("1"), wins.failed("2")
    risky = wins.failed("3", consumer=ORDER)
    attempt(risky, 3, error="ReadTimeout", may_have_acted=True)
    picks = [f"{message.pk}:0" for message in (one, two, risky)]

    asked = desk.post(LIST + "retry-selected/", {"pick": picks})
    assert "2 messages will be retried" in asked.text
    assert "The other side may have acted" in asked.text
    assert Message.objects.exhausted().count() == 3
    done = desk.post(LIST + "retry-selected/", {"pick": picks, "confirmed": "1", "reason": "mended"}, follow=True)

    assert "2 messages are pending again" in done.text
    assert [message.key for message in Message.objects.exhausted()] == ["3"]
    assert AuditEntry.objects.count() == 2


def test_a_selected_message_that_somebody_else_changed_is_named(desk: Client) -> None:
    one, two = wins.failed("1"), wins.failed("2")
    operate.discard(one.pk, revision=0, actor="ada", reason="x")
    operate.reopen(one.pk, revision=1, actor="ada", reason="x")

    page = desk.post(
        LIST + "retry-selected/", {"pick": [f"{one.pk}:0", f"{two.pk}:0", "x", "1"], "confirmed": "1", "reason": "ok"}
    )

    assert "ada reopened the message since you looked" in page.text
    assert [message.key for message in Message.objects.exhausted()] == ["1"]


@pytest.mark.parametrize("name", ["consumerstate", "heartbeat"])
def test_consumers_and_heartbeats_are_listed(name: str, desk: Client) -> None:
    assert desk.get(f"/admin/outbox/{name}/").status_code == 200


def test_what_waits_for_another_of_its_ordering_key_names_that(desk: Client) -> None:
    head = wins.failed("head", ordering_key="till 1")
    wins.pending("behind", ordering_key="till 1")
    wins.pending("free", ordering_key="till 2")

    page = desk.get(LIST, {"tab": "pending"})

    assert {message.key: subject.head for message, subject in page.context["rows"]} == {"behind": head.pk, "free": None}
    assert page.text.count(f"behind message {head.pk}") == 1


def test_the_buttons_that_let_others_go_say_how_many(desk: Client) -> None:
    head = wins.failed("head", ordering_key="till 1")
    wins.pending("behind", ordering_key="till 1")

    page = desk.get(url_of(head))

    told = {panel.form.act: str(panel.form.promise) for panel in page.context["panels"]}
    assert {act for act, promise in told.items() if "Lets what waits behind it go on: 1 message." in promise} == {
        "handle",
        "discard",
    }


def test_the_form_keeps_the_group_until_another_consumer_is_chosen(desk: Client) -> None:
    group = failure_group("till", stuck=1)
    wins.failed("other", consumer=ORDER)

    page = desk.get(LIST, {"group": group.pk, "consumer": ISSUE})
    another = desk.get(LIST, {"group": group.pk, "consumer": ORDER})

    assert f'<input type="hidden" name="group" value="{group.pk}">' in page.text.partition('role="search"')[2]
    assert [message.key for message, _subject in another.context["rows"]] == ["other"]
    assert "no longer there" not in another.text


def test_a_link_that_takes_one_filter_away_keeps_the_others_and_the_order(desk: Client) -> None:
    group = failure_group("till", stuck=1)

    def left(name: str, **given: str) -> dict[str, str]:
        page = desk.get(LIST, given)
        assert page.context[name] in page.text.replace("&amp;", "&")
        return dict(parse_qsl(page.context[name].removeprefix("?")))

    narrowing = {"within": "24h", "mine": "1", "error": "till"}
    every = {"tab": "failed", "group": group.pk, "consumer": ISSUE, "order": "turned"}
    assert left("not_narrowed_url", **every, **narrowing) == every
    kept = {"tab": "failed", "order": "turned", **narrowing}
    assert left("everything_url", **every, **narrowing) == kept
    assert left("everything_url", **{**kept, "consumer": ORDER}) == kept
