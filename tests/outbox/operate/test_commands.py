"""What can be done at the desk can be done from the shell, with the same refusals."""

import pytest
from django.core.management import CommandError, call_command
from django.utils.translation import override

from outbox.models import AuditEntry, ConsumerState, Evidence, Message
from tests.harness.desk import wins
from tests.harness.rows import proof

pytestmark = pytest.mark.django_db(transaction=True)
BY = ("--reason", "by phone", "--actor", "ada")


def acts() -> list[tuple[str, str, str]]:
    return list(AuditEntry.objects.order_by("id").values_list("action", "actor", "reason"))


def test_a_message_is_handled_reopened_and_discarded_from_the_shell(capsys: pytest.CaptureFixture[str]) -> None:
    message = wins.failed()
    id = str(message.pk)

    call_command("outbox_handle", id, "--outcome", "issued", "--evidence", "https://v/7", "--kind", "link", *BY)
    assert [str(row) for row in Evidence.objects.all()] == ["issued outside the system: https://v/7"]
    call_command("outbox_reopen", id, "--evidence-wrong", *BY)
    assert not Evidence.objects.standing().exists()
    call_command("outbox_discard", id, *BY)

    message.refresh_from_db()
    assert (message.resolution, message.revision) == ("discarded", 3)
    assert capsys.readouterr().out.splitlines() == [
        f"{id}: handled (desk.issue)",
        f"{id}: failed again, waiting for a person (desk.issue)",
        f"{id}: discarded (desk.issue)",
    ]
    assert acts() == [(act, "ada", "by phone") for act in ("handle", "reopen", "discard")]
    assert AuditEntry.objects.filter(origin__startswith="command (").count() == 3


def test_a_double_issue_is_acknowledged_from_the_shell() -> None:
    message = wins.success()
    proof(message, retried_at=message.finished_at)

    call_command("outbox_acknowledge", str(message.pk), *BY)

    assert not Evidence.objects.doubled().exists()
    assert acts() == [("acknowledge", "ada", "by phone")]


@pytest.mark.parametrize("command", ["outbox_discard", "outbox_reopen", "outbox_acknowledge"])
def test_what_is_refused_is_said_and_the_rest_is_done(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    pending = wins.pending()

    with pytest.raises(CommandError, match="1 of 1 refused"):
        call_command(command, str(pending.pk), *BY)

    assert capsys.readouterr().err.startswith(f"{pending.pk}: ")
    assert Message.objects.get().revision == 0


@pytest.mark.parametrize(
    ("command", "act"),
    [
        (("outbox_discard", "{id}"), "discard"),
        (("outbox_reopen", "{id}"), "reopen"),
        (("outbox_retry", "{id}"), "retry"),
        (("outbox_resume", "desk.issue"), "resume"),
    ],
)
def test_a_refused_command_is_in_the_audit_and_its_message_as_it_was(command: tuple[str, ...], act: str) -> None:
    pending = wins.pending()

    with pytest.raises(CommandError):
        call_command(*(part.format(id=pending.pk) for part in command), *BY)

    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.actor, entry.reason) == ("denied", "ada", "by phone")
    assert entry.before["act"] == act
    assert entry.before["why"]
    assert Message.objects.get().revision == 0


def test_why_a_command_was_refused_is_said_in_english_whatever_the_language_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = str(wins.success().pk)

    with override("zh-hans"):
        with pytest.raises(CommandError):
            call_command("outbox_withdraw", done, *BY)
        with pytest.raises(CommandError, match="The consumer is not paused"):
            call_command("outbox_resume", "desk.issue", *BY)

    whys = [entry.before["why"] for entry in AuditEntry.objects.order_by("id")]
    assert whys == ["It does not wait any more: it is over.", "The consumer is not paused."]
    assert whys[0] in capsys.readouterr().err


def test_a_pause_that_is_on_can_be_left_as_it_is() -> None:
    wins.pending()
    call_command("outbox_pause", "desk.issue", "--unless-paused", *BY)

    with pytest.raises(CommandError, match="is paused already, by ada"):
        call_command("outbox_pause", "desk.issue", "--unless-paused", "--reason=a sale", "--actor=machine")

    assert ConsumerState.objects.get(pk="desk.issue").paused_by == "ada"


def test_only_what_an_actor_has_paused_can_be_resumed() -> None:
    wins.pending()
    for said in ("is not paused, and not by machine", "was paused by ada, and not by machine"):
        with pytest.raises(CommandError, match=said):
            call_command("outbox_resume", "desk.issue", "--paused-by=machine", *BY)
        call_command("outbox_pause", "desk.issue", *BY)

    call_command("outbox_resume", "desk.issue", "--paused-by=ada", *BY)

    assert not ConsumerState.objects.paused().exists()
