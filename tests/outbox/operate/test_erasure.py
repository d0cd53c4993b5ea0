"""A person's data can be erased: from messages, attempts and the audit, whose chain stays whole."""

import json

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from outbox import audit, operate
from outbox.errors import NotAllowed
from outbox.models import Attempt, AuditEntry, Evidence, EvidenceKind, HandledAs, Message
from tests.harness.desk import wins

pytestmark = pytest.mark.django_db(transaction=True)
PERSON = "Ada Lovelace"
EMPTY = {"salt": "", "reason": "", "before": {}, "after": {}}


def everything() -> str:
    """Return all that our tables have, as text."""
    rows = [*Message.objects.all(), *Evidence.objects.all(), *Attempt.objects.all(), *AuditEntry.objects.all()]
    return json.dumps(json.loads(serializers.serialize("json", rows)), ensure_ascii=False)


def settled(lead: User) -> Message:
    """Return a message about the person that was discarded, with attempts and acts that name her."""
    message = wins.failed("17", payload={"winner": PERSON}, last_error=f"no address of {PERSON}")
    Attempt.objects.create(message=message, number=1, outcome="failed", error=PERSON, traceback=f"in {PERSON}")
    operate.discard(message.pk, revision=0, actor=lead, reason=f"{PERSON} has moved")
    return message


def test_a_person_is_erased_and_the_chain_is_whole(lead: User) -> None:
    message, other = settled(lead), wins.failed("18")
    operate.discard(other.pk, revision=0, actor=lead, reason="another one")
    assert everything().count(PERSON) >= 5

    erased = operate.erase([message.pk], actor=lead, reason="she asked for it")

    assert erased == 1
    assert PERSON not in everything()
    assert audit.verify_chain() is None
    assert AuditEntry.objects.get(message_id=other.pk).reason == "another one"
    note = AuditEntry.objects.order_by("id").last()
    assert note is not None
    assert (note.actor, note.action, note.reason) == ("lead", "erase", "she asked for it")
    assert note.before["messages"] == [message.pk]


def test_of_whom_there_is_no_message_the_audit_notes_it_under_a_name_that_says_nothing(lead: User) -> None:
    operate.erase([], subject="erased-17", actor=lead, reason="she asked for it")

    note = AuditEntry.objects.get()
    assert (note.action, note.subject, note.before) == (
        "erase",
        "erased-17: 0 messages",
        {"messages": [], "entries": []},
    )
    with pytest.raises(NotAllowed, match="Name 1 to"):
        operate.erase([], actor=lead, reason="she asked for it")


def test_what_proves_that_a_message_was_issued_is_erased_with_it(lead: User) -> None:
    message = wins.failed("17")
    proof = f"sent to {PERSON}"
    told = {"reason": "by hand", "outcome": HandledAs.ISSUED, "evidence": proof, "kind": EvidenceKind.NOTE}
    operate.mark_handled(message.pk, revision=0, actor=lead, **told)

    operate.erase([message.pk], actor=lead, reason="she asked for it")

    assert PERSON not in everything()
    assert audit.verify_chain() is None


def test_texts_that_are_gone_without_a_note_break_the_chain(lead: User) -> None:
    settled(lead)
    entry = AuditEntry.objects.get()

    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE outbox_auditentry SET salt = '', reason = '', before = '{}', after = '{}'")

    assert audit.verify_chain() == entry.pk


@pytest.mark.services
@pytest.mark.parametrize(
    "change", [{"reason": "other"}, {"actor": "", "salt": "", "reason": "", "before": {}, "after": {}}]
)
def test_postgresql_lets_texts_be_emptied_and_nothing_else_be_changed(change: dict[str, object], lead: User) -> None:
    settled(lead)

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL outbox.erase_audit = 'on'")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            AuditEntry.objects.update(**change)
        AuditEntry.objects.update(**EMPTY)


def test_what_is_not_settled_needs_its_payload(lead: User) -> None:
    done, waits = settled(lead), wins.failed("18", payload={"winner": PERSON})

    with pytest.raises(NotAllowed, match=f"{waits.pk}: The message is not settled yet"):
        operate.erase([done.pk, waits.pk], actor=lead, reason="she asked for it")

    assert Message.objects.get(pk=done.pk).payload == {"winner": PERSON}


def test_who_may_not_erase_erases_nothing(viewer: User, lead: User) -> None:
    message = settled(lead)

    with pytest.raises(NotAllowed, match="erase_message"):
        operate.erase([message.pk], actor=viewer, reason="for fun")

    assert PERSON in everything()


def test_the_command_shows_first_and_erases_when_it_is_told_to(lead: User, capsys: pytest.CaptureFixture[str]) -> None:
    message = settled(lead)
    who = {"actor": "ada", "reason": "she asked for it"}

    call_command("outbox_erase", key=["17"], **who)
    assert f"{message.pk}: " in capsys.readouterr().out
    assert PERSON in everything()

    call_command("outbox_erase", key=["17"], yes=True, **who)
    assert "1 message was erased, and what the audit said of it" in capsys.readouterr().out
    assert PERSON not in everything()
    with pytest.raises(CommandError, match="say which messages"):
        call_command("outbox_erase", **who)
