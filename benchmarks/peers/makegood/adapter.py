"""How messages are handed to Makegood: ``publish`` beside the row, ``publish_many`` for many.

Only the engine's public names and the columns of its table, so that it fits other commits of the engine as well.
"""

import json
import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from outbox import Draft, Message, publish, publish_many

AWARDS_PER_MESSAGE = int(os.environ.get("BENCH_FAN_OUT", "1"))
KEYS = int(os.environ.get("BENCH_KEYS", "0"))
"""Ordering keys in use, in turns; 0: none."""
PUBLISHES = True
"""A draw publishes by itself."""
EARLIER = [field.name for field in Message._meta.get_fields() if field.name == "evidence" and field.concrete]
"""A column that earlier commits of the engine have, without a default."""
PLAIN_INSERT = f"""
    INSERT INTO outbox_message (topic, consumer, key, payload, headers, ordering_key, status, resolution,
        {"".join(f"{name}, " for name in EARLIER)}attempts, attempt_limit, lost, sends, created_at, not_before,
        due_at, expires_at, worker, last_error, failure, revision)
    VALUES ('work.won', 'bench.issue_0', %s, %s, '{{}}', '', 'pending', '', {"'', " * len(EARLIER)}0, 8, 0, 0, now(),
        now(), now() + interval '5 s', now() + interval '7 days', '', '', '', 0)
    ON CONFLICT DO NOTHING RETURNING id
"""
TABLES = ("outbox_message", "outbox_attempt")


def ordering_key(award: int) -> str:
    """Return the ordering key of an award's message."""
    return f"key {award % KEYS}" if KEYS else ""


def send(payload: dict[str, Any]) -> None:
    """Write the message of one award in the caller's transaction."""
    award = payload["award"]
    publish("work.won", key=award, payload=payload, ordering_key=ordering_key(award))


def send_by_sql(payload: dict[str, Any]) -> None:
    """Write the same row by plain SQL, unchecked and without a hint: the least that the message can cost."""
    with connection.cursor() as cursor:
        cursor.execute(PLAIN_INSERT, [payload["award"], json.dumps(payload)])
        cursor.fetchall()


def send_many(payloads: Sequence[dict[str, Any]]) -> None:
    """Write the messages of many awards in the caller's transaction."""
    publish_many(
        Draft(topic="work.won", key=payload["award"], payload=payload, ordering_key=ordering_key(payload["award"]))
        for payload in payloads
    )


def progress(awards: Sequence[int]) -> dict[int, tuple[float, float, int]]:
    """Return when the message of each award was started and became a success, and by how many attempts.

    Success is later than the moment at which the award was issued, by which the peers are measured.
    """
    rows = Message.objects.filter(topic="work.won", key__in=[str(award) for award in awards])
    times = rows.values_list("key", "started_at", "finished_at", "attempts")
    return {int(key): (_seconds(start), _seconds(end), attempts) for key, start, end, attempts in times}


def count_unsettled() -> int:
    """Return how many messages are not successes yet."""
    return Message.objects.exclude(status="success").count()


def count_unsent() -> int:
    """Return how many messages are not confirmed and written down as such."""
    return count_unsettled()


def _seconds(moment: datetime | None) -> float:
    """Return seconds since the epoch; a message that was not started or not finished ends the round."""
    assert moment is not None
    return moment.timestamp()
