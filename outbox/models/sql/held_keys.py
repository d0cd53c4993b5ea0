"""Ordering keys that wait for a person: whose head has failed, since when, and how many messages wait behind it.

Bounded, whatever the size of the table: the failed messages that have a key stand in an index of their own, of which
the oldest are looked at, with two steps into the index of the order for each. What is counted is counted up to a limit.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import NamedTuple

from django.db import connections
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.models.message import Message
from outbox.models.sql.conditions import UNSETTLED
from outbox.models.sql.order import OrderOfKey, heads_of
from outbox.models.sql.runs import ids_behind

LOOK = 500
"""Failed messages with an ordering key that are looked at, the oldest first."""

BEHIND = f"""
SELECT COUNT(*) FROM (
    SELECT id FROM outbox_message
    WHERE {UNSETTLED} AND consumer = %s AND ordering_key = %s AND id > %s LIMIT %s
) AS waiting
"""  # noqa: S608  # made of a constant


class HeldKey(NamedTuple):
    """A key whose head has failed, and that others wait behind."""

    order: OrderOfKey
    head: int
    held_for: timedelta


def held_keys() -> list[HeldKey]:
    """Return the keys that failed messages hold while others wait behind them; what is held longest comes first."""
    age = ExpressionWrapper(Now() - F("exhausted_at"), output_field=DurationField())
    failed = Message.objects.exhausted().exclude(ordering_key="").order_by("exhausted_at").annotate(age=age)
    oldest = list(failed.values_list("consumer", "ordering_key", "pk", "age")[:LOOK])
    if not oldest:
        return []
    heads = heads_of({OrderOfKey(consumer, key) for consumer, key, _id, _age in oldest})
    held = [
        HeldKey(order, id, age)
        for consumer, key, id, age in oldest
        if heads.get(order := OrderOfKey(consumer, key)) == id
    ]
    waiting = _with_others_behind({key.head for key in held})
    return [key for key in held if key.order in waiting]


def count_behind(order: OrderOfKey, head: int, *, cap: int) -> int:
    """Count the unsettled messages of a key behind one of it, no further than ``cap``."""
    with connections[conf().database].cursor() as cursor:
        cursor.execute(BEHIND, [*order, head, cap])
        return int(cursor.fetchone()[0])


def _with_others_behind(heads: Collection[int]) -> set[OrderOfKey]:
    """Return the keys of which another message stands behind these."""
    behind = Message.objects.filter(pk__in=ids_behind(sorted(heads), limit=1)) if heads else Message.objects.none()
    return {OrderOfKey(*row) for row in behind.values_list("consumer", "ordering_key")}
