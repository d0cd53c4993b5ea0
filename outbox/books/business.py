"""The rows of a book's business, and its messages, as SQL: each with the key by which the two are compared."""

from datetime import datetime
from typing import Any, NamedTuple

from django.db import connections, models
from django.db.models import Case, F, OuterRef, QuerySet, Value, When
from django.db.models.expressions import Func
from django.db.models.functions import Concat

from outbox.books.declaring import Book
from outbox.conf import conf
from outbox.models import Message
from outbox.models.book import WINDOW_SECONDS
from outbox.topics import is_topic

DONE, CLOSED, OPEN = "done", "closed", "open"
"""What a business row is."""
UUID_PARTS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
"""Where the parts of a UUID begin that is kept without its dashes, and how long they are."""


class Sql(NamedTuple):
    """A statement, or a part of one, with its parameters."""

    text: str
    params: tuple[Any, ...] = ()


def rows_of(book: Book) -> QuerySet[Any]:
    """Return the business rows of a book, on the engine's database, in no order."""
    return book.business.using(conf().database).order_by()


class Numbered(Func):
    """The number of the window that a moment lies in."""

    output_field = models.BigIntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """Count the windows since 1970."""
        # date_part gives a double, extract a numeric, which takes several times as long.
        template = f"floor(date_part('epoch', %(expressions)s) / {WINDOW_SECONDS})::bigint"
        return self.as_sql(compiler, connection, template=template, **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """Count the windows since 1970, of a moment that is kept as text."""
        template = f"(CAST(strftime('%%%%s', %(expressions)s) AS INTEGER) / {WINDOW_SECONDS})"
        return self.as_sql(compiler, connection, template=template, **extra)


class KeyText(Func):
    """A business key as ``publish`` writes it down: ``str`` of it."""

    output_field = models.TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """Return its text, which is what Python's is."""
        return self.as_sql(compiler, connection, template="(%(expressions)s)::text", **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """Return its text; a UUID is kept without its dashes there."""
        if isinstance(self.source_expressions[0].output_field, models.UUIDField):
            sql, params = compiler.compile(self.source_expressions[0])
            parts = [f"substr({sql}, {at}, {many})" for at, many in UUID_PARTS]
            dashed = " || '-' || ".join(parts)
            return f"({dashed})", [*params] * len(parts)
        return self.as_sql(compiler, connection, template="CAST(%(expressions)s AS TEXT)", **extra)


class KeyValue(Func):
    """A message's key as a value of the business's field, null where it is none: so that the field's index is used."""

    PATTERNS = {"bigint": "^(0|-?[1-9][0-9]{0,18})$", "uuid": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
    FITS = f"BETWEEN {-(2**63)} AND {2**63 - 1}"

    def __init__(self, key: Any, *, field: "models.Field[Any, Any]") -> None:
        super().__init__(key, output_field=field)

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """Cast what can be cast."""
        kind = kind_of(self.output_field)
        if not kind:
            return self.as_sql(compiler, connection, template="%(expressions)s", **extra)
        sql, params = compiler.compile(self.source_expressions[0])
        is_one = f"{sql} ~ '{self.PATTERNS[kind]}'"
        if kind == "bigint":
            # Of nineteen digits not every number is one; those of fewer are cast at once.
            long = f"CASE WHEN ({sql})::numeric {self.FITS} THEN ({sql})::bigint END"
            cast = f"CASE WHEN length({sql}) < 19 THEN ({sql})::bigint ELSE {long} END"
            return f"(CASE WHEN {is_one} THEN {cast} END)", [*params] * 5
        return f"(CASE WHEN {is_one} THEN ({sql})::{kind} END)", [*params] * 2

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """Give a number, a UUID without its dashes, or the text."""
        kind = kind_of(self.output_field)
        if kind == "bigint":
            sql, params = compiler.compile(self.source_expressions[0])
            number = f"CAST({sql} AS INTEGER)"
            return f"(CASE WHEN CAST({number} AS TEXT) = {sql} THEN {number} END)", [*params] * 3
        template = "replace(%(expressions)s, '-', '')" if kind == "uuid" else "%(expressions)s"
        return self.as_sql(compiler, connection, template=template, **extra)


def kind_of(field: "models.Field[Any, Any]") -> str:
    """Return what a message's key is cast to before it is compared with a field: empty for text."""
    while isinstance(field, models.ForeignKey | models.OneToOneField):
        field = field.target_field
    if isinstance(field, models.IntegerField):
        return "bigint"
    return "uuid" if isinstance(field, models.UUIDField) else ""


def key_field(book: Book) -> "models.Field[Any, Any]":
    """Return the field of the business's key."""
    meta = book.business.model._meta
    field: models.Field[Any, Any] = meta.pk if book.key == "pk" else meta.get_field(book.key)
    return field


def of_key(book: Book) -> QuerySet[Any]:
    """Return the business rows that a message is about, for a subquery of messages."""
    value = KeyValue(OuterRef("key"), field=key_field(book))
    return rows_of(book).filter(**{book.key: value})


def business_sql(book: Book, *, since: datetime | None = None, until: datetime | None = None) -> Sql:
    """Return the rows of a span as ``k`` (key), ``n`` (window), ``since`` and ``state``."""
    rows = rows_of(book)
    if since is not None:
        rows = rows.filter(**{f"{book.since}__gte": since})
    if until is not None:
        rows = rows.filter(**{f"{book.since}__lt": until})
    closed = [When(book.closed, then=Value(CLOSED))] if book.closed is not None else []
    named = rows.annotate(
        k=KeyText(F(book.key)),
        n=Numbered(F(book.since)),
        since_=F(book.since),
        state_=Case(When(book.done, then=Value(DONE)), *closed, default=Value(OPEN), output_field=models.TextField()),
    ).values_list("k", "n", "since_", "state_")
    sql, params = named.query.get_compiler(conf().database).as_sql()
    return Sql(sql, tuple(params))


def topic_regex(pattern: str) -> str:
    """Return the regular expression that matches a dot and a topic exactly where the pattern matches the topic."""
    words = {"*": r"\.[^.]+", "#": r"(\.[^.]+)*"}
    return "^" + "".join(words.get(word, rf"\.{word}") for word in pattern.split(".")) + "$"


def of_book(topic: str) -> Sql:
    """Return the condition that a message (``m``) is of a book that accounts for ``topic``, and no replay."""
    if is_topic(topic):
        return Sql("m.replay = 0 AND m.topic = %s", (topic,))
    operator = "~" if connections[conf().database].vendor == "postgresql" else "REGEXP"
    return Sql(f"m.replay = 0 AND ('.' || m.topic) {operator} %s", (topic_regex(topic),))


def messages_of(topic: str) -> QuerySet[Message]:
    """Return the messages of a book that accounts for ``topic``, without replays."""
    messages = Message.objects.filter(replay=0)
    if is_topic(topic):
        return messages.filter(topic=topic)
    dotted = Concat(Value("."), F("topic"), output_field=models.TextField())
    return messages.alias(dotted=dotted).filter(dotted__regex=topic_regex(topic))


def messages_sql(book: Book, *, until: datetime) -> Sql:
    """Return the book's messages as columns, with ``class`` (what became of it) and ``old`` (whether it counts)."""
    last, both = ("GREATEST", "::int") if connections[conf().database].vendor == "postgresql" else ("MAX", "")
    of = of_book(book.topic)
    columns = "m.id, m.key, m.topic, m.consumer, m.created_at"
    became = "CASE WHEN m.resolution <> '' THEN m.resolution WHEN m.status = 'success' THEN 'success' ELSE 'open' END "
    changed = f"{last}(COALESCE(m.finished_at, m.started_at, m.created_at), COALESCE(m.retried_at, m.created_at))"
    table = Message._meta.db_table
    text = f"SELECT {columns}, {became} AS class, ({changed} < %s){both} AS old FROM {table} m WHERE {of.text}"  # noqa: S608
    return Sql(text, (as_parameter(until), *of.params))


def as_parameter(at: datetime) -> Any:
    """Return a moment as the database compares it."""
    return connections[conf().database].ops.adapt_datetimefield_value(at)
