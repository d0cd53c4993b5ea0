"""Comparing business and messages: counts of whole spans first, then lists of what does not fit. Read-only.

Each statement reads a span by the business date, and looks its messages up by key; so a row just before midnight and
its message just after it belong together. In a span in which everything fits nothing but counts leaves the database.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import xor
from typing import Any, NamedTuple

from django.db import connections, transaction

from outbox.books.business import DONE, OPEN, Sql, business_sql, messages_sql
from outbox.books.declaring import Book
from outbox.conf import conf
from outbox.models import BookDifference
from outbox.models.book import Difference, start_of

LISTED = 1_000
"""Differences of one kind that are listed of one window at most."""
IN_WORK = ("success", "handled", "discarded", "withdrawn", "overdue", "open")
"""What becomes of a message: the right side of the statement."""
SETTINGS = (
    "SET LOCAL transaction_read_only = on",
    "SET LOCAL jit = off",
    "SET LOCAL work_mem = '64MB'",
    "SET LOCAL enable_mergejoin = off",
    "SET LOCAL enable_sort = off",
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO'",
)
"""Nothing is written; keys are hashed, not sorted, and the hash table has room; a row's text is the same whoever reads.

Keys are compared as texts, and the groups are expressions: PostgreSQL cannot guess how many there are."""

Spans = dict[str, dict[str, list[int]]]
"""By topic and consumer, the first and the last window that has a message of it."""


@contextmanager
def only_reading() -> Iterator[None]:
    """Open a transaction in which the database refuses to write. Inside another transaction that one stays as it is."""
    connection = connections[conf().database]
    if connection.in_atomic_block or connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for setting in SETTINGS:
            cursor.execute(setting)
        yield


def ask(sql: Sql) -> list[tuple[Any, ...]]:
    """Return what a statement gives."""
    with connections[conf().database].cursor() as cursor:
        cursor.execute(sql.text, list(sql.params))
        return list(cursor.fetchall())


@dataclass(slots=True)
class WindowCounts:
    """One window as it was counted."""

    business: Counter[str] = field(default_factory=Counter)
    """Rows by what they are."""
    messages: Counter[str] = field(default_factory=Counter)
    """Messages by what became of them."""
    without: int = 0
    """Rows without any message."""
    of_consumer: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """By topic and consumer, how many messages, and their keys' hashes folded into one."""
    contrary: Counter[str] = field(default_factory=Counter)
    """Messages that disagree with their rows, by the kind of difference."""
    young: int = 0
    """Messages that disagree and are too young to count."""

    @property
    def uneven(self) -> list[str]:
        """The topics of which not every row has a message of every consumer."""
        of_topic: dict[str, set[tuple[int, int]]] = defaultdict(set)
        for (topic, _consumer), seen in self.of_consumer.items():
            of_topic[topic].add(seen)
        return sorted(topic for topic, seen in of_topic.items() if len(seen) > 1)

    @property
    def is_covered(self) -> bool:
        """Tell whether the counts alone say that each row has a message: one consumer has as many as there are rows."""
        most = max((many for many, _folded in self.of_consumer.values()), default=0)
        return most >= self.business.total()

    @property
    def fits(self) -> bool:
        """Tell whether the counts alone say that there is nothing to list."""
        return not (self.without or self.uneven or any(self.contrary.values()))

    @property
    def consumers(self) -> int:
        """How many consumers the rows of this window have, at most."""
        by_topic = Counter(topic for topic, _consumer in self.of_consumer)
        return max(by_topic.values(), default=0)


def count(book: Book, since: datetime, until: datetime, *, settled: datetime) -> dict[int, WindowCounts]:
    """Count the windows of a span; what changed after ``settled`` is too young to differ."""
    windows = count_business(book, since, until)
    business, messages = business_sql(book, since=since, until=until), messages_sql(book, until=settled)
    joined = Sql(
        f"SELECT b.n, b.state_, m.topic, m.consumer, m.class, m.old, count(*), {folded()} "  # noqa: S608
        f"FROM ({business.text}) b LEFT JOIN ({messages.text}) m ON m.key = b.k GROUP BY 1, 2, 3, 4, 5, 6",
        (*business.params, *messages.params),
    )
    for number, state, topic, consumer, became, old, many, hashes in ask(joined):
        add(book, windows[number], state, topic, consumer, became, old=bool(old), many=many, hashes=hashes)
    return dict(windows)


