"""Order per key: who stands behind another sleeps, and whoever settles the head wakes the next.

A sleeping message is due at its deadline and not before, so that no search reads it, however many there are. Publishing
puts to sleep what finds another of its key unsettled. Both may happen at one moment, or a process may die in between;
then the rescan finds the head that sleeps (``outbox.maintenance.order``).

Every question here is one step into the index of the order for each key it is asked for.
"""

import json
from collections.abc import Collection
from typing import Any, NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from outbox.conf import conf
from outbox.models.sql.clock import clock_of
from outbox.models.sql.conditions import UNSETTLED, head_of_key
from outbox.models.status import Status


class OrderOfKey(NamedTuple):
    """The order of one key, which every consumer has for itself."""

    consumer: str
    ordering_key: str


class Woken(NamedTuple):
    """A message that may be started now, and how often in a row a worker was lost over it."""

    consumer: str
    id: int
    lost: int


class Head(NamedTuple):
    """The first unsettled message of a key, and whether it sleeps although its time has come.

    So does one that was started behind another, by a worker that is gone, and was not taken back together with that.
    """

    key: OrderOfKey
    id: int
    asleep: bool


KEYS = {
    "postgresql": "unnest(%s::text[], %s::text[]) AS wanted (wanted_consumer, wanted_key)",
    "sqlite": (
        "(SELECT name.value AS wanted_consumer, word.value AS wanted_key "
        "FROM json_each(%s) AS name JOIN json_each(%s) AS word USING (key)) AS wanted"
    ),
}

HEADS = """
FROM {keys} JOIN outbox_message AS message ON message.consumer = wanted_consumer
    AND message.ordering_key = wanted_key AND message.id = ({head})
"""
"""The heads of the keys that have one."""

WAKE = """
WITH head (head_id) AS MATERIALIZED (
    SELECT message.id {heads} WHERE message.status = %s OR message.lease_until < {now} {lock}
)
UPDATE outbox_message AS message
SET due_at = {least}({greatest}(not_before, {now}), expires_at)
FROM head WHERE message.id = head_id
RETURNING consumer, id, lost, status = %s AND not_before <= due_at AND due_at < expires_at
"""

TAKE_TURN = "SELECT of_consumer, of_key FROM outbox_take_turn(%s, %s)"

ASLEEP = f"""due_at >= expires_at AND (
    status = '{Status.PENDING.value}' AND not_before <= {{now}} OR COALESCE(lease_until < {{now}}, FALSE)
)"""

WALK = {
    "postgresql": f"""
WITH RECURSIVE head (number, id, consumer, ordering_key, asleep) AS (
    (SELECT 1, id, consumer, ordering_key, {ASLEEP} FROM outbox_message
     WHERE {UNSETTLED} AND (consumer, ordering_key) > (%s, %s) ORDER BY consumer, ordering_key, id LIMIT 1)
    UNION ALL
    SELECT number + 1, following.* FROM head CROSS JOIN LATERAL (
        SELECT id, consumer, ordering_key, {ASLEEP} FROM outbox_message
        WHERE {UNSETTLED} AND (consumer, ordering_key) > (head.consumer, head.ordering_key)
        ORDER BY consumer, ordering_key, id LIMIT 1
    ) AS following WHERE number < %s
)
SELECT consumer, ordering_key, id, asleep FROM head ORDER BY number
""",  # noqa: S608  # made of constants
    "sqlite": f"""
WITH RECURSIVE head (head_id, number) AS (
    SELECT (
        SELECT id FROM outbox_message WHERE {UNSETTLED} AND (consumer, ordering_key) > (%s, %s)
        ORDER BY consumer, ordering_key, id LIMIT 1
    ), 1
    UNION ALL
    SELECT COALESCE((
        SELECT id FROM outbox_message
        WHERE {UNSETTLED} AND consumer = last.consumer AND ordering_key > last.ordering_key
        ORDER BY consumer, ordering_key, id LIMIT 1
    ), (
        SELECT id FROM outbox_message WHERE {UNSETTLED} AND consumer > last.consumer
        ORDER BY consumer, ordering_key, id LIMIT 1
    )), number + 1
    FROM head JOIN outbox_message AS last ON last.id = head_id WHERE number < %s
)
SELECT consumer, ordering_key, id, {ASLEEP} FROM head JOIN outbox_message ON id = head_id ORDER BY number
""",  # noqa: S608  # made of constants
}
"""From key to key, without reading what stands behind the heads. PostgreSQL touches each head once, SQLite twice: it
has no LATERAL, and uses one column of a comparison of several."""


def wake_heads(keys: Collection[OrderOfKey]) -> list[Woken]:
    """Make the heads of these keys due, unless others hold them; return those that may be started now.

    Whoever holds a head is about to start it, or has put it to sleep and wakes it afterwards.
    """
    connection = connections[conf().database]
    clock, postgresql = clock_of(connection), connection.vendor == "postgresql"
    sql = WAKE.format(
        heads=_heads(connection),
        lock="FOR NO KEY UPDATE OF message SKIP LOCKED" if postgresql else "",
        now=clock.now,
        least="LEAST" if postgresql else "MIN",
        greatest="GREATEST" if postgresql else "MAX",
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*as_parameters(keys, connection), Status.PENDING.value, Status.PENDING.value])
        return [Woken(*row) for *row, ready in cursor.fetchall() if ready]


def take_turn(keys: Collection[OrderOfKey]) -> set[OrderOfKey]:
    """Let publishers of one key commit one after the other; return the keys of which a message is not settled yet.

    Ids do not follow the order of commits by themselves. On PostgreSQL each key is locked until the transaction is
    over, all those of a call in one order, and then it is asked what those have committed who were before us. SQLite
    has one writer at a time anyway.
    """
    connection = connections[conf().database]
    sql = TAKE_TURN if connection.vendor == "postgresql" else f"SELECT wanted_consumer, wanted_key {_heads(connection)}"
    with connection.cursor() as cursor:
        cursor.execute(sql, as_parameters(keys, connection))
        return {OrderOfKey(*row) for row in cursor.fetchall()}


def heads_of(keys: Collection[OrderOfKey]) -> dict[OrderOfKey, int]:
    """Return the first unsettled message of each of these keys that has one."""
    connection = connections[conf().database]
    sql = f"SELECT wanted_consumer, wanted_key, message.id {_heads(connection)}"
    with connection.cursor() as cursor:
        cursor.execute(sql, as_parameters(keys, connection))
        return {OrderOfKey(consumer, key): id for consumer, key, id in cursor.fetchall()}


def heads_after(key: OrderOfKey, *, limit: int) -> list[Head]:
    """Return the heads of the next ``limit`` keys behind ``key``, in the order of the keys."""
    connection = connections[conf().database]
    with connection.cursor() as cursor:
        cursor.execute(WALK[connection.vendor].format(now=clock_of(connection).now), [*key, limit])
        return [Head(OrderOfKey(consumer, word), id, bool(asleep)) for consumer, word, id, asleep in cursor.fetchall()]


def _heads(connection: BaseDatabaseWrapper) -> str:
    return HEADS.format(
        keys=KEYS[connection.vendor], head=head_of_key(connection.vendor, "wanted_consumer", "wanted_key")
    )


def as_parameters(keys: Collection[OrderOfKey], connection: BaseDatabaseWrapper) -> list[Any]:
    """Return the keys as ``KEYS`` takes them: the consumers in one list, the ordering keys in another."""
    columns = [[key.consumer for key in keys], [key.ordering_key for key in keys]]
    return columns if connection.vendor == "postgresql" else [json.dumps(column) for column in columns]
