"""``outbox_edit`` and ``outbox_bulk edit``: what is changed is said key by key, and refused in a sentence."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from outbox.models import AuditEntry, BulkOperation, Message
from tests.harness.desk import ORDER, consumers, hints, plain_static_files, wins
from tests.harness.rows import attempt

__all__ = ["consumers", "hints", "plain_static_files"]
pytestmark = pytest.mark.django_db(transaction=True)
WHY = {"actor": "ada", "reason": "the key was renamed"}


def run(*arguments: Any, **options: Any) -> str:
    out = io.StringIO()
    call_command("outbox_edit", *arguments, stdout=out, stderr=out, **{**WHY, **options})
    return out.getvalue()


def test_a_message_is_edited_key_by_key_and_retried() -> None:
    message = wins.failed("7")

    said = run(message.pk, rename=["winner=person"], set=["award=18", 'more={"a": [1]}'], remove=["lines"])

    assert "edited, and pending again" in said
    assert Message.objects.get().payload == {"award": 18, "person": "ada@example.com", "more": {"a": [1]}}
    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.actor) == ("edit", "ada")


def test_the_answer_as_json_names_what_was_refused() -> None:
    fits, lacks = wins.failed("7"), wins.failed("8", payload={})

    out = io.StringIO()
    with pytest.raises(CommandError, match="1 of 2 refused"):
        call_command("outbox_edit", fits.pk, lacks.pk, rename=["winner=person"], json=True, stdout=out, **WHY)

    answers = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [answer["answer"] for answer in answers] == ["edited, and pending again", "refused"]
    assert "winner" in answers[1]["because"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "say what is to be changed"),
        ({"set": ["city=Bonn"]}, "double quotes"),
        ({"rename": ["winner"]}, "a key, =, and what it becomes"),
        ({"patch": "{"}, "no JSON"),
        ({"patch": '{"remove": ["a"], "remove": ["b"]}'}, "twice"),
        ({"rename": ["a=b", "a=c"]}, "twice"),
        ({"set": ["a=1", "a=2"]}, "twice"),
        ({"set": ["a=" + "9" * 5000]}, "digits"),
        ({"set": ["a=" + "[" * 20_000]}, "deeply"),
        ({"patch": '{"drop": 1}'}, "A patch is an object"),
        ({"patch": '{"remove": ["a"]}', "remove": ["b"]}, "not with both"),
    ],
)
def test_what_is_no_change_is_refused(options: dict[str, Any], said: str) -> None:
    message = wins.failed("7")

    with pytest.raises(CommandError, match=said):
        run(message.pk, **options)

    assert Message.objects.get().revision == 0


def test_where_the_other_side_may_have_acted_it_takes_a_new_order() -> None:
    message = wins.failed("7", consumer=ORDER)
    attempt(message, outcome="lost")

    with pytest.raises(CommandError, match="1 of 1 refused"):
        run(message.pk, remove=["lines"])
    run(message.pk, remove=["lines"], as_new_order=True)

    assert Message.objects.get().idempotency_key != message.idempotency_key


def test_a_set_is_prepared_with_the_patch() -> None:
    wins.failed("7")
    out = io.StringIO()

    call_command("outbox_bulk", "edit", "--all", "--rename", "winner=person", "--preview", "--actor", "ada", stdout=out)

    assert BulkOperation.objects.get().patch["rename"] == {"winner": "person"}
    assert "edit and retry" in out.getvalue()
