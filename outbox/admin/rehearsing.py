"""Rehearsals at the desk: one message, or some of a frozen set, called by today's code and rolled back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox import registry
from outbox.admin.tones import Tone
from outbox.errors import NotRehearsable
from outbox.models import BulkItem, BulkOperation, Message
from outbox.operate import Person
from outbox.operate.actions import PERMISSIONS, Action
from outbox.operate.patch import NO_PATCH, Patch
from outbox.rehearsal import run
from outbox.rehearsal.results import Group, Outcome, Result, Summary

REHEARSE = "rehearse"
"""What a form posts as its act."""
SOME = 200
"""Messages of a set that a page rehearses; ``manage.py outbox_rehearse`` takes all of them."""

TONES = {Outcome.SUCCESS: Tone.GOOD, Outcome.FAILED: Tone.BAD}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that a rehearsal has found: how good it is, the words, and messages that it holds for."""

    tone: Tone
    text: str
    ids: Sequence[int] = ()


def is_offered(consumer: str, user: Person) -> bool:
    """Tell whether this person may rehearse messages of a consumer whose author has promised that it can be."""
    entry = registry.get(consumer)
    return entry is not None and entry.rehearsable and user.has_perm(PERMISSIONS[Action.RETRY])


def rehearse_message(message: Message, patch: Patch = NO_PATCH) -> Line:
    """Return what a retry of the message would come to now, with its payload as the patch makes it."""
    try:
        [result] = run.rehearse(message.consumer, [message.pk], patch=patch)
    except NotRehearsable as error:
        return Line(Tone.WAIT, _("It could not be rehearsed: %(why)s") % {"why": error})
    return Line(TONES.get(result.outcome, Tone.WAIT), _sentence(result))


def offered_of(operation: BulkOperation, user: Person) -> list[str]:
    """Return the consumers of a retry, edited or not, whose messages this person may rehearse."""
    if not operation.retries:
        return []
    return [name for name in sorted(operation.preview["consumers"]) if is_offered(name, user)]


def rehearse_some(operation: BulkOperation, consumers: Sequence[str]) -> list[Line]:
    """Rehearse the first messages of the set that wait for their turn, up to ``SOME`` of each of these consumers."""
    return [line for consumer in consumers for line in _rehearse_of(operation, consumer)]


def _rehearse_of(operation: BulkOperation, consumer: str) -> Iterator[Line]:
    items = BulkItem.objects.of(operation).todo().filter(message__consumer=consumer)
    ids = list(items.order_by("pk").values_list("message_id", flat=True)[:SOME])
    if not ids:
        return
    patch = Patch.from_json(operation.patch)
    try:
        summary = Summary.of(run.rehearse(consumer, ids, patch=patch))
        well, many = run.rehearse_together(consumer, ids, patch=patch)
    except NotRehearsable as error:
        yield Line(Tone.WAIT, _("%(consumer)s could not be rehearsed: %(why)s") % {"consumer": consumer, "why": error})
        return
    yield from _lines(consumer, summary.counts[Outcome.SUCCESS], summary.total, summary.groups)
    if well < many:
        text = _(
            "Together, one after the other, %(well)d of %(many)d would succeed: they take something from each other."
        )
        yield Line(Tone.WAIT, text % {"well": well, "many": many})


def _lines(consumer: str, well: int, total: int, groups: Iterable[Group]) -> Iterator[Line]:
    words = {"consumer": consumer, "well": well, "total": total}
    text = ngettext(
        "%(consumer)s: %(well)d of %(total)d message would succeed, each by itself.",
        "%(consumer)s: %(well)d of %(total)d messages would succeed, each by itself.",
        total,
    )
    yield Line(Tone.GOOD if well == total else Tone.WAIT, text % words)
    for group in groups:
        result = Result(group.ids[0], group.outcome, group.error, group.failure, group.title)
        yield Line(TONES.get(group.outcome, Tone.WAIT), f"{group.count} × {_sentence(result)}", group.ids)


def _sentence(result: Result) -> str:
    """Return what the result means for somebody who thinks of a retry."""
    said = {"error": result.error or result.title}
    match result.outcome:
        case Outcome.SUCCESS:
            return _("It would succeed now. It was called by the code of this moment, and all of it was rolled back.")
        case Outcome.FAILED:
            return _("It would fail: %(error)s") % said
        case Outcome.PUT_OFF:
            return _("It would be put off: %(error)s") % said
        case Outcome.BUSY:
            return _("Somebody else holds it, or what it needs, at this moment. Try again.")
        case Outcome.GONE:
            return _("It is settled by now, or removed.")
        case Outcome.REFUSED:
            return _("It cannot be rehearsed: %(error)s") % said
