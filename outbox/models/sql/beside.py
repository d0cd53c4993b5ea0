"""Several small SELECTs asked as one statement: SQLite takes no LIMIT within a union of the ORM's."""

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from outbox.conf import conf


def read_beside(selects: "Sequence[QuerySet[Any, Any]]") -> list[tuple[Any, ...]]:
    """Return the rows of all ``selects``, which have the same columns, as the database's driver gives them."""
    return _run(selects, "*")


def count_beside(selects: "Sequence[QuerySet[Any, Any]]", column: str) -> list[tuple[int, int]]:
    """Return for each of ``selects``, in their order, how many rows it has, and in how many ``column`` is not null."""
    counted = sorted(_run(selects, f"{{number}}, COUNT(*), COUNT({column})"))
    return [(every, with_column) for _number, every, with_column in counted]


def _run(selects: "Sequence[QuerySet[Any, Any]]", what: str) -> list[tuple[Any, ...]]:
    connection = connections[conf().database]
    compiled = [each.query.get_compiler(connection.alias).as_sql() for each in selects]
    if not compiled:
        return []
    parts = (
        f"SELECT {what.format(number=number)} FROM ({part}) AS part_{number}"  # noqa: S608  # the ORM's, with parameters
        for number, (part, _params) in enumerate(compiled)
    )
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), [param for _part, params in compiled for param in params])
        return cursor.fetchall()  # type: ignore[no-any-return]  # the driver's
