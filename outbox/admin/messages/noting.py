"""What people write on a message, on its page: who sees to it, and what is known."""

from typing import Any

from django import forms
from django.core.exceptions import ObjectDoesNotExist
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from outbox import operate
from outbox.admin.forms import FencedForm, Panel, lacks_permission
from outbox.models import Message, Note
from outbox.operate import Actor
from outbox.operate.actions import Action
from outbox.operate.text_checks import NOTE_LENGTH, OWNER_LENGTH


class NoteForm(FencedForm):
    """Owner and note, and the revision of the note that the operator was looking at."""

    act = Action.NOTE
    title = _("Who sees to it")
    button = _("Save")
    promise = _("For everybody who opens this message. Nothing is done to it.")
    done = _("Written down.")

    field_order = ("revision", "text", "owner")  # a key leads to the first

    owner = forms.CharField(label=_("Who sees to it"), max_length=OWNER_LENGTH, required=False)
    text = forms.CharField(
        label=_("Note"),
        max_length=NOTE_LENGTH,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 40}),
        help_text=_("What is known, and what the next person should do or leave alone."),
    )

    def carry_out(self, message_id: int, *, actor: Actor, origin: str) -> None:
        """Call ``operate`` with what was entered."""
        operate.set_note(message_id, actor=actor, origin=origin, **self.cleaned_data)


def note_on(message: Message) -> Note:
    """Return what is written on a message that was read with its ``note``; an empty one where nothing is."""
    try:
        return message.note
    except ObjectDoesNotExist:
        return Note(message=message)


def context_of(request: HttpRequest, message: Message, bound: NoteForm | None) -> dict[str, Any]:
    """Return what the page shows of it; ``bound`` is a form that was refused."""
    note = note_on(message)
    initial = {"revision": note.revision, "owner": note.owner, "text": note.text}
    return {
        "note": note,
        "note_panel": Panel(
            bound or NoteForm(initial=initial),
            lacks_permission(Action.NOTE, request.user),
            is_open=bound is not None,
        ),
        "may_take": note.owner != request.user.get_username(),
    }
