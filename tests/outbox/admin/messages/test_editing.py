"""The page on which one payload is edited: by JSON or by the project's own form, seen first, then retried."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django import forms
from django.test import Client
from django.urls import reverse

from outbox import operate, registry
from outbox.admin import edit_form
from outbox.admin.edit_forms import forget_form
from outbox.models import AttemptOutcome, AuditEntry, Message, PayloadVersion
from tests.harness.desk import ISSUE, ORDER, TOPIC, page_of, text_of, user, wins
from tests.harness.rows import attempt, proof

pytestmark = pytest.mark.django_db(transaction=True)

OLD = {"award": 17, "winner": "ada@example.com", "lines": [1, None]}
NEW = {**OLD, "winner": "bob@example.com"}
MAY = ("view_message", "edit_payload", "view_payload", "retry_message")
LOCKED = "desk.locked"


@pytest.fixture
def editor(client: Client) -> Client:
    client.force_login(user("edna", *MAY))
    return client


@pytest.fixture
def typed() -> Iterator[None]:
    """A form of the project's for the desk's consumer."""

    @edit_form(ISSUE)
    class WinForm(forms.Form):
        winner = forms.EmailField()
        amount = forms.DecimalField(required=False)
        note = forms.CharField(required=False)

    yield
    forget_form(ISSUE)


@pytest.fixture
def locked() -> Iterator[str]:
    registry.consumer(TOPIC, name=LOCKED, locked=["award"])(lambda _message: None)

    @edit_form(LOCKED)
    class LockedForm(forms.Form):
        award = forms.IntegerField()
        winner = forms.CharField()

    yield LOCKED
    forget_form(LOCKED)
    registry.forget_consumer(LOCKED)


def edit_page(message: Message) -> str:
    return reverse("admin:outbox_message_edit", args=[message.pk])


def post(client: Client, message: Message, payload: Any = NEW, *, step: str = "preview", **more: Any) -> Any:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    posted = {"revision": message.revision, "reason": "the address was wrong", "payload": text, "step": step, **more}
    return client.post(edit_page(message), posted, follow=True)


def seen_on(answer: Any) -> str:
    found = re.search(r'name="seen" value="([0-9a-f]{64})"', answer.content.decode())
    assert found, text_of(answer)
    return found[1]


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


def test_the_project_s_own_form_changes_its_keys_and_leaves_the_others(typed: None, editor: Client) -> None:
    message = wins.failed("7")
    entered = {"payload-winner": "bob@example.com", "payload-amount": "12.50", "payload-note": ""}

    page = editor.get(edit_page(message)).content.decode()
    assert 'value="ada@example.com"' in page
    assert "<textarea" in page
    seen = seen_on(post(editor, message, **entered))
    post(editor, message, step="save", seen=seen, **entered)

    assert Message.objects.get().payload == {**NEW, "amount": "12.50"}
    assert Decimal(Message.objects.get().payload["amount"]) == Decimal("12.5")


def test_the_project_s_own_form_says_what_is_wrong(typed: None, editor: Client) -> None:
    message = wins.failed("7")

    answer = post(editor, message, **{"payload-winner": "nobody"})

    assert "valid email" in text_of(answer)
    assert Message.objects.get().payload == OLD


SHOWN = {
    "winner": "a\nb ",
    "amount": 12.5,
    "note": None,
    "at": "2026-11-29T10:00:00.123456+00:00",
    "phone": "\u202a+49 151\u202c",
    "gift": True,
}


@pytest.fixture
def shown() -> Iterator[None]:
    @edit_form(ISSUE)
    class ShownForm(forms.Form):
        winner = forms.CharField(widget=forms.Textarea)
        amount = forms.DecimalField()
        note = forms.CharField(required=False)
        at = forms.DateTimeField()
        phone = forms.CharField()
        gift = forms.BooleanField(required=False)
        wrapped = forms.BooleanField(required=False)
        lines = forms.MultipleChoiceField(choices=[("a", "a")], required=False)

    yield
    forget_form(ISSUE)


def as_browsers_send_it(**changes: str) -> dict[str, str]:
    sent = {
        "winner": "a\r\nb ",
        "amount": "12.5",
        "note": "",
        "at": SHOWN["at"],
        "phone": "⟨U+202A⟩+49 151⟨U+202C⟩",
        "gift": "on",
    }
    return {f"payload-{name}": str(value) for name, value in {**sent, **changes}.items()}


def test_what_nobody_touched_keeps_its_very_value(shown: None, editor: Client) -> None:
    message = wins.failed("7", payload=SHOWN)

    assert "Nothing was changed" in text_of(post(editor, message, **as_browsers_send_it()))
    entered = as_browsers_send_it(amount="13", phone="⟨U+202A⟩+49 152⟨U+202C⟩", winner="a\r\nc")
    seen = seen_on(post(editor, message, **entered))
    post(editor, message, step="save", seen=seen, **entered)

    assert Message.objects.get().payload == {
        **SHOWN,
        "amount": "13",
        "phone": "\u202a+49 152\u202c",
        "winner": "a\nc",
    }


def test_a_blank_at_the_end_can_be_taken_away_and_new_lines_are_plain(shown: None, editor: Client) -> None:
    message = wins.failed("7", payload={key: value for key, value in SHOWN.items() if key != "winner"} | {"note": "x "})

    entered = as_browsers_send_it(note="x", winner="one\r\ntwo")
    seen = seen_on(post(editor, message, **entered))
    post(editor, message, step="save", seen=seen, **entered)

    assert (Message.objects.get().payload["note"], Message.objects.get().payload["winner"]) == ("x", "one\ntwo")


def test_a_locked_amount_may_stand_in_a_form(locked: str, editor: Client) -> None:
    message = wins.failed("7", consumer=locked, payload={**OLD, "award": 17.0})

    entered = {"payload-award": "99", "payload-winner": "bob@example.com"}
    assert seen_on(post(editor, message, **entered))


def test_a_form_whose_values_are_no_json_says_so(editor: Client) -> None:
    @edit_form(ISSUE)
    class FileForm(forms.Form):
        award = forms.TypedChoiceField(choices=[("1", "one")], coerce=lambda _value: object())

    try:
        answer = post(editor, wins.failed("7"), **{"payload-award": "1"})
    finally:
        forget_form(ISSUE)

    assert "no JSON" in text_of(answer)


def test_a_preview_is_a_look_as_well(editor: Client) -> None:
    post(editor, wins.failed("7"), {"x": 1})

    assert AuditEntry.objects.get().action == "reveal"


def test_what_takes_a_second_person_is_said_before_anything_is_typed(editor: Client, settings: Any) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "APPROVAL_ABOVE_VALUE": {"EUR": 100}}
    message = wins.failed("7", value=Decimal(101), currency="EUR")

    there = editor.get(edit_page(message), follow=True)

    assert "second person" in text_of(there)
    assert "ada@example.com" not in there.content.decode()


def test_a_locked_field_is_shown_and_cannot_be_changed_by_hand_either(locked: str, editor: Client) -> None:
    message = wins.failed("7", consumer=locked)
    page = editor.get(edit_page(message)).content.decode()
    assert re.search(r'name="payload-award"[^>]*disabled', page)

    entered = {"payload-award": "99", "payload-winner": "bob@example.com"}
    seen = seen_on(post(editor, message, **entered))
    post(editor, message, step="save", seen=seen, **entered)

    assert Message.objects.get().payload == NEW


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
