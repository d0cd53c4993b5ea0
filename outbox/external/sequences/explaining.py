"""The sender's side: which number a message has, and what has become of a number."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from outbox.conf import conf
from outbox.delivery.database_errors import once_back
from outbox.external.sequences.signs import Numbered
from outbox.models import Message, NumberState, Resolution, SequenceNumber, SequenceStream, Status
from outbox.models.sequence import SequenceStreamQuerySet
from outbox.operate.wording import format_datetime

EPOCHS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Explained:
    """What has become of a number of one epoch. ``word`` is for programs, ``sentence`` for people.

    Words: not_given, waits, started, sent, failed, handled, discarded, overdue, withdrawn, gone.
    """

    stream: SequenceStream
    number: int
    word: str
    sentence: str
    message: Message | None = None


def numbers_of(messages: Sequence[Message]) -> dict[int, Numbered]:
    """Return the numbers of messages that are about to be sent, by the id of each."""
    ids = [message.pk for message in messages]
    rows = once_back(lambda: list(SequenceNumber.objects.filter(pk__in=ids).select_related("stream")))
    return {row.message_id: Numbered.of(row.stream, row.number) for row in rows}


def number_of(message_id: int) -> SequenceNumber | None:
    """Return the number of a message, with its stream; None if it has none."""
    return SequenceNumber.objects.filter(pk=message_id).select_related("stream").first()


def find_by_number(text: str) -> list[int]:
    """Return the ids of the messages that ``text`` means, as ``shop.orders/order.paid#17``, of whatever epoch."""
    name, sign, number = text.rpartition("#")
    if not sign or not number.isascii() or not number.isdecimal() or len(number) > 18:
        return []
    rows = SequenceNumber.objects.filter(stream__in=_streams(name.strip()), number=int(number))
    return list(rows.order_by("-stream_id").values_list("pk", flat=True)[:EPOCHS_SHOWN])


def explain(stream: str, number: int, *, epoch: str = "") -> list[Explained]:
    """Say what has become of a number, of each epoch of the stream, the newest first; nothing for an unknown stream."""
    streams = list(_streams(stream).order_by("-pk")[:EPOCHS_SHOWN])
    return [_explain(row, number) for row in streams if epoch in ("", row.epoch)]


def _streams(name: str) -> SequenceStreamQuerySet:
    forward, _slash, routing_key = name.partition("/")
    return SequenceStream.objects.filter(forward=forward, routing_key=routing_key)


def _explain(stream: SequenceStream, number: int) -> Explained:
    if not 0 < number <= stream.given:
        text = _("This number was not given. The highest is %(given)d.") % {"given": stream.given}
        return Explained(stream, number, "not_given", text)
    row = SequenceNumber.objects.filter(stream=stream, number=number).first()
    message = None if row is None else Message.objects.filter(pk=row.message_id).defer("payload", "headers").first()
    if row is None or message is None:
        return Explained(stream, number, "gone", _gone(row))
    word, sentence = _word_of(message)
    return Explained(stream, number, word, sentence, message)


def _gone(row: SequenceNumber | None) -> str:
    if row is None:
        days = conf().keep_finished.days
        text = _(
            "It is not kept any more. It was settled more than %(days)d days ago, or it was said never to come: then "
            "its message was reopened, and was sent under another number."
        )
        return text % {"days": days}
    if row.state == NumberState.SENT:
        return _("The broker has confirmed it. The message is not kept any more.")
    return _("The message was removed. The number will never come.")


def _word_of(message: Message) -> tuple[str, str]:
    at = format_datetime(message.finished_at) if message.finished_at else ""
    words = {"id": message.pk, "at": at, "attempts": message.attempts, "error": message.last_error[:500]}
    match message.status, message.resolution:
        case Status.PENDING, _resolution:
            text = _("Message %(id)d is not sent yet: it waits for its next attempt (attempts so far: %(attempts)d).")
            return "waits", text % words
        case Status.STARTED, _resolution:
            return "started", _("Message %(id)d is being sent.") % words
        case Status.SUCCESS, Resolution.HANDLED:
            return "handled", _("Message %(id)d was marked as handled by a person (%(at)s). It is not sent.") % words
        case Status.SUCCESS, _resolution:
            return "sent", _("Message %(id)d was sent, and the broker has confirmed it (%(at)s).") % words
        case Status.FAILED, Resolution.DISCARDED:
            return "discarded", _("Message %(id)d was discarded by a person (%(at)s). It is not sent.") % words
        case Status.FAILED, Resolution.OVERDUE:
            return "overdue", _("Message %(id)d was closed as overdue (%(at)s). It is not sent.") % words
        case Status.FAILED, Resolution.WITHDRAWN:
            return "withdrawn", _("Message %(id)d was withdrawn (%(at)s). It is not sent.") % words
        case _:
            text = _("Message %(id)d has failed and waits for a person at the desk (%(at)s): %(error)s")
            return "failed", text % words
