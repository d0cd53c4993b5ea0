"""What comes from other systems: how each source stands, what is quarantined of it, and what a person must do."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, F, Sum
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox import sources
from outbox.conf import Conf
from outbox.models import Quarantined, SourceHold, SourceState
from outbox.monitoring.finding import Finding, Level, What, in_words
from outbox.monitoring.measurements import SourceMeasurements
from outbox.policy import ZERO

RECEIVER_LIMIT = timedelta(minutes=1)
"""How long receivers may say nothing of a source before health is critical: a restart takes less."""
HELD_LIMIT = timedelta(minutes=5)
"""How long a source may be held up by what passes, as high water or a broker's restart, before it is critical."""
AT_ONCE = frozenset({SourceHold.QUARANTINE, SourceHold.REFUSED})
"""What does not pass by itself."""


def measure_sources() -> tuple[tuple[SourceMeasurements, ...], int]:
    """Return how the sources of the code stand, and how many bytes are quarantined; two statements, or none."""
    declared = sources.all_sources()
    if not declared:
        return (), 0
    rows = {row.pk: row for row in _states()}
    of_source = Quarantined.objects.open().values("source").order_by("source")
    waiting, in_quarantine = {}, 0
    for name, many, size in of_source.annotate(many=Count("pk"), bytes=Sum("size")).values_list(
        "source", "many", "bytes"
    ):
        waiting[name] = many
        in_quarantine += int(size or 0)
    measured = (_measured(source, rows.get(source.name), waiting.get(source.name, 0)) for source in declared)
    return tuple(measured), in_quarantine


def judge_sources(measured: Iterable[SourceMeasurements], quarantine_bytes: int, limits: Conf) -> Iterator[Finding]:
    """Yield a finding for how each source is received, and one for what of it is quarantined, if anything is."""
    for source in measured:
        yield _receiving(source)
        if source.waiting:
            yield _quarantined(source, is_full=quarantine_bytes >= limits.quarantine_limit)


def _receiving(source: SourceMeasurements) -> Finding:
    seconds = None if source.said_ago is None else source.said_ago.total_seconds()
    figures = (source.name, seconds, RECEIVER_LIMIT.total_seconds())
    words = {
        "name": source.name,
        "queue": source.queue,
        "age": in_words(source.said_ago or ZERO),
        "limit": in_words(RECEIVER_LIMIT),
    }
    if source.said_ago is None:
        text = _(
            "%(name)s: no receiver has ever run, its messages wait in the queue %(queue)s. Start one: manage.py "
            "outbox_receiver"
        )
        return Finding(Level.CRITICAL, What.SOURCE, text % words, *figures)
    if source.said_ago > RECEIVER_LIMIT:
        text = _(
            "%(name)s: no receiver was heard of for %(age)s, limit %(limit)s; its messages wait in the queue "
            "%(queue)s. Is manage.py outbox_receiver running? Its log says what it does."
        )
        return Finding(Level.CRITICAL, What.SOURCE, text % words, *figures)
    if source.hold:
        level = Level.CRITICAL if source.hold in AT_ONCE or source.held_for > HELD_LIMIT else Level.WARNING
        return Finding(level, What.SOURCE, _held(source), source.name, source.held_for.total_seconds())
    if source.said:
        text = _(
            "%(name)s: the queue %(queue)s drops for good what was delivered %(times)s times (x-delivery-limit), and "
            "has no dead-letter exchange. Give it one, or take the limit off."
        )
        return Finding(Level.CRITICAL, What.SOURCE, text % {**words, "times": source.said}, *figures)
    if source.taken_ago is None:
        return Finding(Level.OK, What.SOURCE, _("%(name)s: a receiver runs, nothing has come yet.") % words, *figures)
    text = _("%(name)s: a receiver runs; the last message was taken in %(last)s ago.")
    return Finding(Level.OK, What.SOURCE, text % {**words, "last": in_words(source.taken_ago)}, *figures)


def _held(source: SourceMeasurements) -> str:
    words = {"name": source.name, "queue": source.queue, "age": in_words(source.held_for), "said": source.said}
    match source.hold:
        case SourceHold.HIGH_WATER:
            text = _(
                "%(name)s: nothing was taken in for %(age)s, as too many of its messages are unfinished here. They "
                "wait in the queue %(queue)s; it goes on by itself once consumers have caught up."
            )
        case SourceHold.QUARANTINE:
            text = _(
                "%(name)s: nothing was taken in for %(age)s, as the quarantine is full. Take in or discard what is "
                'there, or raise OUTBOX["QUARANTINE_LIMIT"].'
            )
        case SourceHold.BROKER:
            text = _("%(name)s: its broker has not answered for %(age)s: %(said)s")
        case SourceHold.REFUSED:
            text = _("%(name)s: its broker has refused the queue %(queue)s for %(age)s: %(said)s")
        case SourceHold.STOPPED:
            text = _("%(name)s: its receiver was stopped %(age)s ago. Start one: manage.py outbox_receiver")
        case _:
            text = _("%(name)s: the database has refused what came for %(age)s: %(said)s")
    return text % words


def _quarantined(source: SourceMeasurements, *, is_full: bool) -> Finding:
    text = ngettext(
        "%(name)s: %(many)d message could not be taken in and waits in quarantine for a person.",
        "%(name)s: %(many)d messages could not be taken in and wait in quarantine for a person.",
        source.waiting,
    )
    level = Level.CRITICAL if is_full else Level.WARNING
    return Finding(
        level, What.QUARANTINE, text % {"name": source.name, "many": source.waiting}, source.name, source.waiting, 0
    )


def _states() -> Iterable[Any]:
    return SourceState.objects.annotate(
        said_ago=_ago("at"), taken_ago=_ago("last_taken_at"), held_for=_ago("hold_since")
    )


def _ago(column: str) -> Combinable:
    return ExpressionWrapper(Now() - F(column), output_field=DurationField())


def _measured(source: sources.Source, row: Any, waiting: int) -> SourceMeasurements:
    if row is None:
        return SourceMeasurements(name=source.name, queue=source.queue, waiting=waiting)
    return SourceMeasurements(
        name=source.name,
        queue=source.queue,
        said_ago=row.said_ago,
        taken_ago=row.taken_ago,
        hold=row.hold,
        held_for=row.held_for or ZERO,
        said=row.said,
        taken=row.taken,
        known=row.known,
        quarantined=row.quarantined,
        waiting=waiting,
    )
