"""Reading a book: what is new, what did not balance, what has changed; and remembering what was found.

A window is remembered as balanced when nothing in it differs or is open, and it is older than every running
transaction. It is read again when a row of it has changed, or nightly where the book cannot tell. What is older than
``KEEP_FINISHED`` and balanced is never read again: its messages are pruned.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import DateTimeField, Q, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Least, Now
from django.utils.translation import gettext as _

from outbox.books import orphans, reading, whole
from outbox.books.choosing import Reading, asked_for, oldest_askable, to_read
from outbox.books.declaring import Book
from outbox.books.horizon import Horizon, look
from outbox.books.reading import LISTED, Cut, Found, Spans, WindowCounts
from outbox.books.remembering import add, keep, write_windows
from outbox.conf import conf
from outbox.errors import BookBusy
from outbox.models import BookDifference, BookState
from outbox.models.book import Difference, start_of, window_of

HELD = timedelta(minutes=10)
"""How long whoever reads a book keeps others from it without a sign of life."""
SPAN = 96
"""Windows that the chore reads with one statement at most; a command reads all at once."""


@dataclass(frozen=True, slots=True)
class BookRun:
    """What one reading has come to: windows read, new differences, and whether there is more to read."""

    book: str
    windows: int
    found: int
    more: bool
    seconds: float


@dataclass(slots=True)
class _Reading(Reading):
    """One reading that is under way."""

    stop_at: float | None = None
    windows: int = 0
    found: int = 0
    more: bool = False
    spans: Spans = field(default_factory=dict)
    newest: int = 0
    """The newest message there was at its beginning."""
    strays: list[whole.Strays] | None = None
    """Where messages have no row, if all of them were seen in passing."""

    @property
    def is_over(self) -> bool:
        """Tell whether the time is up; what remains is for the next reading."""
        return self.stop_at is not None and time.monotonic() >= self.stop_at


def read_book(
    book: Book, *, budget: timedelta | None = None, since: datetime | None = None, until: datetime | None = None
) -> BookRun:
    """Read what must be read of a book, for about ``budget``; with ``since`` or ``until`` all of that span anew.

    Raises ``BookBusy`` while somebody else reads it.
    """
    began = time.monotonic()
    horizon = look()
    state = _hold(book, horizon)
    try:
        stop_at = None if budget is None else began + budget.total_seconds()
        run = _Reading(book, state, horizon, stop_at, spans=dict(state.spans), newest=orphans.newest())
        _begin_sweep(run)
        is_span = since is not None or until is not None
        _read_ranges(run, [asked_for(run, since, until)] if is_span else to_read(run, read_since=_go_on(run)))
        _sweep(run)
        seconds = time.monotonic() - began
        _finish(run, seconds, is_span=is_span)
        return BookRun(book.name, run.windows, run.found, run.more, seconds)
    finally:
        BookState.objects.filter(pk=book.name).update(held_until=None)


def _hold(book: Book, horizon: Horizon) -> BookState:
    """Make the book's state if there is none, and keep others from reading the book meanwhile."""
    begins = oldest_askable(horizon.now)
    known = {"topic": book.topic, "every_seconds": int(book.every.total_seconds()), "undeclared_since": None}
    BookState.objects.get_or_create(name=book.name, defaults={**known, "began_at": begins, "read_until": begins})
    free = Q(held_until__isnull=True) | Q(held_until__lt=Now())
    if not BookState.objects.filter(free, pk=book.name).update(held_until=Now() + HELD, **known):
        text = _("The book “%(book)s” is being read by somebody else. Ask again when they are done.")
        raise BookBusy(text % {"book": book.name})
    return BookState.objects.get(pk=book.name)


def _go_on(run: _Reading) -> datetime | None:
    """Return when the round began that this reading goes on with, as the last had no time left; None: it begins one.

    What was read in a round is not read in it again, so that each comes to its end, however much is due.
    """
    state = run.state
    if run.stop_at is not None and state.round_at is not None:
        return state.round_at
    state.round_at, state.round_settled = run.horizon.now, run.horizon.settled
    BookState.objects.filter(pk=state.pk).update(round_at=state.round_at, round_settled=state.round_settled)
    return None


