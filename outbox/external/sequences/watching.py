"""The receiver's side: which numbers of a sender have come, and which of them are missing for too long.

What is missing is only claimed as a gap when a heartbeat of the sender says that it was sent, and has said so for
longer than the limit. So what waits there, is tried again, or is overtaken on the way is none. A gap closes when the
message comes, or the word that it never will.

All of it is written in the transaction that takes the messages in: what was counted was taken in.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from outbox.conf import conf
from outbox.external.sequences import ranges
from outbox.external.sequences.ranges import Span
from outbox.external.sequences.signs import HEARTBEAT, VOID, Sign, sign_of
from outbox.models import Gap, GapEnd, WatchedStream
from outbox.sources import Incoming

log = logging.getLogger("outbox.sequences")

STREAMS = 10_000
"""Streams of a source that are watched at most: a routing key for each order would make one for each."""
SPANS = 5_000
"""Ranges of missing numbers that are kept for a stream at most, beside those that are gaps."""


def is_notice(incoming: Incoming) -> bool:
    """Tell whether it is no message, but says something of the sender's numbers."""
    sign = sign_of(incoming)
    return sign is not None and bool(sign.notice)


def part(batch: Sequence[Incoming]) -> tuple[list[Sign], list[Incoming]]:
    """Part the notices, which are no messages, from the messages. What only looks like a notice is a message."""
    notices, messages = [], []
    for incoming in batch:
        sign = sign_of(incoming)
        if sign is not None and sign.notice:
            notices.append(sign)
        else:
            messages.append(incoming)
    return notices, messages


def signs_of(came: Iterable[Incoming]) -> list[Sign]:
    """Return the numbers of messages that came; none of those that have none."""
    return [sign for incoming in came if (sign := sign_of(incoming)) is not None and not sign.notice]


def watch(source: str, signs: Sequence[Sign]) -> None:
    """Write down what came of a source, in the transaction that takes it in. Without signs nothing is asked."""
    of_stream: dict[tuple[str, str], list[Sign]] = defaultdict(list)
    for sign in signs:
        of_stream[sign.stream, sign.epoch].append(sign)
    # By name, so that two receivers do not wait for each other.
    for stream, epoch in sorted(of_stream):
        _watch(source, stream, epoch, of_stream[stream, epoch])


def _watch(source: str, stream: str, epoch: str, signs: Sequence[Sign]) -> None:
    rows = WatchedStream.objects.filter(source=source, stream=stream, epoch=epoch).select_for_update()
    row = rows.first()
    if row is None:
        if not _begin(source, stream, epoch, signs):
            return
        row = rows.get()
    now = _seconds_now(row)
    before = ranges.read_spans(row.missing)
    came = {sign.number for sign in signs if sign.notice != HEARTBEAT}
    spans, high = ranges.arrive(before, row.high, came, now)
    beats = [sign for sign in signs if sign.notice == HEARTBEAT]
    for beat in beats:
        spans, high = ranges.reach(spans, high, beat.number, now)
        spans = ranges.mark(spans, given=beat.number, open=beat.open, failed=beat.failed, now=now)
    if beats:
        spans = ranges.claim(spans, before=now - conf().gap_limit.total_seconds())
    spans = _not_too_many(row, spans)
    changes = {"beat_at": Now()} if beats else {}
    WatchedStream.objects.filter(pk=row.pk).update(high=high, missing=spans, at=Now(), **changes)
    if _claims(spans) != _claims(before):
        voids = {sign.number for sign in signs if sign.notice == VOID}
        sync_gaps(row, spans, voids=voids)


def _seconds_now(row: WatchedStream) -> float:
    """Return the time of our database, which is read once the row is ours."""
    at: Any = WatchedStream.objects.filter(pk=row.pk).annotate(now=Now()).values_list("now", flat=True).get()
    return float(at.timestamp())


def _begin(source: str, stream: str, epoch: str, signs: Sequence[Sign]) -> bool:
    """Begin to watch a stream: from its first number if its epoch began while we listened, else from what comes first.

    What was sent before we listened is nobody's gap. Of an earlier epoch we may hear first, as of one of its messages
    that is tried again: that is no sign that we listened when this one began.
    """
    others = WatchedStream.objects.filter(source=source)
    earlier = others.filter(stream=stream)
    if earlier.filter(*_before(signs)).exists():
        begin = 1
    elif others.count() >= STREAMS and not earlier.exists():
        log.error("%s: more than %d streams are numbered; %s is not watched", source, STREAMS, stream)
        return False
    else:
        begin = min(sign.number + (sign.notice == HEARTBEAT) for sign in signs)
    row = WatchedStream(source=source, stream=stream, epoch=epoch, begin=begin, high=begin - 1)
    WatchedStream.objects.bulk_create([row], ignore_conflicts=True)
    return True


def _before(signs: Sequence[Sign]) -> list[Q]:
    """Keep the streams that we listened to before the epoch began; all of them where its sender does not say when."""
    since = next((sign.since for sign in signs if sign.since is not None), None)
    if since is None:
        return []
    return [Q(since__lte=since if settings.USE_TZ else timezone.make_naive(since))]


def _not_too_many(row: WatchedStream, spans: list[Span]) -> list[Span]:
    loose = [span for span in spans if not span.claimed]
    if len(loose) <= SPANS:
        return spans
    log.error("%s: too many numbers are missing; what is missing longest is not watched any more", row)
    dropped = set(loose[: len(loose) - SPANS])
    return [span for span in spans if span not in dropped]


def _claims(spans: Iterable[Span]) -> list[tuple[int, int, str]]:
    """Return what is a gap, touching numbers of which the same is said together."""
    claims: list[tuple[int, int, str]] = []
    for span in spans:
        if not span.claimed:
            continue
        if claims and claims[-1][1] + 1 == span.first and claims[-1][2] == span.said:
            claims[-1] = (claims[-1][0], span.last, span.said)
        else:
            claims.append((span.first, span.last, span.said))
    return claims


def sync_gaps(row: WatchedStream, spans: Sequence[Span], *, voids: Collection[int] = ()) -> None:
    """Let the open gaps of a stream be what is claimed: new ones begin, and what has come is closed."""
    claims = _claims(spans)
    known = list(Gap.objects.open().filter(watched=row).order_by("first"))
    for gap in known:
        parts = [
            (max(first, gap.first), min(last, gap.last), said)
            for first, last, said in claims
            if first <= gap.last and last >= gap.first
        ]
        if not parts:
            end = GapEnd.VOID if any(gap.first <= number <= gap.last for number in voids) else GapEnd.CAME
            Gap.objects.filter(pk=gap.pk).update(closed_at=Now(), end=end)
            log.info("%s: gap %s is closed: %s", row, gap.numbers, end.label)
            continue
        first, last, said = parts[0]
        if (first, last, said) != (gap.first, gap.last, gap.said):
            Gap.objects.filter(pk=gap.pk).update(first=first, last=last, said=said)
        Gap.objects.bulk_create(
            Gap(watched=row, first=first, last=last, said=said, at=gap.at) for first, last, said in parts[1:]
        )
    covered = [Span(gap.first, gap.last, "", 0.0, claimed=True) for gap in known]
    for first, last, said in claims:
        new = [Span(first, last, said, 0.0, claimed=True)]
        for known_range in covered:
            new = ranges.cut_range(new, known_range.first, known_range.last)
        for span in new:
            Gap.objects.create(watched=row, first=span.first, last=span.last, said=said)
            log.warning("%s: numbers %d to %d are missing", row, span.first, span.last)