def count_business(book: Book, since: datetime, until: datetime) -> defaultdict[int, WindowCounts]:
    """Count the rows of a span by their windows and what they are."""
    business = business_sql(book, since=since, until=until)
    windows: defaultdict[int, WindowCounts] = defaultdict(WindowCounts)
    plain = Sql(f"SELECT n, state_, count(*) FROM ({business.text}) b GROUP BY 1, 2", business.params)  # noqa: S608
    for number, state, many in ask(plain):
        windows[number].business[state] += many
    return windows


def folded() -> str:
    """Return the expression that folds the keys of a group into one; SQLite gives the keys, of which it has few."""
    return "bit_xor(hashtextextended(b.k, 0))" if _is_postgresql() else "group_concat(b.k, char(10))"


def add(
    book: Book,
    window: WindowCounts,
    state: str,
    topic: str | None,
    consumer: str,
    became: str,
    *,
    old: bool,
    many: int,
    hashes: int | str,
) -> None:
    """Add to a window what a group of its rows and their messages comes to."""
    if topic is None:
        window.without += many
        return
    window.messages[became] += many
    seen, folded = window.of_consumer.get((topic, consumer), (0, 0))
    window.of_consumer[topic, consumer] = (seen + many, folded ^ _fold(hashes))
    kind = contrary(state, became) if not book.settled_by or consumer in book.settled_by else None
    if kind is not None and old:
        window.contrary[kind] += many
    elif kind is not None:
        window.young += many


def _fold(hashes: int | str) -> int:
    """Return the keys' hashes folded into one; SQLite gives the keys, of which it has few."""
    return hashes if isinstance(hashes, int) else reduce(xor, map(hash, hashes.split("\n")))


def contrary(state: str, became: str) -> Difference | None:
    """Tell how a row and what became of its message disagree, if they do."""
    if state == DONE and became == "open":
        return Difference.NOT_SETTLED
    if state == OPEN and became in ("success", "handled"):
        return Difference.NOT_DONE
    return None


@dataclass(frozen=True, slots=True)
class Found:
    """One difference: what kind, of which row and consumer, which message, in which window."""

    kind: Difference
    key: str
    consumer: str
    message_id: int | None
    number: int | None
    at: datetime


class Cut(NamedTuple):
    """A list that has ended at its limit: what comes behind its last was not looked at."""

    kind: Difference
    number: int
    consumer: str | None
    """The one that the list is of, None if it is of all."""
    last: tuple[str, str]

    def hides(self, number: int | None, kind: str, key: str, consumer: str) -> bool:
        """Tell whether a difference that is not in the list may be there all the same."""
        is_of_it = (number, kind) == (self.number, self.kind.value) and self.consumer in (None, consumer)
        return is_of_it and (key, consumer) > self.last


def list_differences(
    book: Book, number: int, counts: WindowCounts, spans: Spans, *, until: datetime, settled: datetime
) -> tuple[list[Found], list[Cut]]:
    """List what does not fit in one window, by the counts of which something does not; say what was cut off.

    What somebody has explained is listed besides, so that it never stands before what nobody has seen yet.
    """
    if counts.fits:
        return [], []
    since, end = start_of(number), min(start_of(number + 1), until)
    business, messages = business_sql(book, since=since, until=end), messages_sql(book, until=settled)
    limit = LISTED + BookDifference.objects.explained().filter(book=book.name, number=number).count()
    found: list[Found] = []
    cuts: list[Cut] = []
    for kind, only, sql in _lists(book, number, counts, spans, business, messages):
        rows = ask(Sql(f"{sql.text} LIMIT {limit}", sql.params))
        found += [Found(kind, key, consumer, id, number, since) for key, consumer, id in rows]
        if len(rows) == limit:
            key, consumer, _id = rows[-1]
            cuts.append(Cut(kind, number, only, (key, consumer)))
    return found, cuts


