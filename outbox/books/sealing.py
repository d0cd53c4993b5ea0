"""The seal over a day: a SHA-256 of every business row and every message of it, by the hour."""

import hashlib
import json
from collections import defaultdict
from datetime import datetime
from typing import Any

from django.db import connections

from outbox.books import reading
from outbox.books.business import Numbered, Sql, business_sql, of_book, rows_of
from outbox.books.declaring import Book
from outbox.conf import conf
from outbox.models import Message

SEALED = (
    "id",
    "topic",
    "consumer",
    "key",
    "payload",
    "status",
    "resolution",
    "value",
    "currency",
    "created_at",
    "finished_at",
)
"""What of a message closing a day seals."""
HOUR = 4
"""Windows of which one seal is made."""
Seals = dict[str, list[str]]
"""By the hour's first window: the seal of its business rows, and that of their messages."""


def seal(book: Book, begin: datetime, end: datetime) -> Seals:
    """Return the seals of a span, by the first window of each hour that has rows."""
    seals: dict[str, list[str]] = defaultdict(lambda: ["", ""])
    with reading.only_reading():
        for which, sql in enumerate((_business_rows(book, begin, end), _message_rows(book, begin, end))):
            for hour, seal in _sealed(sql):
                seals[str(int(hour))][which] = seal
    return dict(seals)


def seal_of(seals: Seals) -> str:
    """Return the seal over the seals of all hours, which the audit's entry has."""
    return hashlib.sha256(json.dumps(seals, sort_keys=True).encode()).hexdigest()


def _sealed(rows: Sql) -> list[tuple[Any, str]]:
    """Return hour and seal of a statement whose first column is the hour."""
    if connections[conf().database].vendor == "postgresql":
        lines = f"SELECT h, sha256(convert_to(r::text, 'UTF8')) AS d FROM ({rows.text}) r"  # noqa: S608
        seal = "encode(sha256(string_agg(d, ''::bytea ORDER BY d)), 'hex')"
        text = f"SELECT h, {seal} FROM ({lines}) s GROUP BY h"  # noqa: S608
        return [(hour, seal) for hour, seal in reading.ask(Sql(text, rows.params))]
    of_hour: dict[Any, list[bytes]] = defaultdict(list)
    for row in reading.ask(rows):
        of_hour[row[0]].append(hashlib.sha256(repr(row).encode()).digest())
    return [(hour, hashlib.sha256(b"".join(sorted(lines))).hexdigest()) for hour, lines in of_hour.items()]


def _business_rows(book: Book, begin: datetime, end: datetime) -> Sql:
    names = book.sealed or [column.attname for column in book.business.model._meta.concrete_fields]
    rows = rows_of(book).filter(**{f"{book.since}__gte": begin, f"{book.since}__lt": end})
    listed = rows.annotate(outbox_window=Numbered(book.since)).values_list("outbox_window", *names)
    sql, params = listed.query.get_compiler(conf().database).as_sql()
    return _by_hour(Sql(sql, tuple(params)))


def _message_rows(book: Book, begin: datetime, end: datetime) -> Sql:
    business, of = business_sql(book, since=begin, until=end), of_book(book.topic)
    columns = ", ".join(f"m.{name}" for name in SEALED)
    text = (
        f"SELECT b.n AS outbox_window, {columns} FROM ({business.text}) b "  # noqa: S608
        f"JOIN {Message._meta.db_table} m ON m.key = b.k WHERE {of.text}"
    )
    return _by_hour(Sql(text, (*business.params, *of.params)))


def _by_hour(rows: Sql) -> Sql:
    return Sql(f"SELECT (w.outbox_window / {HOUR}) * {HOUR} AS h, w.* FROM ({rows.text}) w", rows.params)  # noqa: S608
