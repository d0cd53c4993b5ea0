"""Ordering keys that wait for a person: whose head has failed, since when, and how many messages wait behind it.

Bounded, whatever the size of the table: the failed messages that have a key stand in an index of their own, of which
the oldest are looked at, with two steps into the index of the order for each. Of each consumer's key that is held for
longest it is counted what waits behind it, up to a limit.
"""

from datetime import timedelta
from typing import NamedTuple

from django.db import connections
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.models.message import Message
from outbox.models.sql.clock import as_span
from outbox.models.sql.conditions import UNSETTLED, head_of_key, next_of_key
from outbox.models.sql.order import OrderOfKey

LOOK = 500
"""Failed messages with an ordering key that are looked at, the oldest first."""

BEHIND = f"""
SELECT COUNT(*) FROM (
    SELECT id FROM outbox_message
    WHERE {UNSETTLED} AND consumer = {{consumer}} AND ordering_key = {{key}} AND id > {{head}} LIMIT %s
) AS waiting
"""  # noqa: S608  # made of a constant
HELD = """
WITH failed (of_consumer, of_key, head, age) AS MATERIALIZED ({failed}),
ahead (of_consumer, of_key, head, age, next) AS MATERIALIZED (
    SELECT of_consumer, of_key, head, age, ({next}) FROM failed WHERE head = ({first})
),
held (of_consumer, of_key, head, age, place) AS MATERIALIZED (
    SELECT of_consumer, of_key, head, age, ROW_NUMBER() OVER (PARTITION BY of_consumer ORDER BY age DESC, head)
    FROM ahead WHERE EXISTS (
        SELECT 1 FROM outbox_message WHERE id = next AND consumer = of_consumer AND ordering_key = of_key
    )
)
SELECT of_consumer, of_key, head, age, CASE place WHEN 1 THEN ({behind}) ELSE 0 END
FROM held ORDER BY age DESC, head
"""
"""What failed and is the head of its key, with another of that key behind it: what is next in the index may be none."""


NAMED = 5
"""Of those that wait behind a message, how many are named."""
FIRST_BEHIND = f"""
SELECT {{gathered}} FROM (
    SELECT id FROM outbox_message
    WHERE {UNSETTLED} AND consumer = ours.consumer AND ordering_key = ours.ordering_key AND id > ours.id
    ORDER BY id LIMIT {NAMED}
) AS named
"""  # noqa: S608  # made of constants
GATHERED = {"postgresql": "STRING_AGG(id::text, ',' ORDER BY id)", "sqlite": "GROUP_CONCAT(id)"}
PLACE = "SELECT ({first}), ({behind}), ({first_behind}) FROM outbox_message AS ours WHERE ours.id = %s"


class PlaceInOrder(NamedTuple):
    """Where a message stands in its key's order: the id of the head it waits for, or how many wait behind it.

    ``first_behind`` are the ids of the first of those.
    """

    head: int | None
    behind: int
    first_behind: tuple[int, ...] = ()


class HeldKey(NamedTuple):
    """A key whose head has failed, and that others wait behind; ``behind`` is counted for a consumer's first alone."""

    order: OrderOfKey
    head: int
    held_for: timedelta
    behind: int


def held_keys(*, cap: int) -> list[HeldKey]:
    """Return the keys that failed messages hold while others wait behind them; what is held longest comes first."""
    connection = connections[conf().database]
    age = ExpressionWrapper(Now() - F("exhausted_at"), output_field=DurationField())
    failed = Message.objects.exhausted().exclude(ordering_key="").order_by("exhausted_at").annotate(age=age)
    oldest = failed.values_list("consumer", "ordering_key", "pk", "age")[:LOOK]
    failed_sql, params = oldest.query.get_compiler(connection.alias).as_sql()
    sql = HELD.format(
        failed=failed_sql,
        first=head_of_key(connection.vendor, "of_consumer", "of_key"),
        next=next_of_key(connection.vendor, "of_consumer", "of_key", "head"),
        behind=BEHIND.format(consumer="of_consumer", key="of_key", head="head"),
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*params, cap])
        return [
            HeldKey(OrderOfKey(consumer, key), head, as_span(held_for), behind)
            for consumer, key, head, held_for, behind in cursor.fetchall()
        ]


def place_of(message: int, *, cap: int) -> PlaceInOrder:
    """Return what a message that is not settled waits for in its key's order, or how many wait behind it."""
    connection = connections[conf().database]
    sql = PLACE.format(
        first=head_of_key(connection.vendor, "ours.consumer", "ours.ordering_key"),
        behind=BEHIND.format(consumer="ours.consumer", key="ours.ordering_key", head="ours.id"),
        first_behind=FIRST_BEHIND.format(gathered=GATHERED[connection.vendor]),
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [cap, message])
        first, behind, named = cursor.fetchone() or (message, 0, None)
    if first is not None and first < message:
        return PlaceInOrder(first, 0)
    return PlaceInOrder(None, behind, tuple(sorted(int(id) for id in named.split(","))) if named else ())
