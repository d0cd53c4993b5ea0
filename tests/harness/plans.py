"""Questions to PostgreSQL past the engine, and how it would answer those of the engine."""

import json
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext


def query(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    """Ask PostgreSQL itself and return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def plan(sql: str) -> str:
    """Return the plan that PostgreSQL makes for a statement."""
    return "\n".join(line for (line,) in query(f"EXPLAIN {sql.replace('%', '%%')}"))


def selects(captured: CaptureQueriesContext, containing: str) -> list[str]:
    """Return the captured statements with this text in them."""
    return [entry["sql"] for entry in captured.captured_queries if containing in entry["sql"]]


def pages_touched(act: Callable[[], object]) -> int:
    """Return how many pages PostgreSQL touches for what ``act`` asks of the message table.

    Each statement is explained twice, which is taken back, and then run in earnest. The smaller figure counts: the
    first may hold pages of the catalogue, which PostgreSQL reads anew after others have changed many tables, in any
    database.
    """
    touched = []

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if "outbox_message" in sql:
            touched.append(min(_buffers(sql, params) for _ in range(2)))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        act()
    assert touched
    return sum(touched)


def _buffers(sql: str, params: Any) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params)
        (explained,) = cursor.cursor.fetchone()
        transaction.set_rollback(True)
    (top,) = explained if isinstance(explained, list) else json.loads(explained)
    return int(top["Plan"]["Shared Hit Blocks"] + top["Plan"]["Shared Read Blocks"])
