"""Replaying a span of time: the events of a topic once more to one consumer, added later or mended after a bug.

Nothing is remembered of a run, for the rows say it: an event that has a row to the consumer which was written at or
after the end of the span has been replayed. So a run that was stopped is begun again with the same span, and goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, Max, Min, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from outbox.conf import conf
from outbox.declared import Consumer
from outbox.errors import NotAllowed
from outbox.models import Message, Resolution
from outbox.models.queryset import UNSETTLED, MessageQuerySet
from outbox.models.sql.replay import Source, write_replays
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.messages import receiver_of_replays
from outbox.operate.operator_action import Actor, OperatorAction
from outbox.operate.pacing import Pace

WINDOW = 20_000
"""Ids looked through by one query, for no index leads to a moment of publishing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The events of a topic that were published from ``since`` on and before ``until``, for one consumer."""

    topic: str
    consumer: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class SpanCount:
    """What a replay of a span would do."""

    to_write: int
    """Events that are to be written."""
    left_out: int
    """Events whose message to the consumer is not over: it waits, is under way, or waits for a person."""


def count_span(span: Span) -> SpanCount:
    """Count what ``replay_span`` would do now. Raises ``NotAllowed`` for what it would refuse."""
    _check(span)
    to_write, left_out = 0, 0
    for window in _windows():
        to_write += _sources(span).filter(window).count()
        left_out += _events(span).filter(window, UNSETTLED, consumer=span.consumer).count()
    return SpanCount(to_write, left_out)


@noted_if_refused(Action.REPLAY, name="consumer {.consumer}".format)
def replay_span(span: Span, *, same_key: bool, actor: Actor, reason: str, origin: str = "") -> Iterator[int]:
    """Write the events of ``span`` once more to its consumer; yield how many after each transaction.

    They stand at the ends of their ordering keys. What is not over is left out, and so are withdrawn events. The rescan
    sends them as fast as the consumer takes them. Each transaction has an entry in the audit.
    """
    action = OperatorAction(Action.REPLAY, actor, reason, origin)
    action.check()
    return _in_chunks(span, _check(span), action, same_key=same_key)


def _check(span: Span) -> Consumer:
    if not span.since < span.until <= timezone.now():
        raise NotAllowed(_("The span must end after it begins, and not later than now."))
    return receiver_of_replays(span.consumer, span.topic)


def _in_chunks(span: Span, consumer: Consumer, action: OperatorAction, *, same_key: bool) -> Iterator[int]:
    pace = Pace()
    for window in _windows():
        last = 0
        while True:
            with pace.timed():
                rows = _sources(span).filter(window, pk__gt=last).order_by("pk")[: pace.rows]
                written, last = _replay_chunk(span, consumer, rows, action, same_key=same_key)
            if not last:
                break
            if written:
                yield written


def _replay_chunk(
    span: Span, consumer: Consumer, rows: MessageQuerySet, action: OperatorAction, *, same_key: bool
) -> tuple[int, int]:
    """Replay these rows, which are looked for now; return how many were written, and the last row's id (0: none)."""
    with transaction.atomic(using=conf().database):
        sources = [Source(*row) for row in rows.values_list("pk", "ordering_key")]
        if not sources:
            return 0, 0
        written = write_replays(
            sources,
            consumer=consumer.name,
            attempt_limit=consumer.retry.limit,
            deadline=consumer.deadline,
            same_key=same_key,
        )
        after = {
            "messages": len(written),
            "of": [sources[0].id, sources[-1].id],
            "since": span.since.isoformat(),
            "until": span.until.isoformat(),
            "idempotency_key": "same" if same_key else "new",
        }
        action.record(f"{span.topic} → {span.consumer}", before={}, after=after)
    return len(written), sources[-1].id


def _windows() -> Iterator[Q]:
    """Return the parts of the table, by id, as it is now."""
    ends = Message.objects.aggregate(first=Min("pk"), last=Max("pk"))
    if ends["first"] is None:
        return
    for begin in range(ends["first"], ends["last"] + 1, WINDOW):
        yield Q(pk__gte=begin, pk__lt=begin + WINDOW)


def _events(span: Span) -> MessageQuerySet:
    """Keep the rows of the span that were not withdrawn."""
    rows = Message.objects.filter(topic=span.topic, created_at__gte=span.since, created_at__lt=span.until)
    return rows.exclude(resolution=Resolution.WITHDRAWN)


def _sources(span: Span) -> MessageQuerySet:
    """Keep one row of each event that is to be replayed: the consumer's own newest, else the first of another's."""
    same = _events(span).filter(key=OuterRef("key"))
    own = Message.objects.filter(topic=span.topic, key=OuterRef("key"), consumer=span.consumer)
    newest_own = Q(consumer=span.consumer) & ~Exists(own.filter(replay__gt=OuterRef("replay")))
    first_of_others = ~Q(consumer=span.consumer) & ~Exists(own) & ~Exists(same.filter(pk__lt=OuterRef("pk")))
    return _events(span).filter(newest_own | first_of_others).exclude(UNSETTLED, consumer=span.consumer)
