"""The desk's pages as an operator uses them."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from outbox import operate
from outbox.acts import HandledAs
from outbox.admin import Description, Fact, business, describe, queue
from outbox.models import AttemptOutcome, AuditEntry, Message, Status
from tests.desk import rows

pytestmark = pytest.mark.django_db
LIST = "/admin/outbox/message/"


def url_of(message: Message, query: str = "") -> str:
    return reverse("admin:outbox_message_change", args=[message.pk]) + query


def retry(client: Client, message: Message, *, query: str = "", **fields: object):
    given = {"act": "retry", "revision": message.revision, "reason": "the till is mended", **fields}
    return client.post(url_of(message, query), given)


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
    business.forget("desk.#")


def test_the_queue_opens_on_what_failed_and_is_unresolved(desk: Client) -> None:
    rows.failed("waits-for-us")
    for make in (rows.pending, rows.started, rows.success, rows.handled, rows.discarded):
        make(make.__name__)

    page = desk.get(LIST)

    assert [message.key for message, _described in page.context["rows"]] == ["waits-for-us"]
    assert [tally.counted for _tab, tally, _url in page.context["tabs"]] == [1, 1, 1, 1, 1, 1, 6]
    assert "waits-for-us" in page.text


@pytest.mark.parametrize("slug", [tab.slug for tab in queue.TABS])
def test_an_empty_tab_says_what_that_means(slug: str, desk: Client) -> None:
    page = desk.get(LIST, {"tab": slug})

    assert str(queue.find_tab(slug).empty) in page.text


def test_the_list_reads_the_same_few_statements_however_many_rows_it_shows(desk: Client, awards) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            desk.get(LIST)
        return len(queries)

    rows.failed("0")
    with_one = statements()
    for n in range(1, 30):
        rows.failed(str(n))

    assert statements() == with_one <= 25


def test_search_shows_any_status_and_says_so_when_there_is_nothing(desk: Client) -> None:
    rows.success("A-17")

    assert "A-17" in desk.get(LIST, {"q": " A-17 "}).text
    assert "There is no message with the id “A-18”" in desk.get(LIST, {"q": "A-18"}).text


def test_filters_survive_opening_a_message_acting_and_going_back(desk: Client) -> None:
    message = rows.failed(consumer=rows.ORDER)
    other = rows.failed("2", consumer=rows.ORDER)
    rows.failed("3")
    filters = f"?tab=failed&consumer={rows.ORDER}"

    listed = desk.get(LIST + filters)
    query = "?" + listed.context["page_query"]
    opened = desk.get(url_of(message, query))
    acted = retry(desk, message, query=query)

    assert opened.context["list_url"] == LIST + filters
    assert opened.context["next_failed"] == other.pk
    assert parse_qs(urlsplit(acted.url).query) == parse_qs(query[1:])


def test_a_project_s_description_stands_where_topic_and_key_would(desk: Client, awards) -> None:
    message = rows.failed("17")

    assert "Award 17" in desk.get(LIST).text
    page = desk.get(url_of(message)).text
    assert 'href="/award/"' in page
    assert 'href="/points/"' in page


def test_a_description_that_breaks_does_not_take_the_desk_away(desk: Client) -> None:
    @describe("desk.#")
    def broken(messages: Sequence[Message]) -> Mapping[int, Description]:
        raise RuntimeError("no such table")

    message = rows.failed("17")
    try:
        pages = [desk.get(LIST), desk.get(url_of(message))]
    finally:
        business.forget("desk.#")

    assert [page.status_code for page in pages] == [200, 200]
    assert "desk.won 17" in pages[0].text


def test_retry_from_the_page_does_it_and_says_so(desk: Client, lead: User) -> None:
    message = rows.failed()

    page = desk.post(url_of(message), {"act": "retry", "revision": 0, "reason": "mended"}, follow=True)

    assert Message.objects.get().status == Status.PENDING
    assert "a worker takes it up now" in page.text
    assert "lead retried the message" in page.text
    assert AuditEntry.objects.get().origin == "127.0.0.1"


def test_handled_discard_and_reopen_from_the_page(desk: Client) -> None:
    first, second = rows.failed("1"), rows.failed("2")

    desk.post(
        url_of(first),
        {"act": "handle", "revision": 0, "reason": "by phone", "outcome": "issued", "evidence": "VO-1"},
    )
    desk.post(url_of(second), {"act": "discard", "revision": 0, "reason": "test", "confirm": "on"})
    assert [message.resolution for message in Message.objects.order_by("id")] == ["handled", "discarded"]
    assert "issued outside the system: VO-1" in desk.get(url_of(first)).text.lower().replace("vo-1", "VO-1")

    for message in (first, second):
        desk.post(url_of(message), {"act": "reopen", "revision": 1, "reason": "wrong number"})
    assert Message.objects.exhausted().count() == 2


@pytest.mark.parametrize(
    "given",
    [
        {"act": "retry", "reason": ""},
        {"act": "handle", "reason": "kept text", "outcome": "", "evidence": "VO-1"},
        {"act": "handle", "reason": "kept text", "outcome": "issued", "evidence": ""},
        {"act": "discard", "reason": "kept text"},
    ],
)
def test_an_incomplete_form_changes_nothing_and_keeps_what_was_entered(given: dict[str, str], desk: Client) -> None:
    message = rows.failed()

    page = desk.post(url_of(message), {**given, "revision": 0})

    assert page.status_code == 200
    assert "This field is required" in page.text
    assert all(value in page.text for value in given.values())
    assert Message.objects.get().revision == 0


def test_a_conflict_shows_who_was_faster_keeps_the_text_and_lets_one_decide_again(desk: Client, lead: User) -> None:
    message = rows.failed()
    operate.discard(message.pk, revision=0, actor="ada", reason="a test campaign")
    operate.reopen(message.pk, revision=1, actor="ada", reason="wrong row")

    page = retry(desk, message, reason="my long explanation")

    assert page.status_code == 200
    assert "ada reopened the message since you looked" in page.text
    assert "my long explanation" in page.text
    assert '<input type="hidden" name="revision" value="2" id="retry-revision">' in page.text


def test_a_conflict_over_a_closed_message_shows_it_as_it_is_now(desk: Client) -> None:
    message = rows.failed()
    operate.discard(message.pk, revision=0, actor="ada", reason="a test campaign")

    page = retry(desk, message)

    assert "ada discarded the message since you looked" in page.text
    assert "Reopen" in page.text


def test_what_one_may_not_do_is_shown_disabled_with_the_reason_and_refused(client: Client, viewer: User) -> None:
    message = rows.failed()
    client.force_login(viewer)

    page = client.get(url_of(message))
    posted = retry(client, message)

    assert page.text.count("<fieldset disabled>") == 3
    assert "it takes the permission “outbox.retry_message”" in page.text
    assert "You may not do this" in posted.text
    assert Message.objects.get().status == Status.FAILED


def test_a_message_under_way_offers_nothing_and_says_why(desk: Client) -> None:
    page = desk.get(url_of(rows.started()))

    assert page.text.count("<fieldset disabled>") == 3
    assert "The machine is not done with it" in page.text


def test_without_the_view_permission_there_is_no_desk(client: Client) -> None:
    message = rows.failed()
    client.force_login(rows.user("stranger", "retry_message"))

    assert client.get(LIST).status_code == 403
    assert client.get(url_of(message)).status_code == 403
    assert retry(client, message).status_code == 403
    assert client.post(LIST + "retry-selected/", {"pick": "1:0"}).status_code == 403
    assert client.get("/admin/outbox/auditentry/").status_code == 403
    assert client.post("/admin/outbox/auditentry/verify/").status_code == 403


def test_a_change_takes_a_post_with_a_csrf_token(lead: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(lead)
    message = rows.failed()

    assert retry(strict, message).status_code == 403
    assert strict.get(url_of(message), {"act": "retry", "reason": "x", "revision": 0}).status_code == 200
    assert Message.objects.get().status == Status.FAILED


def test_the_payload_is_masked_until_it_is_revealed_and_the_audit_notes_who_looked(desk: Client) -> None:
    message = rows.failed()

    before = desk.get(url_of(message)).text
    revealed = desk.post(url_of(message), {"act": "reveal"}).text

    assert "ada@example.com" not in before
    assert "&quot;winner&quot;: &quot;•••&quot;" in before
    assert "ada@example.com" in revealed
    assert [entry.action for entry in AuditEntry.objects.all()] == ["reveal"]


def test_a_viewer_cannot_reveal(client: Client, viewer: User) -> None:
    message = rows.failed()
    client.force_login(viewer)

    page = client.post(url_of(message), {"act": "reveal"})

    assert "ada@example.com" not in page.text
    assert "outbox.view_payload" in page.text
    assert not AuditEntry.objects.exists()


def test_after_a_timeout_outside_a_retry_takes_the_word_that_one_has_asked(desk: Client) -> None:
    message = rows.failed(consumer=rows.ORDER, error="ReadTimeout: timed out")
    rows.attempt(message, 3, error="ReadTimeout: timed out")

    shown = desk.get(url_of(message)).text
    refused = retry(desk, message)
    assert "The other side may have acted" in shown
    assert message.idempotency_key in shown
    assert "This field is required" in refused.text

    retry(desk, message, confirm="on")
    assert Message.objects.get().status == Status.PENDING


def test_the_page_tells_the_whole_story_in_order(desk: Client) -> None:
    message = rows.failed()
    rows.attempt(message, 2, AttemptOutcome.UNAVAILABLE)
    rows.attempt(message, 3, traceback="Traceback: line 31")
    operate.mark_handled(
        message.pk, revision=0, actor="ada", reason="by phone", outcome=HandledAs.NOT_DUE, evidence="note"
    )
    rows.success(consumer=rows.ORDER)

    page = desk.get(url_of(message))

    assert [event.title for event in page.context["events"]] == [
        "Published, in the transaction of the business row",
        "Attempt 2: unavailable",
        "Attempt 3: failed",
        "ada marked the message as handled",
    ]
    assert "Traceback: line 31" in page.text
    assert [sibling.consumer for sibling in page.context["siblings"]] == [rows.ORDER]


def test_a_message_that_is_gone_leads_back_to_the_list(desk: Client) -> None:
    for path in ("4711", "x", "9" * 40):
        page = desk.get(f"{LIST}{path}/change/", follow=True)

        assert page.redirect_chain == [(LIST, 302)]
        assert "is not there" in page.text


def test_an_act_that_does_not_exist_is_refused(desk: Client) -> None:
    assert desk.post(url_of(rows.failed()), {"act": "delete"}).status_code == 403


def test_nothing_can_be_added_changed_or_deleted_even_by_a_superuser(admin_client: Client) -> None:
    message = rows.failed()

    assert admin_client.get(LIST + "add/").status_code == 403
    assert admin_client.post(f"{LIST}{message.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Message.objects.exists()


def test_selected_messages_are_retried_one_by_one_after_a_reason(desk: Client) -> None:
    one, two = rows.failed("1"), rows.failed("2")
    risky = rows.failed("3", consumer=rows.ORDER)
    rows.attempt(risky, 3, error="ReadTimeout")
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
    one, two = rows.failed("1"), rows.failed("2")
    operate.discard(one.pk, revision=0, actor="ada", reason="x")
    operate.reopen(one.pk, revision=1, actor="ada", reason="x")

    page = desk.post(
        LIST + "retry-selected/", {"pick": [f"{one.pk}:0", f"{two.pk}:0", "x", "1"], "confirmed": "1", "reason": "ok"}
    )

    assert "ada reopened the message since you looked" in page.text
    assert [message.key for message in Message.objects.exhausted()] == ["1"]


def test_the_audit_is_listed_and_its_chain_checked(desk: Client) -> None:
    operate.discard(rows.failed().pk, revision=0, actor="ada", reason="a test campaign")

    listed = desk.get("/admin/outbox/auditentry/")
    detail = desk.get(f"/admin/outbox/auditentry/{AuditEntry.objects.get().pk}/change/")
    checked = desk.post("/admin/outbox/auditentry/verify/", follow=True)

    assert "a test campaign" in listed.text
    assert detail.status_code == 200
    assert "The chain is whole" in checked.text


@pytest.mark.parametrize("name", ["consumerstate", "pulse"])
def test_consumers_and_pulses_are_listed(name: str, desk: Client) -> None:
    assert desk.get(f"/admin/outbox/{name}/").status_code == 200
