"""Numbers that run on: what of a sender is missing here, and whether our own receivers are told how far we are."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from django.db.models import Count, Exists, ExpressionWrapper, F, OuterRef, PositiveBigIntegerField, Q, Sum
from django.db.models.functions import Coalesce, JSONObject, Now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox.models import Gap, SaidOfGap, SequenceStream, WatchedStream
from outbox.monitoring.finding import Finding, Level, What, in_words

SILENT = timedelta(minutes=5)
"""How long a heartbeat may be missing before somebody is told that no gap of the stream would be noticed."""


@dataclass(frozen=True, slots=True)
class SequenceMeasurements:
    """How many numbers are missing, by source and what the sender says; streams without heartbeat; untold ones.

    ``silent``: by source, how many of its streams had no heartbeat for ``SILENT``. ``untold``: by forward, why its
    receivers have had none for as long.
    """

    gaps: dict[str, dict[str, int]] = field(default_factory=dict)
    silent: dict[str, int] = field(default_factory=dict)
    untold: dict[str, str] = field(default_factory=dict)


def rows_to_note() -> list[tuple[object, str, str, JSONObject]]:
    """Return what is read with the other notes: rows, what they are, whose, and the facts."""
    many = ExpressionWrapper(F("last") - F("first") + 1, output_field=PositiveBigIntegerField())
    newer = WatchedStream.objects.filter(source=OuterRef("source"), stream=OuterRef("stream"), pk__gt=OuterRef("pk"))
    silent = WatchedStream.objects.filter(~Exists(newer)).annotate(heard=Coalesce("beat_at", "since"))
    late = Q(said_at__lt=Now() - SILENT) | Q(said_at__isnull=True, since__lt=Now() - SILENT)
    return [
        (Gap.objects.open().order_by(), "gap", "watched__source", JSONObject(said=F("said"), many=Sum(many))),
        (silent.filter(heard__lt=Now() - SILENT).order_by(), "silent", "source", JSONObject(many=Count("pk"))),
        (
            SequenceStream.objects.filter(late, is_current=True).order_by(),
            "untold",
            "forward",
            JSONObject(error=F("error")),
        ),
    ]


def judge_gaps(measured: SequenceMeasurements) -> Iterator[Finding]:
    """Tell of each source what of it is missing, and where nobody would notice; of each forward, who is not told."""
    for source, by_said in sorted(measured.gaps.items()):
        yield _missing(source, by_said)
    for source, many in sorted(measured.silent.items()):
        text = ngettext(
            "%(name)s: of %(many)d numbered stream no heartbeat has come for %(age)s, so nobody would notice a gap. "
            "Ask its sender; if the stream has ended: manage.py outbox_gaps forget.",
            "%(name)s: of %(many)d numbered streams no heartbeat has come for %(age)s, so nobody would notice a gap. "
            "Ask their sender; if the streams have ended: manage.py outbox_gaps forget.",
            many,
        )
        words = {"name": source, "many": many, "age": in_words(SILENT)}
        yield Finding(Level.WARNING, What.GAPS, text % words, f"{source} silent", many, 0)
    for forward, error in sorted(measured.untold.items()):
        text = _("%(name)s: its receivers are not told which numbers were given, and cannot notice a gap: %(error)s")
        said = error or _("does the chore “outbox: sequences” run?")
        yield Finding(Level.WARNING, What.GAPS, text % {"name": forward, "error": said}, f"{forward} untold")


def _missing(source: str, by_said: dict[str, int]) -> Finding:
    lost, failed = by_said.get(SaidOfGap.SENT, 0), by_said.get(SaidOfGap.FAILED, 0)
    words = {"name": source, "many": lost, "failed": failed}
    if lost:
        text = ngettext(
            "%(name)s: %(many)d message is missing that its sender has sent. See which at the desk, under Gaps, or by "
            "manage.py outbox_gaps list, and ask the sender for it.",
            "%(name)s: %(many)d messages are missing that their sender has sent. See which at the desk, under Gaps, or "
            "by manage.py outbox_gaps list, and ask the sender for them.",
            lost,
        )
        return Finding(Level.CRITICAL, What.GAPS, text % words, source, lost, 0)
    if failed:
        text = ngettext(
            "%(name)s: %(failed)d message has failed at its sender, and waits for a person there.",
            "%(name)s: %(failed)d messages have failed at their sender, and wait for a person there.",
            failed,
        )
        return Finding(Level.WARNING, What.GAPS, text % words, source, failed, 0)
    return Finding(Level.OK, What.GAPS, _("%(name)s: what was missing is being sent again.") % words, source, 0, 0)
