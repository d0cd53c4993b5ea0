"""What an operator writes on a message: who sees to it, and what is known of it."""

from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox import audit
from outbox.conf import conf
from outbox.errors import Conflict, NotAllowed
from outbox.models import Note
from outbox.operate import text_checks
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.message_row import read_seen
from outbox.operate.operator_action import Actor, OperatorAction, overtaken_by, snapshot

AUDITED_NOTE = ("owner", "text")


@noted_if_refused(Action.NOTE)
def set_note(
    message_id: int, *, revision: int, actor: Actor, owner: str = "", text: str = "", reason: str = "", origin: str = ""
) -> Note:
    """Write who sees to a message and what is known of it; both at once, as they are to be.

    ``revision`` is that of the note, 0 where there is none. The message itself is not touched, in whatever state it is,
    and a bulk operation that has it goes on.
    """
    action = OperatorAction(Action.NOTE, actor, reason, origin)
    action.check()
    wanted: dict[str, Any] = {
        "owner": text_checks.check_text(owner, limit=text_checks.OWNER_LENGTH),
        "text": text_checks.check_text(text, limit=text_checks.NOTE_LENGTH, lines=True),
    }
    message = read_seen(message_id)
    with transaction.atomic(using=conf().database):
        note, _made = Note.objects.get_or_create(message=message)
        if note.revision == revision and snapshot(note, AUDITED_NOTE) == wanted:
            raise NotAllowed(_("Nothing was changed."))
        return action.change(
            note,
            Note.objects.filter(pk=note.pk, revision=revision),
            audited=AUDITED_NOTE,
            subject=str(message),
            message_id=message.pk,
            conflict=partial(_conflict_over, message.pk),
            revision=F("revision") + 1,
            at=Now(),
            **wanted,
        )


def _conflict_over(message_id: int) -> Conflict:
    """Tell who has written on the message meanwhile."""
    entry = audit.last_note_on(message_id)
    if entry is None:
        return Conflict(_("What is written on the message has changed since you looked. Look again, then decide."))
    return overtaken_by(entry)
