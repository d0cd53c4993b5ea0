"""Asking the other side at the desk: about one message, or about some of a frozen set."""

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox import registry
from outbox.admin.forms import lacks_permission
from outbox.admin.rehearsing import Line
from outbox.admin.tones import Tone
from outbox.models import BulkItem, BulkOperation, Message
from outbox.models.bulk import ItemResult, Why
from outbox.operate import Person
from outbox.operate.actions import Action
from outbox.operate.asking import Answer, Known, ask_about, can_be_asked

ASK = Action.ASK.value
"""What a form posts as its act."""
SOME = 20
"""Messages of a set that are asked about."""


def is_promised(consumer: str) -> bool:
    """Tell whether there is a question to the other side of a consumer."""
    return can_be_asked(registry.get(consumer))


def refusal(user: Person) -> str:
    """Return why this person cannot ask, in words; empty if they can."""
    return lacks_permission(Action.ASK, user)


def in_words(answer: Answer) -> Line:
    """Return what the other side said of one message."""
    match answer.known:
        case Known.YES:
            text = _("The other side has it, as “%(said)s”. Mark the message as handled, with that as evidence.")
            return Line(Tone.GOOD, text % {"said": answer.said})
        case Known.NO:
            return Line(Tone.WAIT, _("The other side knows nothing of it. It can be tried again."))
    return Line(Tone.BAD, _("The other side could not be asked: %(why)s") % {"why": answer.said})


def promised_of(operation: BulkOperation) -> list[str]:
    """Return the consumers of a retry whose other side can be asked."""
    if not operation.retries:
        return []
    return [name for name in _consumers(operation) if is_promised(name)]


def ask_about_some(operation: BulkOperation, consumers: Sequence[str], *, actor: Person, origin: str) -> list[Line]:
    """Ask about the first messages of the set, those first where the other side may have acted; say what it knows."""
    messages = _some(operation, consumers)
    answers = ask_about(messages, actor=actor, origin=origin)
    by_known = {known: [id for id, answer in answers.items() if answer.known is known] for known in Known}
    lines = []
    if ids := by_known[Known.YES]:
        text = ngettext("%(count)d: the other side has it already.", "%(count)d: it has them already.", len(ids))
        lines.append(Line(Tone.BAD, text % {"count": len(ids)}, ids))
    if ids := by_known[Known.NO]:
        text = ngettext("%(count)d: it knows nothing of it.", "%(count)d: it knows nothing of them.", len(ids))
        lines.append(Line(Tone.GOOD, text % {"count": len(ids)}, ids))
    if ids := by_known[Known.NOT_ASKED]:
        text = ngettext(
            "%(count)d could not be asked about: %(why)s", "%(count)d could not be asked about: %(why)s", len(ids)
        )
        lines.append(Line(Tone.WAIT, text % {"count": len(ids), "why": answers[ids[0]].said}, ids))
    return lines or [Line(Tone.WAIT, _("There is none left to ask about."))]


def _consumers(operation: BulkOperation) -> list[str]:
    return list(operation.consumers.order_by("consumer").values_list("consumer", flat=True))


def _some(operation: BulkOperation, consumers: Sequence[str]) -> list[Message]:
    items = BulkItem.objects.of(operation).filter(message__consumer__in=consumers).order_by("pk")
    suspects = items.filter(result=ItemResult.LEFT_OUT, why=Why.MAY_HAVE_ACTED)
    ids = list(suspects.values_list("message_id", flat=True)[:SOME])
    ids += items.todo().values_list("message_id", flat=True)[: SOME - len(ids)]
    found = Message.objects.in_bulk(ids)
    return [found[id] for id in ids if id in found]
