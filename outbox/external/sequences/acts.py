"""What people do about numbers: close a gap, forget a stream that ended, begin a new epoch. Each is in the audit."""

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox.conf import conf
from outbox.delivery import numbering
from outbox.errors import Conflict
from outbox.external.sequences import ranges
from outbox.models import Gap, GapEnd, SequenceStream, WatchedStream
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.operator_action import Actor, OperatorAction
from outbox.operate.wording import format_datetime

AUDITED = ("first", "last", "said", "end")


def subject_of(gap_id: int) -> str:
    """Return what the audit calls a gap."""
    return f"gap {gap_id}"


@noted_if_refused(Action.CLOSE_GAP, name="gap {}".format)
def close_gap(gap_id: int, *, actor: Actor, reason: str, origin: str = "") -> Gap:
    """Say that a person has seen to what is missing: it was sent anew, or entered by hand, or is not needed.

    Raises ``Conflict`` if the gap is closed already.
    """
    action = OperatorAction(Action.CLOSE_GAP, actor, reason, origin)
    action.check()
    gap = Gap.objects.select_related("watched").filter(pk=gap_id).first()
    if gap is None or gap.closed_at is not None:
        raise _closed_already(gap)

    def cut() -> None:
        # First, as receivers lock the stream first.
        watched = WatchedStream.objects.select_for_update().get(pk=gap.watched_id)
        left = ranges.cut_range(ranges.read_spans(watched.missing), gap.first, gap.last)
        WatchedStream.objects.filter(pk=watched.pk).update(missing=left)

    return action.change(
        gap,
        Gap.objects.open().filter(pk=gap.pk, first=gap.first, last=gap.last),
        audited=AUDITED,
        subject=subject_of(gap_id),
        conflict=lambda: _closed_already(Gap.objects.filter(pk=gap_id).first()),
        first=cut,
        noted=({"source": gap.watched.source, "stream": gap.watched.stream}, {}),
        closed_at=Now(),
        end=GapEnd.PERSON,
        closed_by=action.actor_name,
    )


@noted_if_refused(Action.FORGET_STREAM, name="source {}".format)
def forget_stream(source: str, stream: str, *, actor: Actor, reason: str, origin: str = "") -> int:
    """Watch a stream no more, as its sender has ended it; return how many epochs were watched.

    If something comes of it after all, it is watched anew, from there on. Raises ``Conflict`` if none is watched.
    """
    action = OperatorAction(Action.FORGET_STREAM, actor, reason, origin)
    action.check()
    with transaction.atomic(using=conf().database):
        rows = list(WatchedStream.objects.select_for_update().filter(source=source, stream=stream).order_by("epoch"))
        if not rows:
            raise Conflict(_("Of the source “%(source)s” no such stream is watched.") % {"source": source})
        gaps = [gap.numbers for gap in Gap.objects.open().filter(watched__in=rows).order_by("first")[:100]]
        WatchedStream.objects.filter(pk__in=[row.pk for row in rows]).delete()
        action.record(f"source {source}", before={"stream": stream, "gaps": gaps}, after={})
    return len(rows)


@noted_if_refused(Action.NEW_EPOCH, name="forward {}".format)
def begin_epoch(forward: str, *, actor: Actor, reason: str, origin: str = "") -> int:
    """Let the numbers of a forward begin anew, as its database was put back to an earlier state; return its streams.

    PostgreSQL tells of a promotion and of a recovery by itself; a copy of its files, and SQLite, do not.

    Raises ``Conflict`` if it has given no numbers yet.
    """
    action = OperatorAction(Action.NEW_EPOCH, actor, reason, origin)
    action.check()
    with transaction.atomic(using=conf().database):
        rows = SequenceStream.objects.select_for_update().filter(forward=forward, is_current=True)
        streams = list(rows.order_by("routing_key"))
        if not streams:
            raise Conflict(_("The forward “%(forward)s” has given no numbers yet.") % {"forward": forward})
        begun = [numbering.begin_anew(stream, numbering.origin_of_database()) for stream in streams]
        action.record(
            f"forward {forward}",
            before={stream.name: stream.epoch for stream in streams},
            after={stream.name: stream.epoch for stream in begun},
        )
    return len(begun)


def _closed_already(gap: Gap | None) -> Conflict:
    if gap is None or gap.closed_at is None:
        return Conflict(_("The gap has changed since you looked, or is not there any more. Look again."))
    words = {"end": GapEnd(gap.end).label, "at": format_datetime(gap.closed_at)}
    return Conflict(_("The gap is closed already: %(end)s (%(at)s).") % words)