def _pieces(run: _Reading, ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Cut what has a time limit into pieces."""
    for first, last in ranges:
        step = last - first if run.stop_at is None else SPAN
        for begin in range(first, last, max(step, 1)):
            yield begin, min(begin + max(step, 1), last)


def _read_ranges(run: _Reading, ranges: Sequence[tuple[int, int]]) -> None:
    for first, last in _pieces(run, ranges):
        if run.is_over:
            run.more = True
            return
        _read_range(run, first, last)
        _advance(run.state, first, last, upto=min(run.until, run.horizon.settled))
        BookState.objects.filter(pk=run.book.name).update(
            held_until=Now() + HELD,
            read_until=_by_now(run.state.read_until),
            spans=run.spans,
            reread_to=run.state.reread_to,
        )


def _by_now(at: datetime | None) -> Combinable | None:
    """Return a moment, or now if it lies ahead because the clock was set back in the meantime."""
    return None if at is None else Least(Value(at, output_field=DateTimeField()), Now())


def _advance(state: BookState, first: int, last: int, *, upto: datetime) -> None:
    """Note how far everything was read; what a running transaction may still write into is read again."""
    if first <= window_of(state.read_until):
        state.read_until = max(state.read_until, min(start_of(last), upto))
    if state.reread_at is not None and first <= state.reread_to:
        state.reread_to = max(state.reread_to, last)


def _read_range(run: _Reading, first: int, last: int) -> None:
    """Count a range, list what differs in it, and remember both."""
    with reading.only_reading():
        counts = _count(run, first, last)
        run.spans = reading.widened(run.spans, counts)
        found: list[Found] = []
        cuts: list[Cut] = []
        for number, window in sorted(counts.items()):
            listed, cut = reading.list_differences(
                run.book, number, window, run.spans, until=run.until, settled=run.until
            )
            found += listed
            cuts += cut
    with transaction.atomic(using=conf().database):
        run.found += keep(run.book, found, cuts, first, last)
        write_windows(run, run.spans, counts, found, first, last)
    run.windows += len(counts)


def _count(run: _Reading, first: int, last: int) -> dict[int, WindowCounts]:
    """Count a range. If it is long, and all messages are to be looked at anyway, both is done in one pass."""
    span = start_of(first), min(start_of(last), run.until)
    if run.strays is None and _sees_all(run) and last - first > SPAN:
        counts, run.strays = whole.count(run.book, *span, settled=run.until)
        return counts
    return reading.count(run.book, *span, settled=run.until)


def _sees_all(run: _Reading) -> bool:
    """Tell whether there is time for everything, and so much to look at that it is worth it."""
    return run.stop_at is None and whole.is_possible() and run.newest - run.state.swept_to > orphans.BLOCK


def _begin_sweep(run: _Reading) -> None:
    """Look at all messages once a day, else at those that have come since."""
    state = run.state
    if state.swept_at is None or state.swept_at < run.horizon.now - orphans.NIGHTLY:
        state.swept_to, state.swept_at = 0, run.horizon.now


def _sweep(run: _Reading) -> None:
    """Look for messages without a business row, and see whether those that were found still have none."""
    book, state = run.book, run.state
    standing = list(
        BookDifference.objects.standing().filter(book=book.name, kind=Difference.NO_BUSINESS).order_by("pk")
    )
    there = orphans.still_there(book, standing)
    gone = [one.pk for one in standing if one.message_id not in there]
    BookDifference.objects.filter(pk__in=gone).update(gone_at=Now())
    known = {one.message_id for one in standing}
    spans = [(state.swept_to, run.newest)]
    if run.strays is not None:
        spans = [(stray.first - 1, stray.last) for stray in run.strays]
    settled = orphans.newest_settled(min(run.horizon.settled, run.until))
    for after, upto in spans:
        reached = _search(run, after, upto, known)
        if run.strays is None:
            state.swept_to = max(state.swept_to, min(reached, settled))
    if run.strays is not None:
        state.swept_to = max(state.swept_to, min(run.newest, settled))


def _search(run: _Reading, after: int, last: int, known: Collection[int | None]) -> int:
    """Look for messages without a row behind one and up to another; return how far it came in its time."""
    while after < last:
        if run.is_over:
            run.more = True
            break
        after = orphans.first_after(after)
        upto = last if run.stop_at is None else min(after + orphans.BLOCK, last)
        with reading.only_reading():
            found = orphans.search(run.book, after, upto, settled=run.until)
        run.found += add(run.book, [one for one in found if one.message_id not in known])
        after = upto if len(found) < LISTED else (found[-1].message_id or upto)
    return after


def _finish(run: _Reading, seconds: float, *, is_span: bool) -> None:
    """Note how far the book was read. A span that was asked for says nothing of what lies outside it."""
    state = run.state
    changes: dict[str, object] = {
        "swept_to": state.swept_to,
        "swept_at": _by_now(state.swept_at),
        "reread_to": state.reread_to,
        "reread_at": _by_now(state.reread_at),
    }
    if not is_span:
        changes |= {"seconds": seconds, "error": ""}
    if not is_span and not run.more:
        # What was not read to its end is due again at once. What changed after the round began is of the next.
        changed_at = _by_now(state.round_settled)
        changes |= {"changed_at": changed_at, "ran_at": Now(), "round_at": None, "round_settled": None}
    BookState.objects.filter(pk=state.pk).update(**changes)
