"""What a project says of a book: which rows of its business belong to which messages, and when each is done."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

from django.db.models import Q, QuerySet

from outbox.errors import ConsumerError
from outbox.models.book import BOOK_LENGTH
from outbox.topics import is_pattern, is_topic

SHORTEST = timedelta(minutes=1)
"""How often a book may be read at most."""


class Book:
    """How rows of the business and messages belong together; make one with ``@book``.

    - ``business``: the rows, as a queryset on the engine's database.
    - ``key``: the field by which a message names its row; the text of it is the message's ``key``. ``"pk"``.
    - ``since``: a ``DateTimeField`` of the row that has an index: its business date, by which it is accounted for.
    - ``topic``: the topics of its messages, a pattern as a consumer has one.
    - ``done``: a ``Q``: which rows are done.
    - ``closed``: a ``Q``: which rows will never be done, and need not; none.
    - ``settled_by``: the consumers whose success makes a row done, by name; empty: all of them. The others need a
      message for each row, and nothing else.
    - ``changed``: a ``DateTimeField`` with an index that moves with every change of a row. Without it what has
      balanced is read again every night.
    - ``minimum_age``: how old a row and the last change of its message must be before they count; a minute.
    - ``sealed``: the fields that closing a day seals; all of the row's own.

    ``vendor`` may be overridden: it says how many of a span the other side's own book has.
    """

    name: ClassVar[str] = ""
    every: ClassVar[timedelta] = timedelta(minutes=10)

    business: ClassVar[QuerySet[Any]]
    key: ClassVar[str] = "pk"
    since: ClassVar[str]
    topic: ClassVar[str]
    done: ClassVar[Q]
    closed: ClassVar[Q | None] = None
    settled_by: ClassVar[Collection[str]] = ()
    changed: ClassVar[str] = ""
    minimum_age: ClassVar[timedelta] = timedelta(minutes=1)
    sealed: ClassVar[Collection[str]] = ()

    def vendor(self, begin: datetime, end: datetime) -> int | None:  # noqa: ARG002  # for those that have one
        """Return how many of what is done in this span the other side's own book has; None: there is no such book.

        It is called outside any transaction, may take its time, and what it raises is shown and nothing more.
        """
        return None


B = TypeVar("B", bound=type[Book])

_books: dict[str, Book] = {}

NEEDED = {"business": QuerySet, "since": str, "topic": str, "done": Q}


def book(name: str, *, every: timedelta = Book.every) -> Callable[[B], B]:
    """Register the decorated ``Book`` under ``name``, to be read ``every`` so long.

    Raises ``ConsumerError`` at start-up for what is missing or of the wrong kind. What can only be said of the whole
    project (the database of its rows, their indexes) ``manage.py check`` says.
    """
    if not (isinstance(name, str) and is_topic(name) and len(name) <= BOOK_LENGTH):
        raise ConsumerError(
            f"book({name!r:.200}): its name is words of letters, digits, _ and - joined by dots, at most "
            f"{BOOK_LENGTH} characters"
        )
    if not isinstance(every, timedelta) or every < SHORTEST:
        raise ConsumerError(f"book({name!r}): every must be a timedelta of at least {SHORTEST}, not {every!r:.200}")

    def register(declared: B) -> B:
        if not (isinstance(declared, type) and issubclass(declared, Book)):
            raise ConsumerError(f"book({name!r}): decorate a class that is derived from outbox.Book")
        for problem in _problems(declared):
            raise ConsumerError(f"book({name!r}): {problem}")
        known = _books.get(name)
        if known is not None and (type(known).__module__, type(known).__qualname__) != (
            declared.__module__,
            declared.__qualname__,
        ):
            raise ConsumerError(f"two books are named {name!r}: {type(known).__qualname__} and {declared.__qualname__}")
        declared.name, declared.every = name, every
        _books[name] = declared()
        return declared

    return register


def _problems(declared: type[Book]) -> list[str]:
    problems = [
        f"{field} must be given, as a {kind.__name__}"
        for field, kind in NEEDED.items()
        if not isinstance(getattr(declared, field, None), kind)
    ]
    if not problems and not is_pattern(declared.topic):
        problems.append(f"{declared.topic!r:.200} is no topic and no pattern of topics")
    if not isinstance(declared.closed, Q | None):
        problems.append("closed must be a Q, or None")
    if isinstance(declared.settled_by, str):
        problems.append("settled_by must be a list of names, not one text")
    if not isinstance(declared.minimum_age, timedelta) or declared.minimum_age < timedelta(0):
        problems.append("minimum_age must be a timedelta, and not negative")
    return problems


def all_books() -> list[Book]:
    """Return every book, by name."""
    return [_books[name] for name in sorted(_books)]


def get_book(name: str) -> Book | None:
    """Return the book of that name, or None if the code has none."""
    return _books.get(name)


def forget_book(name: str) -> None:
    """Take a book out again; for tests."""
    _books.pop(name, None)
