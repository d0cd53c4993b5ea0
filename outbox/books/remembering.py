"""Remembering what was read: the differences, each once, and how each window stands."""

import logging
from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Count
from django.db.models.functions import Now

from outbox.books import reading
from outbox.books.business import CLOSED, DONE
from outbox.books.choosing import Reading
from outbox.books.declaring import Book
from outbox.books.reading import Cut, Found, Spans, WindowCounts
from outbox.models import BookDifference, BookWindow, WindowState
from outbox.models.book import WINDOW, Difference, start_of

log = logging.getLogger("outbox.books")

UNEVEN_FOR = timedelta(days=1)
"""How long a window is read again in which not every row has every consumer, until a later one tells what was meant."""


def keep(book: Book, found: Sequence[Found], cuts: Sequence[Cut], first: int, last: int) -> int:
    """Remember what was found in these windows, and that what was not found again is gone; return how much is new.

    What lies behind the end of a list that was cut off is not known to be gone.
    """
    standing = {
        (one.kind, one.key, one.consumer): one
        for one in BookDifference.objects.standing().filter(book=book.name, number__gte=first, number__lt=last)
    }
    seen = {(one.kind.value, one.key, one.consumer) for one in found}
    gone = [
        one.pk
        for which, one in standing.items()
        if which not in seen and not any(cut.hides(one.number, *which) for cut in cuts)
    ]
    BookDifference.objects.filter(pk__in=gone).update(gone_at=Now())
    return add(book, [one for one in found if (one.kind.value, one.key, one.consumer) not in standing])


def add(book: Book, found: Sequence[Found]) -> int:
    """Remember differences that are new; return how many those are."""
    fresh = [
        BookDifference(
            book=book.name,
            kind=one.kind,
            key=one.key,
            consumer=one.consumer,
            message_id=one.message_id,
            number=one.number,
            at=one.at,
        )
        for one in found
    ]
    BookDifference.objects.bulk_create(fresh, ignore_conflicts=True, batch_size=1_000)
    for one in found[:10]:
        log.warning("book %s: %s: %s %s", book.name, one.kind.value, one.key, one.consumer)
    return len(fresh)


def write_windows(
    of: Reading, spans: Spans, counts: dict[int, WindowCounts], found: Sequence[Found], first: int, last: int
) -> None:
    """Write what was counted; what is in no window any more is forgotten."""
    of_window = BookDifference.objects.unexplained().filter(book=of.book.name, number__gte=first, number__lt=last)
    differing = dict(of_window.values_list("number").annotate(many=Count("pk")))
    partial: dict[int, int] = {}
    for one in found:
        if one.kind is Difference.NO_MESSAGE and one.consumer and one.number is not None:
            partial[one.number] = partial.get(one.number, 0) + 1
    rows = [
        BookWindow(
            book=of.book.name,
            number=number,
            state=_state_of(of, spans, number, window, differing.get(number, 0)),
            business=sum(window.business.values()),
            done=window.business[DONE],
            closed=window.business[CLOSED],
            consumers=window.consumers,
            missing=window.without + partial.get(number, 0),
            read_at=of.horizon.now,
            **{name: window.messages[name] for name in reading.IN_WORK},
        )
        for number, window in counts.items()
    ]
    known = BookWindow.objects.filter(book=of.book.name).between(first, last)
    known.exclude(number__in=list(counts)).delete()
    BookWindow.objects.bulk_create(
        rows,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["book", "number"],
        update_fields=["state", "business", "done", "closed", "consumers", "missing", "read_at", *reading.IN_WORK],
    )


def _state_of(of: Reading, spans: Spans, number: int, window: WindowCounts, differing: int) -> WindowState:
    if differing:
        return WindowState.UNBALANCED
    end = start_of(number) + WINDOW
    if window.messages["open"] or window.young or end > min(of.horizon.settled, of.until):
        return WindowState.OPEN
    if end > of.horizon.now - UNEVEN_FOR and any(_is_last(spans, topic, number) for topic in window.uneven):
        return WindowState.OPEN
    return WindowState.BALANCED


def _is_last(spans: Spans, topic: str, number: int) -> bool:
    """Tell whether no later window says which consumers the rows of this one should have had."""
    return any(last <= number for _begin, last in spans.get(topic, {}).values())
