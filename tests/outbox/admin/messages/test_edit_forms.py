"""The project's own form for a payload: it changes its keys, and leaves what nobody touched."""

import re
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django import forms
from django.test import Client

from outbox import consumer, registry
from outbox.admin import edit_form
from outbox.admin.edit_forms import forget_form
from outbox.models import Message
from tests.harness.desk import ISSUE, TOPIC, text_of, wins
from tests.outbox.admin.messages.editing import NEW, OLD, edit_page, post, seen_on

pytestmark = pytest.mark.django_db(transaction=True)

LOCKED = "desk.locked"


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
    consumer(TOPIC, name=LOCKED, locked=["award"])(lambda _message: None)

    @edit_form(LOCKED)
    class LockedForm(forms.Form):
        award = forms.IntegerField()
        winner = forms.CharField()

    yield LOCKED
    forget_form(LOCKED)
    registry.forget_consumer(LOCKED)


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


def test_a_locked_field_is_shown_and_cannot_be_changed_by_hand_either(locked: str, editor: Client) -> None:
    message = wins.failed("7", consumer=locked)
    page = editor.get(edit_page(message)).content.decode()
    assert re.search(r'name="payload-award"[^>]*disabled', page)

    entered = {"payload-award": "99", "payload-winner": "bob@example.com"}
    seen = seen_on(post(editor, message, **entered))
    post(editor, message, step="save", seen=seen, **entered)

    assert Message.objects.get().payload == NEW
