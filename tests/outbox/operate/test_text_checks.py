"""What people write at the desk is kept as it reads: not too long, and without characters that are not seen."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from outbox import operate
from outbox.errors import NotAllowed
from outbox.models import AuditEntry, FailureGroup, GroupState, HandledAs, Message
from outbox.operate.text_checks import REASON_LENGTH
from tests.harness.desk import ISSUE, failure_group, wins
from tests.harness.rows import acts_done
from tests.outbox.admin.acting import LIST, retry, url_of

pytestmark = pytest.mark.django_db

HIDING = {
    "right to left override": "refund \u202e001 RUE",
    "zero width space": "vendor\u200bX",
    "left to right isolate": "\u2066ok\u2069",
    "byte order mark": "\ufeffok",
    "escape": "\x1b[31mok",
    "NUL": "o\0k",
    "half surrogate": "o\ud83dk",
    "line separator": "one\u2028two",
}


@pytest.mark.parametrize("text", HIDING.values(), ids=HIDING)
def test_a_reason_that_hides_a_character_is_refused_and_the_character_named(text: str, lead: User) -> None:
    message = wins.failed()
    code = next(ord(character) for character in text if not character.isprintable())

    with pytest.raises(NotAllowed, match=rf"U\+{code:04X}"):
        operate.retry(message.pk, revision=0, actor=lead, reason=text)

    assert Message.objects.get().revision == 0
    assert not acts_done().exists()


@pytest.mark.parametrize("text", ["é, 退款, رد, ☕ and naïve", "first line\r\nsecond\tcolumn"])
def test_a_reason_may_be_in_any_script_and_have_lines(text: str, lead: User) -> None:
    operate.retry(wins.failed().pk, revision=0, actor=lead, reason=text)

    assert AuditEntry.objects.get().reason == text


def test_a_reason_has_the_same_limit_at_every_door(desk: Client, lead: User) -> None:
    message = wins.failed()
    longest, too_long = "x" * REASON_LENGTH, "x" * (REASON_LENGTH + 1)

    with pytest.raises(NotAllowed, match="1001 characters, at most 1000"):
        operate.retry(message.pk, revision=0, actor=lead, reason=too_long)
    with pytest.raises(CommandError, match="1 of 1 refused"):
        call_command("outbox_retry", str(message.pk), "--reason", too_long, "--actor", "ada")
    assert retry(desk, message, reason=too_long).status_code == 200
    assert Message.objects.get().revision == 0
    assert retry(desk, message, reason=longest).status_code == 302


@pytest.mark.parametrize(
    "act",
    [
        lambda text: operate.mark_handled(
            wins.failed().pk, revision=0, actor="ada", reason="x", outcome=HandledAs.ISSUED, evidence=text
        ),
        lambda text: operate.pause(ISSUE, seen=None, actor="ada", reason=text),
        lambda text: operate.retry(wins.failed().pk, revision=0, actor=text, reason="x"),
        lambda text: _triage(note=text),
        lambda text: _triage(owner=text),
        lambda text: _triage(ticket=text),
        lambda text: _triage(reason=text),
    ],
    ids=["evidence", "reason of a pause", "actor", "note", "owner", "ticket", "reason of a triage"],
)
def test_whatever_else_is_written_hides_nothing_either(act: Callable[[str], Any]) -> None:
    with pytest.raises(NotAllowed, match=r"U\+202E"):
        act("ada \u202egro.live")

    assert not acts_done().exists()


def _triage(**texts: str) -> FailureGroup:
    made = failure_group()
    return operate.set_group(
        made.pk, revision=0, was=GroupState.NEW, actor="ada", state=GroupState.INVESTIGATING, **texts
    )


def test_the_forms_say_so_beside_what_was_entered(desk: Client) -> None:
    message = wins.failed()
    hiding = {"reason": "keep this \u202eword"}

    page = retry(desk, message, **hiding)
    picked = {"pick": [f"{message.pk}:0"], "confirmed": "1", **hiding}
    together = desk.post(LIST + "retry-selected/", picked)

    for answer in (page, together):
        assert "U+202E" in answer.text
        assert "keep this" in answer.text
    assert "1 message will be retried" in together.text
    assert Message.objects.get().revision == 0


def test_the_action_can_be_tried_again_without_the_character(desk: Client) -> None:
    message = wins.failed()
    retry(desk, message, reason="\u200bmended")

    retry(desk, message, reason="mended")

    assert AuditEntry.objects.get().reason == "mended"
    assert "lead retried the message" in desk.get(url_of(message)).text
