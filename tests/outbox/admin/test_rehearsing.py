"""The desk says whether a retry would succeed, before anybody retries."""

import re

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from outbox import audit
from outbox.admin.bulk import rehearsal
from outbox.maintenance.groups import LEAD
from outbox.models import AuditEntry, BulkOperation, BulkRehearsal, Message
from outbox.models.bulk import BulkState
from outbox.rehearsal import background
from tests.harness.bulk import prepared
from tests.harness.desk import page_of, text_of, user
from tests.harness.messages import publish_failed
from tests.outbox.admin.messages.editing import post
from tests.shop.models import Effect

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def failed(do: str = "") -> Message:
    return Message.objects.get(pk=publish_failed("shop.tried", do=do))


@pytest.mark.parametrize(
    ("do", "said"),
    [
        ("", "It would succeed now."),
        ("fail", "It would fail: ValueError: the till is jammed"),
        ("socket", "It cannot be rehearsed: the handler connects to the network"),
    ],
)
def test_a_message_says_what_a_retry_would_come_to_and_is_as_it_was(do: str, said: str, desk: Client) -> None:
    message = failed(do)
    assert "Would it work now?" in desk.get(page_of(message)).text

    answer = desk.post(page_of(message), {"act": "rehearse"})

    assert said in answer.text.replace("&#x27;", "'")
    now = Message.objects.get(pk=message.pk)
    assert (now.status, now.attempts, now.revision) == ("failed", 3, 0)
    assert not Effect.objects.exists()


def test_who_has_rehearsed_a_message_and_what_it_came_to_stands_in_the_audit_and_in_its_story(desk: Client) -> None:
    message = failed("fail")

    desk.post(page_of(message), {"act": "rehearse"})

    [entry] = AuditEntry.objects.all()
    assert (entry.actor, entry.action, entry.message_id, entry.subject) == (
        "lead",
        "rehearse",
        message.pk,
        str(message),
    )
    assert entry.after == {"rehearsed": {"messages": 1, "failed": 1, "kinds_of_failure": 1}}
    story = text_of(desk.get(page_of(message)))
    assert "lead rehearsed it" in story
    assert "0 would succeed, 1 would not" in story
    assert audit.last_act_on(message.pk) is None


def test_an_edit_that_is_looked_at_notes_its_rehearsal_too(client: Client) -> None:
    client.force_login(user("nora", *LEAD))
    message = failed("fail")

    post(client, message, {"do": ""})

    entry = AuditEntry.objects.get(action="rehearse")
    assert (entry.actor, entry.message_id) == ("nora", message.pk)
    assert entry.after["rehearsed"] == {"messages": 1, "success": 1, "changed_keys": "do"}


def test_the_command_notes_one_entry_however_many_it_has_called(capsys: pytest.CaptureFixture[str]) -> None:
    for do in ["", "fail", "fail"]:
        failed(do)

    with pytest.raises(SystemExit):
        call_command("outbox_rehearse", consumer="shop.try_out", actor="ben")

    [entry] = AuditEntry.objects.all()
    assert (entry.actor, entry.subject) == ("ben", "3 messages of shop.try_out")
    assert entry.after == {"rehearsed": {"messages": 3, "success": 1, "failed": 2, "kinds_of_failure": 1}}
    assert entry.origin.startswith("command (")
    assert "2  would fail" in capsys.readouterr().out


def rehearse_in_the_background() -> None:
    taken = background.take()
    assert taken is not None
    background.play(taken)


@pytest.fixture
def night(client: Client) -> Client:
    client.force_login(user("nora", *LEAD))
    return client


def test_a_frozen_set_is_rehearsed_in_the_background_and_its_page_leads_on(night: Client) -> None:
    for do in ["", "fail at COMMIT", "fail at COMMIT", "fail", "reject"]:
        failed(do)
    page = page_of(prepared())
    before = text_of(night.get(page))

    begun = text_of(night.post(page, {"act": "rehearse"}, follow=True))
    rehearse_in_the_background()
    done = text_of(night.get(page))

    assert "Rehearse all of it" in before
    assert "Workers rehearse it in the background" in begun
    assert "It waits for a worker" in begun
    assert "Stop the rehearsal" in begun
    assert "3 would succeed, 2 would fail, for 2 reasons, each by itself." in done
    assert "1 × It would fail: the till is jammed" in done
    assert "of one chunk of 5 together, one after the other, 2 would succeed" in done
    assert "Begun by nora" in done
    assert "Next: start it, a few messages first" in done
    assert "Rehearse all of it again" in done
    assert Message.objects.exhausted().count() == 5


