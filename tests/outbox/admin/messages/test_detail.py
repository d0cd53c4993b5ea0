"""A message's page as an operator uses it."""

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client

from outbox import operate
from outbox.models import AttemptOutcome, AuditEntry, HandledAs, Message, Resolution, Status
from tests.harness.desk import ORDER, wins
from tests.harness.rows import acts_done, attempt
from tests.outbox.admin.acting import LIST, retry, url_of

pytestmark = pytest.mark.django_db


def test_retry_from_the_page_does_it_and_says_so(desk: Client, lead: User) -> None:
    message = wins.failed()

    page = desk.post(url_of(message), {"act": "retry", "revision": 0, "reason": "mended"}, follow=True)

    assert Message.objects.get().status == Status.PENDING
    assert "a worker takes it up now" in page.text
    assert "lead retried the message" in page.text
    assert AuditEntry.objects.get().origin == "127.0.0.1"


def test_handled_discard_and_reopen_from_the_page(desk: Client) -> None:
    first, second = wins.failed("1"), wins.failed("2")

    desk.post(
        url_of(first),
        {
            "act": "handle",
            "revision": 0,
            "reason": "by phone",
            "outcome": "issued",
            "kind": "order",
            "evidence": "VO-1",
        },
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
    message = wins.failed()

    page = desk.post(url_of(message), {**given, "revision": 0})

    assert page.status_code == 200
    assert "This field is required" in page.text
    assert all(value in page.text for value in given.values())
    assert Message.objects.get().revision == 0


def test_a_conflict_shows_who_was_faster_keeps_the_text_and_lets_one_decide_again(desk: Client, lead: User) -> None:
    message = wins.failed()
    operate.discard(message.pk, revision=0, actor="ada", reason="a test campaign")
    operate.reopen(message.pk, revision=1, actor="ada", reason="wrong row")

    page = retry(desk, message, reason="my long explanation")

    assert page.status_code == 200
    assert "ada reopened the message since you looked" in page.text
    assert "my long explanation" in page.text
    assert '<input type="hidden" name="revision" value="2" id="retry-revision">' in page.text


def test_a_conflict_over_a_closed_message_shows_it_as_it_is_now(desk: Client) -> None:
    message = wins.failed()
    operate.discard(message.pk, revision=0, actor="ada", reason="a test campaign")

    page = retry(desk, message)

    assert "ada discarded the message since you looked" in page.text
    assert "Reopen" in page.text


def test_what_one_may_not_do_is_shown_disabled_with_the_reason_and_refused(client: Client, viewer: User) -> None:
    message = wins.failed()
    client.force_login(viewer)

    page = client.get(url_of(message))
    posted = retry(client, message)

    assert page.text.count("<fieldset disabled>") == 4
    assert "it takes the permission “outbox.retry_message”" in page.text
    assert "You may not do this" in posted.text
    assert Message.objects.get().status == Status.FAILED


def test_a_message_under_way_offers_nothing_and_says_why(desk: Client) -> None:
    page = desk.get(url_of(wins.started()))

    assert page.text.count("<fieldset disabled>") == 3
    assert "The machine is not done with it" in page.text


def test_a_message_whose_time_was_over_says_so_in_its_timeline_and_can_only_be_replayed(desk: Client) -> None:
    message = wins.pending()
    closed = {"status": Status.FAILED, "resolution": Resolution.OVERDUE, "finished_at": Now(), "reason": "expired"}
    Message.objects.filter(pk=message.pk).update(**closed)

    page = desk.get(url_of(message))

    assert "Closed by the machine: its time was over" in page.text
    assert [panel.form.act for panel in page.context["panels"]] == ["replay"]


def test_a_change_takes_a_post_with_a_csrf_token(lead: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(lead)
    message = wins.failed()

    assert retry(strict, message).status_code == 403
    assert strict.get(url_of(message), {"act": "retry", "reason": "x", "revision": 0}).status_code == 200
    assert Message.objects.get().status == Status.FAILED


def test_the_payload_is_masked_until_it_is_revealed_and_the_audit_notes_who_looked(desk: Client) -> None:
    message = wins.failed()

    before = desk.get(url_of(message)).text
    revealed = desk.post(url_of(message), {"act": "reveal"}).text

    assert "ada@example.com" not in before
    assert "&quot;winner&quot;: &quot;•••&quot;" in before
    assert "ada@example.com" in revealed
    assert [entry.action for entry in AuditEntry.objects.all()] == ["reveal"]


def test_a_viewer_cannot_reveal(client: Client, viewer: User) -> None:
    message = wins.failed()
    client.force_login(viewer)

    page = client.post(url_of(message), {"act": "reveal"})

    assert "ada@example.com" not in page.text
    assert "outbox.view_payload" in page.text
    assert not acts_done().exists()


def test_after_a_timeout_outside_a_retry_takes_the_word_that_one_has_asked(desk: Client) -> None:
    message = wins.failed(consumer=ORDER, error="ReadTimeout: timed out")
    attempt(message, 3, error="ReadTimeout: timed out", may_have_acted=True)

    shown = desk.get(url_of(message)).text
    refused = retry(desk, message)
    assert "The other side may have acted" in shown
    assert message.idempotency_key in shown
    assert "This field is required" in refused.text

    retry(desk, message, confirm="on")
    assert Message.objects.get().status == Status.PENDING


def test_the_page_tells_the_whole_story_in_order(desk: Client) -> None:
    message = wins.failed()
    attempt(message, 2, AttemptOutcome.UNAVAILABLE)
    attempt(message, 3, traceback="Traceback: line 31")
    operate.mark_handled(
        message.pk, revision=0, actor="ada", reason="by phone", outcome=HandledAs.NOT_DUE, evidence="note"
    )
    wins.success(consumer=ORDER)

    page = desk.get(url_of(message))

    assert [event.title for event in page.context["events"]] == [
        "Published, in the transaction of the business row",
        "Attempt 2: unavailable",
        "Attempt 3: failed",
        "ada marked the message as handled",
    ]
    assert "Traceback: line 31" in page.text
    assert [sibling.consumer for sibling in page.context["siblings"]] == [ORDER]


def test_a_message_that_is_gone_leads_back_to_the_list(desk: Client) -> None:
    for path in ("4711", "x", "9" * 40, "9" * 5000):
        page = desk.get(f"{LIST}{path}/change/", follow=True)

        assert page.redirect_chain == [(LIST, 302)]
        assert "is not there" in page.text


def test_an_action_that_does_not_exist_is_refused(desk: Client) -> None:
    assert desk.post(url_of(wins.failed()), {"act": "delete"}).status_code == 403
