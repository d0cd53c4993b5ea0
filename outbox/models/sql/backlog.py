"""How deep every consumer is in work: names and counts, by one statement each, whatever the number of consumers.

The ORM says which rows of one consumer are looked at; its SQL is compiled once, and repeated for each. PostgreSQL and
SQLite read it the same.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from enum import Enum, auto
from functools import cache
from typing import NamedTuple

from django.db import connections, transaction
from django.db.models import Case, DateTimeField, DurationField, ExpressionWrapper, F, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.models.message import Message
from outbox.models.sql.clock import clock_of
from outbox.models.status import Status

UNFINISHED, EXHAUSTED = "finished_at IS NULL", "exhausted_at IS NOT NULL"
WALK = """
{name} (consumer) AS (
    SELECT MAX(consumer) FROM outbox_message WHERE {rows}
    UNION ALL
    SELECT (SELECT MAX(consumer) FROM outbox_message WHERE {rows} AND consumer < {name}.consumer)
    FROM {name} WHERE {name}.consumer IS NOT NULL
)
"""
"""From name to name through an index that leads with the consumer, without reading the rows between.

Backwards, for what is due last lives longest: the other end is full of what was settled, while a snapshot is held.
"""
UNFINISHED_NAMES = f"""
WITH RECURSIVE {WALK.format(name="unfinished", rows=UNFINISHED)}
SELECT consumer FROM unfinished WHERE consumer IS NOT NULL
"""  # noqa: S608  # made of the constants above
DUE_NAMES = f"""
WITH RECURSIVE {WALK.format(name="unfinished", rows=UNFINISHED)}
SELECT consumer FROM unfinished
WHERE EXISTS (
    SELECT 1 FROM outbox_message AS waiting
    WHERE waiting.consumer = unfinished.consumer AND {UNFINISHED} AND status = %s AND due_at <= {{now}}
)
"""  # noqa: S608  # made of the constants above
NAMES = f"""
WITH RECURSIVE {WALK.format(name="unfinished", rows=UNFINISHED)}, {WALK.format(name="exhausted", rows=EXHAUSTED)}
SELECT consumer FROM unfinished WHERE consumer IS NOT NULL
UNION
SELECT consumer FROM exhausted WHERE consumer IS NOT NULL
"""  # noqa: S608  # made of the constants above


class Backlog(NamedTuple):
    """What one consumer has to do, and what has failed for good; ``oldest`` is None where nothing is unfinished."""

    pending: int
    started: int
    oldest: timedelta | None
    exhausted: int


class Param(Enum):
    """Stands for the consumer in SQL that is compiled once."""

    CONSUMER = auto()


class BacklogQuery:
    """The depth of consumers, looking at no more than ``cap`` rows of either kind of each."""

    def __init__(self, using: str, cap: int) -> None:
        self._using = using
        ours = Message.objects.using(using).filter(consumer=Value(Param.CONSUMER))
        waiting = ours.unfinished().order_by("due_at", "id").annotate(waited=_waited()).values("status", "waited")
        stuck = ours.exhausted().order_by("id").values("id")
        waiting_sql, waiting_params = waiting[:cap].query.get_compiler(using).as_sql()
        stuck_sql, stuck_params = stuck[:cap].query.get_compiler(using).as_sql()
        self._params = [Param.CONSUMER, Status.PENDING.value, Status.STARTED.value, *waiting_params, *stuck_params]
        self._part = f"""
            SELECT %s, pending, started, oldest, exhausted
            FROM (
                SELECT COUNT(CASE status WHEN %s THEN 1 END) AS pending,
                    COUNT(CASE status WHEN %s THEN 1 END) AS started, MAX(waited) AS oldest
                FROM ({waiting_sql}) AS looked_at
            ) AS waiting, (SELECT COUNT(*) AS exhausted FROM ({stuck_sql}) AS looked_at) AS stuck
        """  # noqa: S608  # the parts are the ORM's, every value is a parameter

    def run(self, consumers: Collection[str]) -> dict[str, Backlog]:
        """Return the depth of each of ``consumers``, in their order."""
        if not consumers:
            return {}
        connection = connections[self._using]
        parts = " UNION ALL ".join([self._part] * len(consumers))
        params = [name if param is Param.CONSUMER else param for name in consumers for param in self._params]
        with transaction.atomic(using=self._using, savepoint=False), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                # With a dozen consumers the planner takes this for large, and compiles it for longer than it runs.
                # Drivers differ in which result they return of several statements, so it is one of its own.
                cursor.execute("SET LOCAL jit = off")
            cursor.execute(parts, params)
            found = {
                name: Backlog(pending, started, _as_span(oldest), exhausted)
                for name, pending, started, oldest, exhausted in cursor.fetchall()
            }
        return {name: found[name] for name in consumers}


def measure_backlogs(known: Collection[str], *, cap: int) -> dict[str, Backlog]:
    """Return the depth of the ``known`` consumers and of all others with anything unfinished or exhausted, by name.

    Counts end at ``cap``; the oldest is that of what was looked at, which is what is due first.
    """
    return _query(conf().database, cap).run(sorted(_names(NAMES).union(known)))


def unfinished_consumers() -> list[str]:
    """Return the names of the consumers that have anything unfinished, in the code or not, in alphabetical order."""
    return sorted(_names(UNFINISHED_NAMES))


def due_consumers() -> list[str]:
    """Return the names of the consumers that have anything pending that is due, in alphabetical order."""
    clock = clock_of(connections[conf().database])
    now = clock.seconds(timedelta(0))
    return sorted(_names(DUE_NAMES.format(now=clock.now_plus), [Status.PENDING.value, now]))


def _names(sql: str, params: Sequence[str] | None = None) -> set[str]:
    with connections[conf().database].cursor() as cursor:
        cursor.execute(sql, params)
        return {name for (name,) in cursor.fetchall()}


_query = cache(BacklogQuery)


def _waited() -> Combinable:
    """Return how long a row has waited, on the database's clock.

    A row that was never started has waited since its delay was over, any other since it was written, or since a person
    retried it: neither a long delay nor many short attempts make it look younger or older than its promise.
    """
    since = Case(
        When(retried_at__isnull=False, then=F("retried_at")),
        When(attempts=0, then=F("not_before")),
        default=F("created_at"),
        output_field=DateTimeField(),
    )
    return ExpressionWrapper(Now() - since, output_field=DurationField())


def _as_span(waited: timedelta | int | None) -> timedelta | None:
    """Return a span of either database, of which SQLite has microseconds; what is due later has not waited yet."""
    if waited is None:
        return None
    return max(timedelta(microseconds=waited) if isinstance(waited, int) else waited, timedelta(0))
