"""Rehearsals at the desk: what a retry of messages would come to, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from outbox.admin.forms import lacks_permission
from outbox.admin.tones import Tone
from outbox.errors import NotRehearsable
from outbox.models import Message
from outbox.operate import Person
from outbox.operate.actions import Action
from outbox.operate.patch import NO_PATCH, Patch
from outbox.rehearsal import noted
from outbox.rehearsal.possible import why_impossible
from outbox.rehearsal.results import Group, Outcome

REHEARSE = Action.REHEARSE.value
STOP = "stop_rehearsal"
"""What forms post as their act."""

TONES = {Outcome.SUCCESS: Tone.GOOD, Outcome.FAILED: Tone.BAD}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that a rehearsal has found: how good it is, the words, and messages that it holds for."""

    tone: Tone
    text: str
    ids: Sequence[int] = ()


def refusal(user: Person) -> str:
    """Return why this person cannot rehearse here, in words; empty if they can."""
    return lacks_permission(Action.REHEARSE, user) or why_impossible()


def rehearse_message(message: Message, *, actor: Person, origin: str, patch: Patch = NO_PATCH) -> Line:
    """Return what a retry of the message would come to now, with its payload as the patch makes it."""
    try:
        summary = noted.rehearse(
            message.consumer,
            [message.pk],
            subject=str(message),
            message_id=message.pk,
            actor=actor,
            origin=origin,
            patch=patch,
        )
    except NotRehearsable as error:
        return Line(Tone.WAIT, _("It could not be rehearsed: %(why)s") % {"why": error})
    if not summary.groups:
        text = _("It would succeed now. It was called by the code of this moment, and all of it was rolled back.")
        return Line(Tone.GOOD, text)
    [group] = summary.groups
    return Line(TONES.get(group.outcome, Tone.WAIT), sentence_of(group))


def line_of(group: Group) -> Line:
    """Return what messages have in common that would not succeed, how many they are, and some of them."""
    return Line(TONES.get(group.outcome, Tone.WAIT), f"{group.count} × {sentence_of(group)}", group.ids)


def sentence_of(group: Group) -> str:
    """Return what the result means for somebody who thinks of a retry."""
    said = {"error": group.error or group.title}
    match group.outcome:
        case Outcome.FAILED:
            return _("It would fail: %(error)s") % said
        case Outcome.PUT_OFF:
            return _("It would be put off: %(error)s") % said
        case Outcome.BUSY:
            return _("Somebody else holds it, or what it needs, at this moment. Try again.")
        case Outcome.REFUSED:
            return _("It cannot be rehearsed: %(error)s") % said
        case _:
            return _("It is settled by now, or removed.")
