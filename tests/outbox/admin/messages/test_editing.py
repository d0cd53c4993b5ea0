"""The page on which one payload is edited: by JSON or by the project's own form, seen first, then retried."""

import json
import re
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.test import Client

from outbox import operate
from outbox.models import AttemptOutcome, AuditEntry, Message, PayloadVersion
from tests.harness.desk import ISSUE, ORDER, page_of, text_of, user, wins
from tests.harness.rows import attempt, proof
from tests.outbox.admin.messages.editing import MAY, NEW, OLD, edit_page, post, seen_on

pytestmark = pytest.mark.django_db(transaction=True)


def test_four_steps_from_the_message_to_the_retry(editor: Client, hints: list[Any]) -> None:
    message = wins.failed("7")

    there = editor.get(page_of(message)).content.decode()
    assert f'href="{edit_page(message)}?"' in there
    form = editor.get(edit_page(message))
    assert "ada@example.com" in form.content.decode()
    seen = post(editor, message)
    assert "What it changes" in text_of(seen)
    assert 'winner "ada@example.com" "bob@example.com"' in text_of(seen)
    assert Message.objects.get().revision == 0
    done = post(editor, message, step="save", seen=seen_on(seen))

    assert "Edited, and pending again" in text_of(done)
    assert (Message.objects.get().payload, Message.objects.get().status) == (NEW, "pending")
    assert hints == [{ISSUE: [message.pk]}]


def test_whoever_opens_the_page_is_noted_as_having_seen_the_payload(editor: Client) -> None:
    message = wins.failed("7")

    editor.get(edit_page(message))

    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.actor, entry.message_id) == ("reveal", "edna", message.pk)


def test_what_was_not_seen_is_not_done(editor: Client) -> None:
    message = wins.failed("7")
    seen = seen_on(post(editor, message))

    answer = post(editor, message, {**NEW, "winner": "eve@example.com"}, step="save", seen=seen)

    assert "Not done yet" in text_of(answer)
    assert "eve@example.com" in text_of(answer)
    assert Message.objects.get().payload == OLD


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n  "award": 17,\n  "winner" "ada"\n}', "Line 3, column 12"),
        ("", "required"),
        ('{"a": 1, "a": 2}', "“a” stands there twice"),
        ("NaN", "JSON"),
        (json.dumps(OLD), "Nothing was changed"),
        ("[" * 5000 + "1" + "]" * 5000, "deeply"),
        ("[" * 600 + "1" + "]" * 600, "deeply"),
        ("1" * 5000, "digits"),
        ('{"a": "\\u0000"}', "NUL"),
        ('{"a\\ud800": 1, "a\\ud800": 2}', "twice"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(editor: Client, text: str, said: str) -> None:
    message = wins.failed("7")

    answer = post(editor, message, text)

    assert answer.status_code == 200
    assert said in text_of(answer)
    if text:
        assert text.splitlines()[0][:40] in answer.content.decode().replace("&quot;", '"')
    assert Message.objects.get().payload == OLD


def test_hidden_characters_are_written_out_and_come_back_the_same(editor: Client) -> None:
    message = wins.failed("7", payload={"name": "a\u202eb\u200dc\td", "award": 1})

    page = editor.get(edit_page(message)).content.decode()
    assert "\\u202e" in page
    assert "\u202e" not in page
    text = re.search(r"<textarea[^>]*name=\"payload\"[^>]*>(.*?)</textarea>", page, re.DOTALL)
    assert text is not None
    answer = post(editor, message, text[1].replace("&quot;", '"').strip())

    assert "Nothing was changed" in text_of(answer)


def test_a_preview_is_a_look_as_well(editor: Client) -> None:
    post(editor, wins.failed("7"), {"x": 1})

    assert AuditEntry.objects.get().action == "reveal"


def test_what_takes_a_second_person_is_said_before_anything_is_typed(editor: Client, settings: Any) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "APPROVAL_ABOVE_VALUE": {"EUR": 100}}
    message = wins.failed("7", value=Decimal(101), currency="EUR")

    there = editor.get(edit_page(message), follow=True)

    assert "second person" in text_of(there)
    assert "ada@example.com" not in there.content.decode()


def test_where_the_other_side_may_have_acted_it_is_asked_for_a_new_order(editor: Client) -> None:
    message = wins.failed("7", consumer=ORDER)
    attempt(message, outcome=AttemptOutcome.LOST)

    assert "as a new order" in text_of(editor.get(edit_page(message)))
    assert "required" in text_of(post(editor, message))
    seen = seen_on(post(editor, message, as_new_order="on"))
    post(editor, message, step="save", seen=seen, as_new_order="on")

    assert Message.objects.get().idempotency_key != message.idempotency_key