def _lists(
    book: Book, number: int, counts: WindowCounts, spans: Spans, business: Sql, messages: Sql
) -> Iterator[tuple[Difference, str | None, Sql]]:
    """Give each list that is needed: its kind, the consumer that it is of, and its statement."""
    if counts.without:
        yield Difference.NO_MESSAGE, "", _without_any(business, messages)
    for topic in counts.uneven:
        for consumer in sorted(one for of, one in counts.of_consumer if of == topic):
            first, last = spans.get(topic, {}).get(consumer, [number, number])
            if first < number < last:
                yield Difference.NO_MESSAGE, consumer, _without_one(business, messages, topic=topic, consumer=consumer)
    for kind in (Difference.NOT_SETTLED, Difference.NOT_DONE):
        if counts.contrary[kind]:
            yield kind, None, _contrary(book, business, messages, kind=kind)


def _without_any(business: Sql, messages: Sql) -> Sql:
    text = (
        f"SELECT b.k, '', NULL FROM ({business.text}) b WHERE NOT EXISTS "  # noqa: S608
        f"(SELECT 1 FROM ({messages.text}) m WHERE m.key = b.k) ORDER BY {_in_order('b.k')}"
    )
    return Sql(text, (*business.params, *messages.params))


def _without_one(business: Sql, messages: Sql, *, topic: str, consumer: str) -> Sql:
    text = (
        f"SELECT b.k, CAST(%s AS text), NULL FROM ({business.text}) b WHERE EXISTS "  # noqa: S608
        f"(SELECT 1 FROM ({messages.text}) m WHERE m.key = b.k AND m.topic = %s) AND NOT EXISTS "
        f"(SELECT 1 FROM ({messages.text}) m WHERE m.key = b.k AND m.topic = %s AND m.consumer = %s) "
        f"ORDER BY {_in_order('b.k')}"
    )
    return Sql(text, (consumer, *business.params, *messages.params, topic, *messages.params, topic, consumer))


def _contrary(book: Book, business: Sql, messages: Sql, *, kind: Difference) -> Sql:
    state, became = (DONE, ["open"]) if kind is Difference.NOT_SETTLED else (OPEN, ["success", "handled"])
    text = (
        f"SELECT b.k, m.consumer, min(m.id) FROM ({business.text}) b "  # noqa: S608
        f"JOIN ({messages.text}) m ON m.key = b.k "
        f"WHERE b.state_ = %s AND m.class IN ({_marks(became)}) AND m.old = 1"
    )
    params: tuple[Any, ...] = (*business.params, *messages.params, state, *became)
    if book.settled_by:
        text += f" AND m.consumer IN ({_marks(book.settled_by)})"
        params = (*params, *book.settled_by)
    return Sql(f"{text} GROUP BY 1, 2 ORDER BY {_in_order('b.k')}, {_in_order('m.consumer')}", params)


def _in_order(column: str) -> str:
    """Return by what a text is ordered as Python orders it, whatever the language of the database."""
    return f'{column} COLLATE "C"' if _is_postgresql() else column


def widened(spans: Spans, windows: Mapping[int, WindowCounts]) -> Spans:
    """Return the spans of the consumers with those of these windows."""
    known: Spans = {topic: {name: list(ends) for name, ends in of.items()} for topic, of in spans.items()}
    for number, window in windows.items():
        for topic, consumer in window.of_consumer:
            first, last = known.setdefault(topic, {}).setdefault(consumer, [number, number])
            known[topic][consumer] = [min(first, number), max(last, number)]
    return known


def _marks(values: Iterable[object]) -> str:
    return ", ".join("%s" for _value in values)


def _is_postgresql() -> bool:
    return connections[conf().database].vendor == "postgresql"
