"""Which windows must be read: what is new, what did not balance, what may have changed; or a span that is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from outbox.books.business import Numbered, messages_of, of_key, rows_of
from outbox.books.declaring import Book
from outbox.books.horizon import Horizon
from outbox.books.orphans import NIGHTLY
from outbox.conf import conf
from outbox.errors import BookRefused
from outbox.models import BookState, BookWindow, WindowState
from outbox.models.book import start_of, window_of

SLACK = timedelta(hours=1)
"""How much later than its business row a message may be finished, at the least, before it may have been pruned."""
RESOLUTION = timedelta(microseconds=1)
CHANGES_AGAIN = timedelta(minutes=1)
"""How far back before the last look changes are looked at again."""


@dataclass(slots=True)
class Reading:
    """A book, how it stands, and the moment it is read at."""

    book: Book
    state: BookState
    horizon: Horizon

    @property
    def until(self) -> datetime:
        """Up to when rows are old enough to count."""
        return self.horizon.now - self.book.minimum_age


def oldest_askable(now: datetime) -> datetime:
    """Return from when on no message that was done can have been pruned."""
    return start_of(window_of(now - conf().keep_finished + SLACK) + 1)


def refused_as_pruned(book: Book, oldest: datetime) -> BookRefused:
    """Return why a book cannot be asked about what is older than ``oldest``."""
    text = _(
        "The book “%(book)s” can be asked from %(oldest)s on: of what is older, messages may have been pruned. What it "
        "said then stands in the days that were closed."
    )
    at = timezone.localtime(oldest) if timezone.is_aware(oldest) else oldest
    return BookRefused(text % {"book": book.name, "oldest": f"{at:%Y-%m-%d %H:%M}"})


def asked_for(of: Reading, since: datetime | None, until: datetime | None) -> tuple[int, int]:
    """Return the range of windows that somebody asks for. Raises ``BookRefused`` for what may have been pruned."""
    oldest = start_of(_oldest_window(of))
    if since is not None and since < oldest:
        raise refused_as_pruned(of.book, oldest)
    first = window_of(since or oldest)
    last = window_of(min(until - RESOLUTION, of.until) if until else of.until) + 1
    return first, max(first, last)


def to_read(of: Reading, *, read_since: datetime | None = None) -> list[tuple[int, int]]:
    """Return the ranges of windows that must be read: what is new, what did not balance, what may have changed.

    Of the latter two leave out what was read after ``read_since``.
    """
    first, last = window_of(of.state.read_until), window_of(of.until) + 1
    known = BookWindow.objects.filter(book=of.book.name, number__lt=first)
    again = known.exclude(state=WindowState.BALANCED)
    numbers = set(again.values_list("number", flat=True)) | {number for number in _changed(of) if number < first}
    if read_since is not None:
        numbers -= set(known.filter(read_at__gte=read_since).values_list("number", flat=True))
    return [*([(first, last)] if first < last else []), *_ranges(sorted(numbers)), *_nightly(of, first)]


def _nightly(of: Reading, last: int) -> list[tuple[int, int]]:
    """Return what is left of the nightly reading of everything, where the book cannot tell what has changed."""
    state = of.state
    if of.book.changed:
        return []
    if state.reread_at is None:
        state.reread_at, state.reread_to = of.horizon.now, last
    elif state.reread_at < of.horizon.now - NIGHTLY:
        state.reread_at, state.reread_to = of.horizon.now, _oldest_window(of)
    begin = max(state.reread_to, _oldest_window(of))
    return [(begin, last)] if begin < last else []


def _oldest_window(of: Reading) -> int:
    """Return the first window that may be read although it has balanced: nothing of it can have been pruned."""
    return max(window_of(oldest_askable(of.horizon.now)), window_of(of.state.began_at))


def _changed(of: Reading) -> set[int]:
    """Return the windows of which a row has changed, as far as the book or a message that failed tells."""
    number = Numbered(F(of.book.since))
    failed = messages_of(of.book.topic).filter(exhausted_at__isnull=False)
    of_row = Subquery(of_key(of.book).annotate(n=number).values("n")[:1])
    numbers = set(failed.annotate(n=of_row).values_list("n", flat=True).distinct())
    if of.book.changed:
        known = of.state.changed_at or of.state.began_at
        rows = rows_of(of.book).filter(**{f"{of.book.changed}__gte": known - CHANGES_AGAIN})
        numbers |= set(rows.annotate(n=number).values_list("n", flat=True).distinct())
    oldest = _oldest_window(of)
    return {number for number in numbers if number is not None and number >= oldest}


def _ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return what is next to each other as one range."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number:
            ranges[-1] = (ranges[-1][0], number + 1)
        else:
            ranges.append((number, number + 1))
    return ranges
