"""A retry where the other side may have acted: refused, wherever it comes from, until somebody has asked it."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from outbox import operate
from outbox.errors import NotAllowed
from outbox.models import AttemptOutcome, Message
from tests.harness.desk import ORDER, wins
from tests.harness.rows import attempt, proof

pytestmark = pytest.mark.django_db(transaction=True)
RETRY: dict[str, Any] = {"revision": 0, "actor": "ada", "reason": "the vendor is back"}


@pytest.fixture
def suspect(consumers: None, hints: list[Any]) -> Message:
    message = wins.failed("7", consumer=ORDER)
    attempt(message, outcome=AttemptOutcome.LOST)
    return message


def test_it_takes_the_word_that_the_other_side_was_asked(suspect: Message) -> None:
    with pytest.raises(NotAllowed, match="The other side may have acted"):
        operate.retry(suspect.pk, **RETRY)
    assert Message.objects.get().revision == 0

    operate.retry(suspect.pk, **RETRY, asked_other_side=True)

    assert Message.objects.get().status == "pending"


def test_what_cannot_have_acted_needs_no_word(consumers: None, hints: list[Any]) -> None:
    message = wins.failed("8", consumer=ORDER)
    attempt(message, outcome=AttemptOutcome.FAILED)

    operate.retry(message.pk, **RETRY)

    assert Message.objects.get().status == "pending"


def test_to_know_of_evidence_that_is_not_there_does_not_stand_for_having_asked(suspect: Message) -> None:
    with pytest.raises(NotAllowed, match="The other side may have acted"):
        operate.retry(suspect.pk, **RETRY, despite_evidence=True)
    with pytest.raises(CommandError, match="1 of 1 refused"):
        call_command("outbox_retry", str(suspect.pk), "--reason", "again", "--actor", "ada", "--despite-evidence")

    assert Message.objects.get().revision == 0


def test_to_have_asked_does_not_stand_for_knowing_of_the_evidence(suspect: Message) -> None:
    proof(suspect)

    with pytest.raises(NotAllowed, match="issued already"):
        operate.retry(suspect.pk, **RETRY, asked_other_side=True)

    assert operate.retry(suspect.pk, **RETRY, despite_evidence=True).status == "pending"


def test_so_does_the_command(suspect: Message, capsys: pytest.CaptureFixture[str]) -> None:
    given = (str(suspect.pk), "--reason", "the vendor is back", "--actor", "ada")
    with pytest.raises(CommandError, match="1 of 1 refused"):
        call_command("outbox_retry", *given)
    assert "The other side may have acted" in capsys.readouterr().err

    call_command("outbox_retry", *given, "--asked-other-side")

    assert Message.objects.get().status == "pending"
