"""Messages that a long life leaves behind, written past the engine by the million."""

from django.db import connection

Value = str | float | list[str]

CONSUMER = "(%(consumers)s::text[])[1 + n %% cardinality(%(consumers)s::text[])]"
CREATED = """LATERAL (
    SELECT now() - %(oldest)s * interval '1 s' + n * (%(span)s::float / %(rows)s) * interval '1 s' AS at
) AS written"""

FINISHED = f"""
INSERT INTO outbox_message (topic, consumer, key, payload, headers, ordering_key, status, resolution,
    attempts, attempt_limit, lost, sends, created_at, not_before, due_at, expires_at, started_at, finished_at,
    worker, last_error, failure, revision)
SELECT %(topic)s, {CONSUMER}, %(name)s || ' ' || n,
    jsonb_build_object('order', n, 'person', 'person-' || n %% 5000 || '@example.com', 'text', repeat('x', 100)),
    '{{}}', '', 'success', '', 1 + (n %% 10 = 0)::int, 3, 0, 0, at, at, at + interval '5 s', at + interval '7 days',
    at + interval '5 ms', at + interval '9 ms', 'host:1', '', '', 0
FROM generate_series(1, %(rows)s) AS n,
    {CREATED}
"""
"""Successes, spread evenly over ``span`` seconds from ``oldest`` seconds ago; one in ten was retried."""

EXHAUSTED = f"""
INSERT INTO outbox_message (topic, consumer, key, payload, headers, ordering_key, status, resolution,
    attempts, attempt_limit, lost, sends, created_at, not_before, due_at, expires_at, started_at, finished_at,
    exhausted_at, worker, last_error, failure, revision)
SELECT %(topic)s, consumer, %(name)s || ' ' || n, jsonb_build_object('order', n), '{{}}', '', 'failed', '',
    3, 3, 0, 0, at, at, at + interval '5 s', at + interval '7 days', at + interval '1 s', at + interval '1 s',
    at + interval '1 s', 'host:1', 'ValueError: the till is jammed', encode(sha256(failure_group::bytea), 'hex'), 0
FROM generate_series(1, %(rows)s) AS n,
    {CREATED},
    LATERAL (SELECT {CONSUMER} AS consumer) AS of_consumer,
    LATERAL (SELECT consumer || ' ' || n %% %(groups)s AS failure_group) AS failed
"""
"""Messages that wait for a person, of several consumers and ``groups`` failure groups of each."""

UNFINISHED = f"""
INSERT INTO outbox_message (topic, consumer, key, payload, headers, ordering_key, status, resolution,
    attempts, attempt_limit, lost, sends, created_at, not_before, due_at, expires_at, worker, last_error, failure,
    revision)
SELECT %(topic)s, {CONSUMER}, %(name)s || ' ' || n, '{{}}',
    '{{}}', '', 'pending', '', 0, 3, 0, 0, at, at, at + interval '5 s', at + interval '7 days', '', '', '', 0
FROM generate_series(1, %(rows)s) AS n, LATERAL (SELECT now() - n * interval '0.01 s' AS at) AS written
"""
"""Messages that nobody has started yet, of several consumers."""

ATTEMPTS = """
INSERT INTO outbox_attempt (message_id, number, outcome, started_at, ended_at, error, traceback, worker)
SELECT id, number, 'failed', started_at, created_at + number * interval '1 ms', 'ValueError: the till is jammed',
    repeat('  File "consumers.py", line 1, in book' || chr(10), 10), worker
FROM outbox_message, generate_series(1, attempts - (status = 'success')::int) AS number
WHERE key LIKE %(name)s || ' %%' AND finished_at IS NOT NULL
"""
"""The attempts of those messages that went wrong."""

GROUPS = """
INSERT INTO outbox_failuregroup (fingerprint, consumer, exception, place, title, state, regressions, owner, ticket,
    note, revision)
SELECT DISTINCT failure, consumer, 'ValueError', 'shop.consumers.book', 'ValueError: the till is jammed', 'new', 0,
    '', '', '', 0
FROM outbox_message WHERE exhausted_at IS NOT NULL
"""
COUNTS = """
INSERT INTO outbox_failurecount (group_id, slot, count, last_at)
SELECT failure, slot, 3 * count(*) / 16, max(exhausted_at)
FROM outbox_message, generate_series(0, 15) AS slot WHERE exhausted_at IS NOT NULL GROUP BY failure, slot
"""


def write_rows(*statements: str, **values: Value) -> int:
    """Run statements with the values they name, each in a transaction of its own; return the rows they wrote."""
    with connection.cursor() as cursor:
        written = 0
        for statement in statements:
            cursor.execute(statement, values)
            written += cursor.rowcount
        return written


def vacuum() -> None:
    """Do what autovacuum has long done with rows that were written one by one."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
