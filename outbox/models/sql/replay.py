"""Writing messages that are over once more: new rows of the same events, at the end of their ordering keys."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from outbox.conf import conf
from outbox.models.sql.clock import clock_of
from outbox.models.sql.order import OrderOfKey, take_turn


class Source(NamedTuple):
    """A row whose event is replayed."""

    id: int
    ordering_key: str


class Replayed(NamedTuple):
    """A row that was written; it is asleep if it stands behind another of its ordering key."""

    id: int
    asleep: bool


SOURCES = {
    "postgresql": "unnest(%s::bigint[], %s::boolean[]) WITH ORDINALITY AS wanted (source_id, asleep, number)",
    "sqlite": (
        "(SELECT source.value AS source_id, asleep.value AS asleep, source.key AS number "
        "FROM json_each(%s) AS source JOIN json_each(%s) AS asleep USING (key)) AS wanted"
    ),
}
NEW_KEY = {"postgresql": "gen_random_uuid()", "sqlite": "lower(hex(randomblob(16)))"}
SAME_KEY = "CASE WHEN source.consumer = %s THEN source.drawn_key ELSE {} END"
"""A consumer's own; that of another it must not have."""

REPLAY = """
INSERT INTO outbox_message (
    topic, consumer, key, ordering_key, digest, payload, headers, value, currency, drawn_key, replay,
    attempt_limit,
    created_at, not_before, due_at, expires_at,
    status, resolution, worker, last_error, failure, attempts, lost, sends, revision
)
SELECT
    source.topic, %s, source.key, source.ordering_key, source.digest, source.payload, source.headers,
    source.value, source.currency, {drawn_key},
    COALESCE((
        SELECT MAX(replay) + 1 FROM outbox_message AS own
        WHERE own.key = source.key AND own.topic = source.topic AND own.consumer = %s
    ), 0), %s,
    {now}, {now}, CASE WHEN asleep THEN {then} ELSE {now} END, {then},
    'pending', '', '', '', '', 0, 0, 0, 0
FROM {sources} JOIN outbox_message AS source ON source.id = source_id
WHERE TRUE ORDER BY number
ON CONFLICT DO NOTHING
RETURNING id, due_at = expires_at
"""
"""The number of a replay is one more than the greatest; where two write the same at one moment, one of them does."""


def write_replays(
    sources: Sequence[Source], *, consumer: str, attempt_limit: int, deadline: timedelta, same_key: bool
) -> list[Replayed]:
    """Write a new row to ``consumer`` for the event of each source, in the order given; return those written.

    Call it inside a transaction, until whose end the ordering keys of the sources are locked for publishers. A consumer
    without a row for an event gets the one that ``publish`` would have written.
    """
    connection = connections[conf().database]
    clock = clock_of(connection)
    taken = take_turn({OrderOfKey(consumer, each.ordering_key) for each in sources if each.ordering_key})
    asleep = []
    for source in sources:
        order = OrderOfKey(consumer, source.ordering_key)
        asleep.append(order in taken)
        if source.ordering_key:
            taken.add(order)
    new_key = NEW_KEY[connection.vendor]
    sql = REPLAY.format(
        drawn_key=SAME_KEY.format(new_key) if same_key else new_key,
        now=clock.now,
        then=clock.now_plus,
        sources=SOURCES[connection.vendor],
    )
    span = clock.seconds(deadline)
    lists = _as_parameters([each.id for each in sources], asleep, connection)
    with connection.cursor() as cursor:
        own = [consumer] if same_key else []
        cursor.execute(sql, [consumer, *own, consumer, attempt_limit, span, span, *lists])
        return sorted(Replayed(id, bool(sleeps)) for id, sleeps in cursor.fetchall())


def _as_parameters(ids: list[int], asleep: list[bool], connection: BaseDatabaseWrapper) -> list[Any]:
    columns: list[list[Any]] = [ids, asleep]
    return columns if connection.vendor == "postgresql" else [json.dumps(column) for column in columns]