def test_how_far_it_has_come_is_shown_and_it_can_be_stopped(night: Client) -> None:
    for _ in range(4):
        failed()
    operation = prepared()
    night.post(page_of(operation), {"act": "rehearse"})
    background.take()
    made = BulkRehearsal.objects.get()
    results = {"shop.try_out": {"counts": {"success": 1}, "groups": [], "together": None}}
    BulkRehearsal.objects.update(done=1, ran_seconds=60, results=results)

    page = night.get(page_of(operation))
    stopped = text_of(night.post(page_of(operation), {"act": "stop_rehearsal", "rehearsal": str(made.pk)}, follow=True))
    again = text_of(night.post(page_of(operation), {"act": "stop_rehearsal", "rehearsal": "\0"}, follow=True))

    assert "1 of 4 rehearsed. So far: 1 would succeed" in text_of(page)
    assert "about 3 min to go" in text_of(page)
    assert 'data-refresh="2"' in page.text
    assert "nora has stopped it. 1 of 4 rehearsed. 1 would succeed" in stopped
    assert "The rehearsal is over." in again


def test_one_that_ended_as_the_operation_was_started_says_so(night: Client) -> None:
    failed()
    operation = prepared()
    BulkRehearsal.objects.create(
        operation=operation, started_by="ada", state="stopped", stopped_because="operation", total=4
    )

    assert "The operation was started, or cancelled. 0 of 4 rehearsed." in text_of(night.get(page_of(operation)))


def test_it_says_what_has_changed_since(night: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    message = failed()
    operation = prepared()
    night.post(page_of(operation), {"act": "rehearse"})
    rehearse_in_the_background()
    before = text_of(night.get(page_of(operation)))

    Message.objects.filter(pk=message.pk).update(revision=1)
    monkeypatch.setattr(rehearsal, "digest_of", lambda consumer: "another")
    after = text_of(night.get(page_of(operation)))

    changed = ["Somebody has acted on messages of the set since.", "The code of shop.try_out has changed since"]
    assert [text in before for text in changed] == [False, False]
    assert [text in after for text in changed] == [True, True]


def test_an_operation_under_way_is_not_warned_of_what_it_does_itself(night: Client) -> None:
    message = failed()
    operation = prepared()
    night.post(page_of(operation), {"act": "rehearse"})
    rehearse_in_the_background()
    BulkOperation.objects.filter(pk=operation.pk).update(state=BulkState.RUNNING)
    Message.objects.filter(pk=message.pk).update(revision=1)

    page = text_of(night.get(page_of(operation)))

    assert "1 would succeed" in page
    assert "Somebody has acted on messages of the set since." not in page


def test_where_nothing_can_be_rehearsed_the_button_says_why(night: Client) -> None:
    Message.objects.filter(pk=failed().pk).update(consumer="shop.book")
    operation = prepared()

    page = night.get(page_of(operation))
    refused = text_of(night.post(page_of(operation), {"act": "rehearse"}, follow=True))

    assert "No consumer of this set can be rehearsed" in text_of(page)
    assert "Nothing of this set can be rehearsed." in refused
    assert not BulkRehearsal.objects.exists()


def test_who_may_only_look_at_operations_may_not_rehearse_them(client: Client) -> None:
    failed()
    operation = prepared()
    client.force_login(user("viewer", "view_message", "view_bulkoperation"))

    shown = text_of(client.get(page_of(operation)))
    refused = text_of(client.post(page_of(operation), {"act": "rehearse"}, follow=True))

    assert "it takes the permission “outbox.retry_message”" in shown
    assert "it takes the permission “outbox.retry_message”" in refused
    assert not BulkRehearsal.objects.exists()


def test_who_may_not_retry_may_not_rehearse_and_others_are_not_asked(client: Client, viewer: User) -> None:
    message = failed()
    client.force_login(viewer)

    page = client.get(page_of(message)).text
    assert re.search(
        r"disabled\s*>Would it work now\? Rehearse it</button>\s*<span[^>]*>[^<]*outbox.retry_message", page
    )
    assert client.post(page_of(message), {"act": "rehearse"}).status_code == 403


def test_a_consumer_that_has_promised_nothing_is_not_offered(desk: Client) -> None:
    message = failed()
    Message.objects.filter(pk=message.pk).update(consumer="shop.book")

    assert "Would it work now?" not in desk.get(page_of(message)).text
    assert desk.post(page_of(message), {"act": "rehearse"}).status_code == 403
