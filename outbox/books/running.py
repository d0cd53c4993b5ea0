"""The chore: each book is read as often as it says, a part at a time; celery-beat calls this every minute.

A book that fails is told of and does not keep the others from being read.
"""

import logging
from datetime import timedelta

from django.db.models.functions import Now

from outbox.books.declaring import Book, all_books
from outbox.books.horizon import HEARTBEAT
from outbox.books.keeping import read_book
from outbox.conf import conf
from outbox.errors import BookBusy
from outbox.models import BookDifference, BookState, BookWindow, Heartbeat, WindowState
from outbox.models.book import window_of
from outbox.monitoring.planned import must_take_over

log = logging.getLogger("outbox.books")

BUDGET = timedelta(seconds=5)
"""How long one pass reads a book: the control worker has the rescan to make as well."""
OVERDUE = timedelta(minutes=5)
"""Age of the last pass at which workers read the books themselves."""
TAKEOVER = "books by a worker"
ERROR_LENGTH = 2_000


def go_on(*, budget: timedelta = BUDGET) -> None:
    """Read every book that is due, for about ``budget`` each."""
    for book in all_books():
        if not BookState.objects.filter(pk=book.name, error="", ran_at__gt=Now() - book.every).exists():
            _read(book, budget)
    _forget_undeclared()
    _forget_old()
    Heartbeat.objects.record(HEARTBEAT)


def go_on_if_overdue() -> bool:
    """Read the books if nobody has looked for five minutes; tell whether it was us."""
    if not all_books() or not must_take_over(HEARTBEAT, after=OVERDUE, turn=TAKEOVER):
        return False
    go_on()
    return True


def _read(book: Book, budget: timedelta) -> None:
    try:
        run = read_book(book, budget=budget)
    except BookBusy:
        return
    except Exception as error:
        # The rows and conditions are the project's own: what they raise is its to mend, and the others' no concern.
        log.exception("the book %s cannot be read", book.name)
        said = f"{type(error).__name__}: {error}"[:ERROR_LENGTH]
        BookState.objects.filter(pk=book.name).update(error=said)
        return
    log.info("book %s: %d windows read, %d new differences, %.1f s", book.name, run.windows, run.found, run.seconds)


def _forget_undeclared() -> None:
    """Forget books that are in no process's code any more; a rolling deploy has a day for it."""
    undeclared = BookState.objects.exclude(pk__in=[book.name for book in all_books()])
    undeclared.filter(undeclared_since__isnull=True).update(undeclared_since=Now())
    gone = list(undeclared.filter(undeclared_since__lt=Now() - conf().gone_after).values_list("pk", flat=True))
    for model in (BookWindow, BookDifference):
        model._default_manager.filter(book__in=gone).delete()
    BookState.objects.filter(pk__in=gone).delete()


def _forget_old() -> None:
    """Forget differences that are gone and windows that have balanced, both older than ``KEEP_STATS``."""
    BookDifference.objects.filter(gone_at__lt=Now() - conf().keep_stats).delete()
    oldest = BookState.objects.annotate(now=Now()).values_list("now", flat=True).first()
    if oldest is not None:
        old = BookWindow.objects.filter(state=WindowState.BALANCED)
        old.filter(number__lt=window_of(oldest - max(conf().keep_stats, conf().keep_finished))).delete()
