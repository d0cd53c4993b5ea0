"""Questions to PostgreSQL past the engine, and how it would answer those of the engine."""

import json
import time
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
    database. And as long as anybody's older transaction is open, dead rows stay in the way of whoever searches.
    """
    touched = []

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if "outbox_message" in sql:
            touched.append(_undisturbed(sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        act()
    assert touched
    return sum(touched)


def _undisturbed(sql: str, params: Any) -> int:
    _wait_for_older_transactions()
    return min(_buffers(sql, params) for _ in range(2))


def _wait_for_older_transactions() -> None:
    """Wait until all have ended that are not the test's own: vacuuming, and those of other databases.

    While the oldest of all stays the same, PostgreSQL does not look again which rows are dead to everybody in ours.
    """
    with connection.cursor() as cursor:
        cursor.cursor.execute("SELECT pg_current_xact_id()::xid::text")
        (ours,) = cursor.cursor.fetchone()
        for _ in range(600):
            # Within a transaction who is active is read once, and no more.
            cursor.cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.cursor.execute(
                "SELECT datname, backend_type, state, query FROM pg_stat_activity WHERE"
                " (datname <> current_database() OR backend_type = 'autovacuum worker')"
                " AND GREATEST(age(backend_xmin), age(backend_xid)) > age(%s::xid)",
                [ours],
            )
            older = cursor.cursor.fetchall()
            if not older:
                return
            time.sleep(0.1)
    raise TimeoutError(f"open for a minute: {older}")


def _buffers(sql: str, params: Any) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params)
        (explained,) = cursor.cursor.fetchone()
        transaction.set_rollback(True)
    (top,) = explained if isinstance(explained, list) else json.loads(explained)
    return int(top["Plan"]["Shared Hit Blocks"] + top["Plan"]["Shared Read Blocks"])