def test_what_was_issued_is_edited_only_by_somebody_who_knows_of_it(editor: Client) -> None:
    message = wins.failed("7", revision=1)  # nobody has closed what was never changed
    proof(message, "ORDER-77")

    assert "ORDER-77" in text_of(editor.get(edit_page(message)))
    assert "required" in text_of(post(editor, message))
    seen = seen_on(post(editor, message, confirm="on"))
    post(editor, message, step="save", seen=seen, confirm="on")

    assert Message.objects.get().status == "pending"


def test_somebody_faster_is_named_and_what_was_typed_stays(editor: Client) -> None:
    message = wins.failed("7")
    seen = seen_on(post(editor, message))
    operate.retry(message.pk, revision=0, actor="bob", reason="again")
    Message.objects.filter(pk=message.pk).update(
        status="failed", finished_at=message.due_at, exhausted_at=message.due_at, attempts=1
    )

    answer = post(editor, message, step="save", seen=seen)

    assert "Bob retried the message since you looked" in text_of(answer)
    assert "What you had entered" in text_of(answer)
    assert "bob@example.com" in text_of(answer)
    assert Message.objects.get().payload == OLD


@pytest.mark.parametrize("step", ["preview", "save"])
def test_a_page_that_was_opened_earlier_does_not_undo_what_a_colleague_has_edited(editor: Client, step: str) -> None:
    message = wins.failed("7")
    seen = seen_on(post(editor, message))
    operate.edit(message.pk, revision=0, payload={**OLD, "award": 18}, actor="bob", reason="another one")
    Message.objects.filter(pk=message.pk).update(
        status="failed", finished_at=message.due_at, exhausted_at=message.due_at, attempts=1
    )

    answer = post(editor, message, step=step, seen=seen)

    assert "Bob edited the payload" in text_of(answer)
    form = re.search(r'<textarea[^>]*name="payload"[^>]*>(.*?)</textarea>', answer.content.decode(), re.DOTALL)
    assert form is not None
    assert json.loads(unescape(form[1])) == {**OLD, "award": 18}
    assert 'name="revision" value="1"' in answer.content.decode()
    assert "bob@example.com" in text_of(answer)
    assert Message.objects.get().payload == {**OLD, "award": 18}


@pytest.mark.parametrize("lacks", ["edit_payload", "view_payload"])
def test_without_the_permissions_there_is_no_page_and_the_message_says_why(client: Client, lacks: str) -> None:
    message = wins.failed("7")
    client.force_login(user("nearly", *(set(MAY) - {lacks})))

    there = client.get(page_of(message))
    assert lacks in text_of(there)
    assert "disabled>Edit the payload and retry…</button>" in there.text
    for answer in (client.get(edit_page(message), follow=True), post(client, message, step="save")):
        assert lacks in text_of(answer)
        assert "ada@example.com" not in answer.content.decode()
    assert Message.objects.get().payload == OLD


@pytest.mark.parametrize("make", [wins.pending, wins.success, wins.discarded])
def test_only_what_has_failed_has_such_a_page(editor: Client, make: Any) -> None:
    message = make("7")

    answer = editor.get(edit_page(message), follow=True)

    assert answer.redirect_chain[-1][0] == page_of(message)
    assert "Edit the payload and retry" not in text_of(editor.get(answer.redirect_chain[-1][0]))


@pytest.mark.parametrize("id", ["9" * 5000, "0", "x", "12%00"])
def test_a_bad_address_leads_to_the_queue(editor: Client, id: str) -> None:
    answer = editor.get(f"/admin/outbox/message/{id}/edit/", follow=True)

    assert answer.status_code == 200
    assert "is not there" in text_of(answer)


def test_the_message_shows_what_it_had_before_masked_until_it_is_revealed(editor: Client) -> None:
    message = operate.edit(wins.failed("7").pk, revision=0, actor="ada", reason="x", payload=NEW)
    address = page_of(message)

    shown = editor.get(address)
    revealed = editor.post(address, {"act": "reveal"})

    assert "Before the edit by ada" in text_of(shown)
    assert "changed in the payload: winner" in text_of(shown)
    assert "ada@example.com" not in shown.content.decode()
    assert "ada@example.com" in revealed.content.decode().replace("&quot;", '"')
    assert PayloadVersion.objects.count() == 1
