"""What the engine's steps and the desk take among many finished messages: commands of ``benchmarks/growth.py``."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from unittest import mock

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test import Client

from benchmarks.peers.commands import PERSON
from benchmarks.peers.work.models import MESSAGE_BYTES, Award, payload_of
from outbox import Draft, Message, publish_many
from outbox.broker import dispatcher
from outbox.broker.connection import Hint
from outbox.delivery import chunks
from outbox.maintenance import rescan

CONSUMER = "bench.issue_0"
STEP = 250_000
"""Rows written by one statement, so that no transaction is longer than a few seconds."""
CHUNK = 50
DUE = 500
FAILED = 100

FINISHED = """
    INSERT INTO outbox_message (topic, consumer, key, payload, headers, ordering_key, status, resolution,
        attempts, attempt_limit, lost, sends, due_at, not_before, expires_at, created_at, started_at, finished_at,
        exhausted_at, worker, last_error, failure, revision)
    SELECT 'work.won', %(consumer)s, 'old ' || n, jsonb_build_object('award', n, 'note', repeat('x', %(bytes)s)), '{}',
        '', %(status)s, '', 1, 8, 0, 0, at, at, at + interval '7 days', at, at, at + interval '5 ms',
        CASE WHEN %(status)s = 'failed' THEN at END, 'host:1', '', '', 0
    FROM generate_series(%(first)s, %(last)s) n, LATERAL (SELECT now() - n * interval '100 ms' AS at) written
"""


def write_finished(rows: int) -> str:
    """Write ``rows`` successes of the last days and a hundred failures, vacuum, and return the table's size."""
    with connection.cursor() as cursor:
        for first in range(1, rows + 1, STEP):
            _write(cursor, "success", first, min(first + STEP - 1, rows))
        _write(cursor, "failed", rows + 1, rows + FAILED)
        cursor.execute("VACUUM (ANALYZE) outbox_message")
        cursor.execute("SELECT pg_size_pretty(pg_total_relation_size('outbox_message'))")
        [[size]] = cursor.fetchall()
    get_user_model().objects.create_superuser("bench", password="bench")
    return str(size)


def _write(cursor: CursorWrapper, status: str, first: int, last: int) -> None:
    values: dict[str, str | int] = {
        "consumer": CONSUMER,
        "bytes": MESSAGE_BYTES - 40,
        "status": status,
        "first": first,
        "last": last,
    }
    cursor.execute(FINISHED, values)


def measure_steps(repeats: int) -> list[float]:
    """Return the median milliseconds of a rescan with 500 rows due, of a chunk of 50 delivered, and of the list."""
    mock.patch.object(dispatcher, "dispatch", _dispatch_nothing).start()
    mock.patch.object(rescan, "thread_connection", _NoBroker).start()
    client = Client(HTTP_HOST="localhost")
    client.force_login(get_user_model().objects.get(username="bench"))
    due = _publish(DUE)

    def make_due() -> None:
        Message.objects.filter(pk__in=due).update(due_at="2026-01-01T00:00Z")

    def request_list() -> None:
        response = client.get("/admin/outbox/message/", secure=True)
        assert response.status_code == 200, response.status_code

    rescanned = _median(make_due, rescan.rescan, repeats)
    Message.objects.filter(pk__in=due).delete()
    chunk = _median(_next_chunk, _deliver_chunk, repeats)
    return [rescanned, chunk, _median(lambda: None, request_list, repeats)]


def _dispatch_nothing(_ids: Mapping[str, Sequence[int]]) -> None:
    """Send no hints."""


class _NoBroker:
    """A link to a broker that takes every hint and whose queues are always empty: only the database is timed."""

    def depth(self, _consumer: str) -> int:
        return 0

    def send(self, _hints: list[Hint]) -> list[Hint]:
        return []


def _publish(number: int) -> list[int]:
    with transaction.atomic():
        awards = Award.objects.bulk_create(Award(person=PERSON) for _ in range(number))
        return publish_many(Draft(topic="work.won", key=award.pk, payload=payload_of(award.pk)) for award in awards)


_chunk: list[int] = []


def _next_chunk() -> None:
    _chunk[:] = _publish(CHUNK)


def _deliver_chunk() -> None:
    chunks.deliver(CONSUMER, _chunk)


def _median(prepare: Callable[[], None], step: Callable[[], object], repeats: int) -> float:
    milliseconds = []
    for turn in range(repeats + 3):
        prepare()
        began = time.perf_counter()
        step()
        if turn >= 3:
            milliseconds.append((time.perf_counter() - began) * 1e3)
    return statistics.median(milliseconds)
