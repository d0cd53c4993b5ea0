"""How the books stand: what differs and nobody has explained, and whether they are read at all."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox.models.book import Difference
from outbox.monitoring.finding import Finding, Level, What, in_words
from outbox.monitoring.notes import Notes
from outbox.policy import ZERO


@dataclass(frozen=True, slots=True)
class BookMeasurements:
    """One book: what differs in it by kind, when it was last read, and how often it is to be."""

    name: str
    differences: dict[str, int] = field(default_factory=dict)
    read_ago: timedelta | None = None
    every: timedelta = ZERO
    error: str = ""

    @property
    def differing(self) -> int:
        """How many differences there are."""
        return sum(self.differences.values())


def measure_books(notes: Notes) -> tuple[BookMeasurements, ...]:
    """Return how the books stand that are declared, by name."""
    return tuple(
        BookMeasurements(name, notes.differences.get(name, {}), book.read_ago, book.every, book.error)
        for name, book in sorted(notes.books.items())
    )


def judge_books(
    books: Iterable[BookMeasurements], *, limit: timedelta, switched_off: bool = False
) -> Iterator[Finding]:
    """Tell of each book what does not balance, that it cannot be read, or that nobody has read it for long."""
    for book in books:
        if book.differing:
            yield Finding(Level.CRITICAL, What.BOOKS, differences_in_words(book), book.name, book.differing, 0)
        overdue = 2 * book.every + limit
        words = {"book": book.name, "error": book.error, "age": in_words(book.read_ago or ZERO)}
        if book.error:
            text = _("The book “%(book)s” cannot be read (%(error)s). Mend the class of that name in the code.")
            yield Finding(Level.WARNING, What.BOOKS, text % words, f"{book.name} error")
        elif book.read_ago is not None and book.read_ago > overdue and not switched_off:
            text = _(
                "The book “%(book)s” was last read %(age)s ago: look at the entry “outbox: books” in celery-beat and "
                "at the control worker's log. Until it is read, settled messages of its topics are kept."
            )
            seconds = (book.read_ago.total_seconds(), overdue.total_seconds())
            yield Finding(Level.WARNING, What.BOOKS, text % words, f"{book.name} unread", *seconds)
        elif not book.differing and book.read_ago is not None:
            text = _("The book “%(book)s” balances, read %(age)s ago.")
            yield Finding(Level.OK, What.BOOKS, text % words, book.name, 0, 0)


def differences_in_words(book: BookMeasurements) -> str:
    """Say what does not balance, kind by kind, and what to do."""
    kinds = ", ".join(
        f"{Difference(kind).label}: {book.differences[kind]}" for kind in Difference.values if kind in book.differences
    )
    text = ngettext(
        "The book “%(book)s” does not balance: %(many)d difference (%(kinds)s). See to it at the desk, under Books, or "
        "by manage.py outbox_books.",
        "The book “%(book)s” does not balance: %(many)d differences (%(kinds)s). See to them at the desk, under Books, "
        "or by manage.py outbox_books.",
        book.differing,
    )
    return text % {"book": book.name, "many": book.differing, "kinds": kinds}
