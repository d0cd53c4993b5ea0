"""Conditions on rows given as lists. A list is one parameter, so that the SQL is the same for any number of rows."""

import json
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func, Value
from django.db.models.sql.compiler import SQLCompiler

Sql = tuple[str, tuple[Any, ...]]


class Given(Enum):
    """Stands for a value in SQL that is compiled once, and is given another value each time it runs."""

    IDS = auto()
    ATTEMPTS = auto()
    WAIT = auto()
    LIMIT = auto()
    SINCE = auto()


Ints = list[int] | Given


def as_parameter(ints: Sequence[int], connection: BaseDatabaseWrapper) -> Any:
    """Return the list as the connection's database takes it: an array for PostgreSQL, JSON for SQLite."""
    return list(ints) if connection.vendor == "postgresql" else json.dumps(list(ints))


class Named(Func):
    """Whether a row's id is in the list."""

    output_field = BooleanField()

    def __init__(self, ids: Ints = Given.IDS) -> None:
        super().__init__(F("id"), Value(ids))

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *_args: Any, **_context: Any) -> Sql:
        """Return the condition for PostgreSQL."""
        return filled("%s = ANY(%s)", self, compiler, connection)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *_args: Any, **_context: Any) -> Sql:
        """Return the condition for SQLite."""
        return filled("%s IN (SELECT value FROM json_each(%s))", self, compiler, connection)


class Ours(Func):
    """Whether a row and its attempt stand beside each other in the two lists, which have one length."""

    output_field = BooleanField()

    def __init__(self, ids: Ints = Given.IDS, attempts: Ints = Given.ATTEMPTS) -> None:
        super().__init__(F("id"), F("attempts"), Value(ids), Value(attempts))

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *_args: Any, **_context: Any) -> Sql:
        """Return the condition for PostgreSQL."""
        pairs = "SELECT * FROM unnest(%s::bigint[], %s::bigint[])"
        return filled(f"(%s, %s) IN ({pairs})", self, compiler, connection)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *_args: Any, **_context: Any) -> Sql:
        """Return the condition for SQLite."""
        pairs = "SELECT id.value, attempt.value FROM json_each(%s) AS id JOIN json_each(%s) AS attempt USING (key)"
        return filled(f"(%s, %s) IN ({pairs})", self, compiler, connection)


UNSETTLED = "NOT (ordering_key = '') AND (finished_at IS NULL OR exhausted_at IS NOT NULL)"
"""As the index of the order has it."""


def head_of_key(vendor: str, consumer: str, ordering_key: str) -> str:
    """Return the SELECT of the first unsettled row of a key: one step into the index of the order."""
    return next_of_key(vendor, consumer, ordering_key, "0")


def next_of_key(vendor: str, consumer: str, ordering_key: str, id: str) -> str:
    """Return the SELECT of the next unsettled row of a key, behind ``id``: one step into the index of the order.

    On PostgreSQL the three columns are compared together, and all of them order. Were the first two compared for
    themselves, an index on the id alone would give the order too, and might be read from the table's first row on;
    there a row of another key may be found. SQLite uses no more than one column of such a comparison.
    """
    from_here_on = (
        f"(consumer, ordering_key, id) > ({consumer}, {ordering_key}, {id})"
        if vendor == "postgresql"
        else f"consumer = {consumer} AND ordering_key = {ordering_key} AND id > {id}"
    )
    rows = f"FROM outbox_message AS first WHERE {UNSETTLED} AND {from_here_on}"
    return f"SELECT id {rows} ORDER BY consumer, ordering_key, id LIMIT 1"


class IsHeadOfKey(Func):
    """Whether a row is the first unsettled one of its consumer and ordering key.

    A CASE, for the planner takes one for true of every other row. Of a plain comparison it expects to be true of one in
    two hundred; then it looks at all that is due before it sorts, where it could follow the index up to a limit.
    """

    output_field = BooleanField()

    def __init__(self) -> None:
        super().__init__(F("id"), F("consumer"), F("ordering_key"))

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *_args: Any, **_context: Any) -> Sql:
        """Return the condition for either database."""
        head = head_of_key(connection.vendor, "%s", "%s")
        return filled(f"CASE WHEN %s = ({head}) THEN TRUE ELSE FALSE END", self, compiler, connection)


class KeyHeld(Func):
    """Whether a started row, this or another, holds this row's ordering key. Asked row by row, by the unique index."""

    template = """EXISTS (
        SELECT 1 FROM outbox_message AS holder
        WHERE holder.holds_key AND (holder.consumer, holder.ordering_key) = (%(expressions)s) LIMIT 1 OFFSET 0
    )"""
    output_field = BooleanField()

    def __init__(self) -> None:
        super().__init__(F("consumer"), F("ordering_key"))


def filled(template: str, condition: Func, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Sql:
    """Return the template with the SQL of the condition's parts in its places, and their parameters."""
    parts = [compiler.compile(part) for part in condition.get_source_expressions()]
    params = [param for _sql, params in parts for param in params]
    lists = tuple(as_parameter(param, connection) if isinstance(param, list) else param for param in params)
    return template % tuple(sql for sql, _params in parts), lists
