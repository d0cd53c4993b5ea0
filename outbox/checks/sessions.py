"""How the database's sessions are opened, as the server has it: a role or a pooler has a say in it beside the URL."""

from datetime import timedelta
from typing import Any

from django.core.checks import Warning
from django.db import connections

from outbox import registry
from outbox.broker import queues
from outbox.checks.celery import THREADS
from outbox.checks.database import CheckMessages, too_strict
from outbox.conf import conf

ASKED = """
SELECT name, CASE unit WHEN 'ms' THEN setting::float WHEN 's' THEN setting::float * 1000 ELSE 0 END, setting
FROM pg_settings
WHERE name IN (
    'client_connection_check_interval', 'idle_in_transaction_session_timeout', 'default_transaction_isolation'
)
"""
CHECK_INTERVAL, IDLE_TIMEOUT = "client_connection_check_interval", "idle_in_transaction_session_timeout"
ISOLATION = "default_transaction_isolation"
LEFT = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int
"""
SESSIONS_A_THREAD = 1.6
"""50 threads, and 50 greenlets, were seen to need 80 sessions."""


def check_sessions() -> CheckMessages:
    """Ask a session of PostgreSQL how it was opened."""
    connection = connections[conf().database]
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(ASKED)
        found = {name: (milliseconds, setting) for name, milliseconds, setting in cursor.fetchall()}
    if CHECK_INTERVAL in found and not found[CHECK_INTERVAL][0]:
        yield Warning(
            "A killed worker's row locks may live on for half a minute.",
            hint=_set(CHECK_INTERVAL, "2s"),
            id="outbox.W001",
        )
    idle, _setting = found[IDLE_TIMEOUT]
    if not idle:
        yield Warning(
            "A process that hangs inside a transaction holds its row locks for ever.",
            hint=_set(IDLE_TIMEOUT, "30s"),
            id="outbox.W005",
        )
    _none, isolation = found[ISOLATION]
    if isolation in ("repeatable read", "serializable"):
        yield too_strict(f'DATABASES["{conf().database}"]["OPTIONS"] and off the role')
    yield from _longer_than(timedelta(milliseconds=idle))
    yield from _too_few_sessions(connection)


def _too_few_sessions(connection: Any) -> CheckMessages:
    """Look whether the server has a session for every thread of a worker; a pool has a limit of its own."""
    given = queues.celery_app().conf
    pooled = connection.settings_dict["OPTIONS"].get("pool")
    if pooled or str(given.worker_pool) not in THREADS or not given.worker_concurrency:
        return
    with connection.cursor() as cursor:
        cursor.execute(LEFT)
        left = int(cursor.fetchone()[0])
    needed = int(given.worker_concurrency * SESSIONS_A_THREAD)
    if needed > left:
        yield Warning(
            f"A worker with {given.worker_concurrency} threads or greenlets may hold {needed} database sessions, and "
            f"the server has {left} for all its clients.",
            hint="Raise PostgreSQL's max_connections, lower worker_concurrency, or put a pool or PgBouncer in between.",
            id="outbox.W052",
        )


def _longer_than(idle: timedelta) -> CheckMessages:
    for entry in registry.all_consumers():
        if entry.atomic and timedelta(0) < idle < entry.timeout:
            yield Warning(
                f"{entry.name} may take {entry.timeout.total_seconds():.0f} s inside a transaction, but a session that "
                f"is idle in one is ended after {idle.total_seconds():.0f} s.",
                hint="Use atomic=False for what waits for others, or a shorter timeout.",
                id="outbox.W019",
            )


def _set(name: str, value: str) -> str:
    return (
        f'Add "-c {name}={value}" to DATABASES["{conf().database}"]["OPTIONS"]["options"]; behind PgBouncer, which '
        f"takes no options, run ALTER ROLE your_role SET {name} = '{value}'."
    )
