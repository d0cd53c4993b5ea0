"""Reading everything at once: one pass over business and messages counts the windows, and finds what has no row.

A reading of a span goes from its rows to their messages, by the index of the key. Here both tables are read from
beginning to end and compared by one hash of the rows' keys, which are shorter than the messages. In passing it is seen
where messages have no row; ``orphans`` names them.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from django.db import connections

from outbox.books import reading
from outbox.books.business import Sql, as_parameter, business_sql, messages_sql
from outbox.books.declaring import Book
from outbox.books.reading import WindowCounts, ask
from outbox.conf import conf
from outbox.models.book import start_of

BLOCK = 50_000
"""Messages of which the first and the last without a row are noted."""


class Strays(NamedTuple):
    """Between which messages some have no business row."""

    first: int
    last: int


def is_possible() -> bool:
    """Tell whether the database reads two tables at once faster than one row after the other."""
    return connections[conf().database].vendor == "postgresql"


def count(
    book: Book, since: datetime, until: datetime, *, settled: datetime
) -> tuple[dict[int, WindowCounts], list[Strays]]:
    """Count the windows of a span as ``reading.count`` does, and say where messages have no row at all.

    A message that is younger than ``settled`` still has time to get one.
    """
    windows = reading.count_business(book, since, until)
    business, messages = business_sql(book), messages_sql(book, until=settled)
    text = (
        "SELECT CASE WHEN b.since_ >= %s AND b.since_ < %s THEN b.n END, "  # noqa: S608
        "b.state_, m.topic, m.consumer, m.class, m.old, "
        f"CASE WHEN b.k IS NULL AND m.created_at < %s THEN m.id / {BLOCK} END, "
        f"count(*), {reading.folded()}, min(m.id), max(m.id) "
        f"FROM ({messages.text}) m LEFT JOIN ({business.text}) b ON b.k = COALESCE(m.key, '') "
        "GROUP BY 1, 2, 3, 4, 5, 6, 7"
    )
    _share_the_work()
    span = (as_parameter(since), as_parameter(until), as_parameter(settled))
    blocks: dict[int, list[int]] = defaultdict(list)
    for number, state, topic, consumer, became, old, block, many, hashes, first, last in ask(
        Sql(text, (*span, *messages.params, *business.params))
    ):
        if block is not None:
            blocks[block] += [first, last]
        elif number is not None:
            reading.add(book, windows[number], state, topic, consumer, became, old=bool(old), many=many, hashes=hashes)
    _count_without(book, windows, until, settled=settled)
    return dict(windows), [Strays(min(ids), max(ids)) for _block, ids in sorted(blocks.items())]


def _share_the_work() -> None:
    """Let PostgreSQL read with all the processes it may use: it takes each row for a group of its own otherwise.

    That nobody knows how often a key occurs (``COALESCE``) has it hash the business's rows: of a text that is made of a
    number it knows nothing either, and of two unequals it hashes the messages, which are wider.
    """
    for setting in ("parallel_setup_cost", "parallel_tuple_cost"):
        ask(Sql("SELECT set_config(%s, '0', true)", (setting,)))


def _count_without(book: Book, windows: Mapping[int, WindowCounts], until: datetime, *, settled: datetime) -> None:
    """Count the rows without any message, which no message leads to, where the counts alone do not tell."""
    doubtful = [number for number, window in windows.items() if not window.is_covered]
    if not doubtful:
        return
    end = min(start_of(max(doubtful) + 1), until)
    business = business_sql(book, since=start_of(min(doubtful)), until=end)
    messages = messages_sql(book, until=settled)
    text = (
        f"SELECT b.n, count(*) FROM ({business.text}) b "  # noqa: S608
        f"WHERE NOT EXISTS (SELECT 1 FROM ({messages.text}) m WHERE m.key = b.k) GROUP BY 1"
    )
    for number, many in ask(Sql(text, (*business.params, *messages.params))):
        windows[number].without += many
