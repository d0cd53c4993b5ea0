"""Questions to PostgreSQL past the engine, and how it would answer those of the engine."""

from typing import Any

from django.db import connection
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
