"""What people write on a message: who sees to it, what is known; never overwritten, gone with the message."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from outbox import audit, operate
from outbox.errors import Conflict, NotAllowed
from outbox.maintenance import pruning
from outbox.models import AuditEntry, Message, Note
from tests.harness.clock import DAY, database_time
from tests.harness.desk import user, wins
from tests.harness.rows import acts_done

pytestmark = pytest.mark.django_db(transaction=True)


def write(message: Message, **given: Any) -> Note:
    return operate.set_note(message.pk, **{"revision": 0, "actor": "ada", "owner": "ada", **given})


def test_what_is_written_is_kept_and_audited_and_the_message_is_not_touched(lead: User) -> None:
    message = wins.failed()

    note = write(message, actor=lead, owner=" ada ", text="the vendor looks into it", origin="10.0.0.7")

    assert (note.owner, note.text, note.revision) == ("ada", "the vendor looks into it", 1)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.message_id, entry.origin) == ("lead", "note", message.pk, "10.0.0.7")
    assert (entry.before, entry.after) == (
        {"owner": "", "text": ""},
        {"owner": "ada", "text": "the vendor looks into it"},
    )
    assert Message.objects.get().revision == message.revision


def test_writing_takes_the_permission_and_something_new() -> None:
    message = wins.failed()

    with pytest.raises(NotAllowed, match=r"outbox\.note_message"):
        write(message, actor=user("stranger", "view_message", "retry_message"))
    with pytest.raises(NotAllowed, match="Nothing was changed"):
        write(message, owner="")
    with pytest.raises(NotAllowed, match="too long"):
        write(message, text="x" * 10_001)
    with pytest.raises(Conflict, match="no longer there"):
        operate.set_note(message.pk + 1, revision=0, actor="ada", owner="ada")

    assert not acts_done().exists()
    assert not Note.objects.exists()


def test_the_second_who_writes_is_told_of_the_first() -> None:
    message = wins.failed()
    write(message, actor="bob", owner="bob")

    with pytest.raises(Conflict, match="bob wrote on the message since you looked"):
        write(message, owner="ada")

    assert Note.objects.get().owner == "bob"


def test_a_note_is_not_what_an_act_on_the_message_was_overtaken_by() -> None:
    message = wins.failed()
    operate.mark_handled(message.pk, revision=0, actor="bob", reason="sent", outcome="issued", evidence="V-1")
    write(message)

    entry = audit.last_act_on(message.pk)

    assert entry is not None
    assert entry.action == "handle"


def test_erasing_a_message_erases_the_note_and_leaves_who_saw_to_it(lead: User) -> None:
    message = wins.failed()
    write(message, text="Ada Lovelace rang")
    operate.discard(message.pk, revision=0, actor=lead, reason="twice")

    operate.erase([message.pk], actor=lead, reason="asked to")

    assert Note.objects.values_list("owner", "text").get() == ("ada", "")
    assert "Lovelace" not in str(list(AuditEntry.objects.values()))
    assert audit.verify_chain() is None


def test_a_note_goes_with_its_message() -> None:
    message = wins.success(at=database_time() - 60 * DAY)
    write(message)

    pruning.prune()

    assert not Message.objects.exists()
    assert not Note.objects.exists()
