"""What pruning must leave: the messages of windows that have not balanced, and those of differences.

A message is looked at by its business row, so that none is held but those of the very windows.
"""

from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from outbox.books.business import Numbered, messages_of, of_key
from outbox.books.declaring import Book, get_book
from outbox.models import BookDifference, BookState, BookWindow, WindowState
from outbox.models.queryset import MessageQuerySet


def without_held(messages: MessageQuerySet) -> MessageQuerySet:
    """Leave out the messages that a book still needs."""
    for state in BookState.objects.all():
        messages = messages.exclude(_held_by(state))
    if BookDifference.objects.unexplained().exists():
        named = BookDifference.objects.unexplained().filter(message_id=OuterRef("pk"))
        messages = messages.exclude(Q(Exists(named)))
    return messages


def _held_by(state: BookState) -> Q:
    book = get_book(state.name)
    of_book = messages_of(state.topic).filter(pk=OuterRef("pk"))
    if book is None:
        # Declared by another release that is running: nobody here knows which rows are meant.
        return Q(Exists(of_book))
    return Q(Exists(of_book)) & Q(Exists(_unbalanced(book, state)))


def _unbalanced(book: Book, state: BookState) -> QuerySet[Any]:
    """Return the business row of a message, if its window is yet to balance: or to be read at all."""
    balanced = BookWindow.objects.filter(book=book.name, state=WindowState.BALANCED, number=OuterRef("n"))
    rows = of_key(book).filter(**{f"{book.since}__gte": state.began_at}).annotate(n=Numbered(F(book.since)))
    unbalanced: QuerySet[Any] = rows.filter(~Exists(balanced))
    return unbalanced
