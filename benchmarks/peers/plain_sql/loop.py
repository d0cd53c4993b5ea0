"""Deliver messages by plain SQL over psycopg2, with the same steps and batches as the engine, and nothing else.

Start fifty messages and commit; lock them, for each a savepoint and the update of its award; one update to success;
commit. No broker, no settings, nothing that would make a failure survivable. Called with ``orm``, the award is updated
by Django's ORM as all other contestants do it, and only the rest is plain SQL.
"""

import json
import os
import sys
import time
from collections.abc import Callable

import psycopg2
from psycopg2.extensions import connection as Connection

CHUNK = 50
IDLE_SECONDS = 0.02
"""To wait when nothing is pending."""

START = """
    WITH picked AS MATERIALIZED (
        SELECT id FROM outbox_message
        WHERE finished_at IS NULL AND consumer = %s AND status = 'pending' AND not_before <= now()
        ORDER BY due_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE outbox_message AS message
    SET status = 'started', attempts = attempts + 1, worker = %s, started_at = now(),
        lease_until = now() + interval '10 seconds'
    FROM picked WHERE message.id = picked.id
    RETURNING message.id
"""
LOCK = "SELECT id, payload FROM outbox_message WHERE id = ANY(%s) AND status = 'started' ORDER BY id FOR NO KEY UPDATE"
ISSUE = "UPDATE work_award SET status = 'issued' WHERE id = %s"
SUCCESS = """
    UPDATE outbox_message SET status = 'success', finished_at = statement_timestamp(), lease_until = NULL, lost = 0
    WHERE id = ANY(%s) AND status = 'started'
"""


Issue = Callable[[int], object]


def main() -> None:
    """Work until the process is ended."""
    connection, issue = connect_with_orm() if sys.argv[1:] == ["orm"] else connect_with_sql()
    while True:
        if not deliver_chunk(connection, issue):
            time.sleep(IDLE_SECONDS)


def connect_with_sql() -> tuple[Connection, Issue]:
    """Return a connection, and how an award is issued on it by SQL."""
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    cursor = connection.cursor()
    return connection, lambda award: cursor.execute(ISSUE, [award])


def connect_with_orm() -> tuple[Connection, Issue]:
    """Return Django's connection, and how an award is issued on it by the ORM."""
    import django
    from django.db import connection

    django.setup()
    from benchmarks.peers.work.models import Award

    connection.set_autocommit(False)
    return connection.connection, lambda award: Award.objects.filter(pk=award).issue()


def deliver_chunk(connection: Connection, issue: Issue) -> int:
    """Start, handle and settle as many messages as a chunk has; return how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(START, ["bench.issue_0", CHUNK, str(os.getpid())])
        ids = [row[0] for row in cursor.fetchall()]
        connection.commit()
        if not ids:
            return 0
        cursor.execute(LOCK, [ids])
        for _id, payload in cursor.fetchall():
            data = payload if isinstance(payload, dict) else json.loads(payload)
            cursor.execute("SAVEPOINT one")
            issue(data["award"])
            cursor.execute("RELEASE SAVEPOINT one")
        cursor.execute(SUCCESS, [ids])
        connection.commit()
    return len(ids)


if __name__ == "__main__":
    main()
