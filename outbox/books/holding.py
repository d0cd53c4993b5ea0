"""What pruning must leave: the messages of windows that have not balanced, and those of differences.

A message is looked at by its business row, so that none is held but those of the very windows. A window that is too old
to be read anew holds messages only if it is remembered as one that has not balanced: those that have are forgotten.
"""

from datetime import datetime
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from outbox.books.business import Numbered, messages_of, of_key
from outbox.books.choosing import oldest_askable
from outbox.books.declaring import Book, get_book
from outbox.models import BookDifference, BookState, BookWindow, WindowState
from outbox.models.book import start_of, window_of
from outbox.models.queryset import MessageQuerySet


def without_held(messages: MessageQuerySet) -> MessageQuerySet:
    """Leave out the messages that a book still needs."""
    nows = dict(BookState.objects.values_list("pk", Now()))
    for state in BookState.objects.filter(pk__in=nows):
        read_from = min(oldest_askable(nows[state.pk]), state.read_until)
        messages = messages.exclude(_held_by(state, read_from))
    if BookDifference.objects.unexplained().exists():
        named = BookDifference.objects.unexplained().filter(message_id=OuterRef("pk"))
        messages = messages.exclude(Q(Exists(named)))
    return messages


def _held_by(state: BookState, read_from: datetime) -> Q:
    book = get_book(state.name)
    of_book = messages_of(state.topic).filter(pk=OuterRef("pk"))
    if book is None:
        # Declared by another release that is running: nobody here knows which rows are meant.
        return Q(Exists(of_book))
    return Q(Exists(of_book)) & Q(Exists(_unbalanced(book, state, read_from)))


def _unbalanced(book: Book, state: BookState, read_from: datetime) -> QuerySet[Any]:
    """Return the business row of a message, if its window is yet to balance: or to be read at all."""
    windows = BookWindow.objects.filter(book=book.name, number=OuterRef("n"))
    differing = Exists(windows.exclude(state=WindowState.BALANCED))
    unread = Q(**{f"{book.since}__gte": start_of(window_of(read_from))}) & ~Exists(windows)
    rows = of_key(book).filter(**{f"{book.since}__gte": state.began_at}).annotate(n=Numbered(F(book.since)))
    unbalanced: QuerySet[Any] = rows.filter(differing | unread)
    return unbalanced
