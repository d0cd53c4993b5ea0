"""A COMMIT that comes from a handler, refused by PostgreSQL: nothing of the chunk is committed before it is settled.

The statement that locks a chunk's rows notes the transaction in ``outbox_unsettled``, the one that settles them takes
the note away. A deferred trigger looks for it at COMMIT. So even a process that is killed right behind a handler's
COMMIT leaves no effect without its success.
"""

from django.db import connections

from outbox.conf import conf

NUMBER = "pg_current_xact_id()::text::bigint"
REFUSE = f"WITH noted AS (INSERT INTO outbox_unsettled VALUES ({NUMBER}) ON CONFLICT DO NOTHING) "  # noqa: S608  # a constant
"""Begins a statement from which on COMMIT is refused."""
ALLOW = f"WITH settled AS (DELETE FROM outbox_unsettled WHERE number = {NUMBER}) "  # noqa: S608  # a constant
"""Begins a statement from which on COMMIT is allowed."""


def allow_commit() -> str:
    """Let this transaction be committed, and return its number; empty where the database is not PostgreSQL."""
    connection = connections[conf().database]
    if connection.vendor != "postgresql":
        return ""
    with connection.cursor() as cursor:
        cursor.execute(ALLOW + "SELECT pg_current_xact_id()::text")
        [[number]] = cursor.fetchall()
    return str(number)
