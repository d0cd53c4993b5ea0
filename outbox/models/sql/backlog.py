"""How deep every consumer is in work, and what has failed for good by its reason: one statement for all of them.

The ORM says which rows of one consumer are looked at; its SQL is compiled once for all.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from functools import cache
from typing import Any

from django.db import connections, transaction
from django.db.models import Case, DateTimeField, DurationField, ExpressionWrapper, F, Value, When
from django.db.models.expressions import Combinable, RawSQL
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.models.message import VALUE_PLACES, Message
from outbox.models.sql.clock import as_moment, as_span, clock_of
from outbox.models.status import Status

CENT = Decimal(1).scaleb(-VALUE_PLACES)
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
COUNTED = """
    SELECT status, '' AS failure, '' AS currency, COUNT(*) AS messages, CAST(NULL AS numeric) AS worth,
        MAX(waited) AS oldest, CAST(NULL AS timestamptz) AS first_at, CAST(NULL AS timestamptz) AS last_at, 0 AS fresh
    FROM ({waiting}) AS looked_at GROUP BY status
    UNION ALL
    SELECT 'failed', failure, currency, COUNT(*), SUM(value), CAST(NULL AS interval), MIN(exhausted_at),
        MAX(exhausted_at), COUNT(CASE WHEN exhausted_at >= {since} THEN 1 END)
    FROM ({stuck}) AS looked_at GROUP BY failure, currency
"""
"""What one consumer has to do by status, and what has failed for good by failure group and currency."""
ALL_BESIDE = """
WITH name (consumer) AS MATERIALIZED ({names})
SELECT name.consumer, counted.* FROM name CROSS JOIN LATERAL ({counted}) AS counted
"""


@dataclass(frozen=True, slots=True)
class FailedGroup:
    """Messages of one failure group that wait for a person: how many, since when, and what they are worth.

    ``fresh`` are those that failed within the span that was asked for; ``worth`` is by currency, and messages without a
    value are not in it.
    """

    consumer: str
    failure: str
    messages: int
    first_at: datetime
    last_at: datetime
    fresh: int = 0
    worth: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one consumer has to do, and what has failed for good; ``oldest`` is None where nothing is unfinished."""

    pending: int = 0
    started: int = 0
    oldest: timedelta | None = None
    exhausted: int = 0
    new_exhausted: int = 0
    groups: Sequence[FailedGroup] = ()


class Param(Enum):
    """Stands for the consumer in SQL that is compiled once."""

    CONSUMER = auto()


class BacklogQuery:
    """The depth of consumers, looking at no more than ``cap`` rows of either kind of each.

    PostgreSQL finds the consumers and counts for each in one statement; SQLite has no LATERAL, and is asked twice.
    """

    def __init__(self, using: str, cap: int, fresh: timedelta) -> None:
        self._using, self._cap, self._fresh = using, cap, fresh
        self._beside = connections[using].vendor == "postgresql"
        self._counted, self._params = self._compile()

    def run(self, consumers: Collection[str], *, others: bool) -> dict[str, Backlog]:
        """Return the depth of each of ``consumers`` and, if wanted, of all ``others`` that have any, by name."""
        sql, params = self._statement(consumers, others=others)
        with connections[self._using].cursor() as cursor:
            cursor.execute(sql, params)
            rows = cursor.fetchall()
        found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in consumers}
        for name, *row in rows:
            found.setdefault(name, []).append(tuple(row))
        return {name: _backlog(name, found[name]) for name in sorted(found)}

    def _statement(self, consumers: Collection[str], *, others: bool) -> tuple[str, list[Any]]:
        if self._beside:
            known = "SELECT unnest(%s::text[])"
            names = f"{NAMES} UNION {known}" if others else known
            return ALL_BESIDE.format(names=names, counted=self._counted), [list(consumers), *self._params]
        every = sorted(_names(NAMES).union(consumers)) if others else list(consumers)
        of_one = f"SELECT %s AS consumer, counted.* FROM ({self._counted}) AS counted"  # noqa: S608  # the ORM's
        parts = [of_one] * len(every)
        params = [name if param is Param.CONSUMER else param for name in every for param in (name, *self._params)]
        return " UNION ALL ".join(parts) or f"{NAMES} LIMIT 0", params

    def _compile(self) -> tuple[str, list[Any]]:
        """Return what is counted of one consumer, and its parameters."""
        consumer = RawSQL("name.consumer", ()) if self._beside else Value(Param.CONSUMER)
        ours = Message.objects.using(self._using).filter(consumer=consumer)
        waiting = ours.unfinished().order_by("due_at", "id").annotate(waited=_waited()).values("status", "waited")
        stuck = ours.exhausted().order_by().values("failure", "currency", "value", "exhausted_at")
        (waiting_sql, waiting_params), (stuck_sql, stuck_params) = (
            rows[: self._cap].query.get_compiler(self._using).as_sql() for rows in (waiting, stuck)
        )
        clock = clock_of(connections[self._using])
        counted = COUNTED.format(waiting=waiting_sql, stuck=stuck_sql, since=clock.now_plus)
        return counted, [*waiting_params, clock.seconds(-self._fresh), *stuck_params]


def measure_backlogs(
    consumers: Collection[str], *, cap: int, fresh: timedelta = timedelta(0), others: bool = True
) -> dict[str, Backlog]:
    """Return the depth of ``consumers`` and of all ``others`` with anything unfinished or exhausted, by name.

    Counts end at ``cap``; the oldest is that of what was looked at, which is what is due first. ``fresh`` is the span
    within which what has failed is new. With a dozen consumers PostgreSQL takes the statement for large, and compiles
    it for longer than it runs, unless the transaction has ``without_jit``.
    """
    return _query(conf().database, cap, fresh).run(sorted(consumers), others=others)


@contextmanager
def without_jit() -> Iterator[None]:
    """Have PostgreSQL compile no statement in the block, which is a transaction."""
    connection = connections[conf().database]
    with transaction.atomic(using=connection.alias, savepoint=False):
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL jit = off")
        yield


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
    retried it: neither a long delay nor many short attempts make it look younger or older than it is.
    """
    since = Case(
        When(retried_at__isnull=False, then=F("retried_at")),
        When(attempts=0, then=F("not_before")),
        default=F("created_at"),
        output_field=DateTimeField(),
    )
    return ExpressionWrapper(Now() - since, output_field=DurationField())


def _backlog(consumer: str, rows: Iterable[Sequence[Any]]) -> Backlog:
    """Gather what was counted of one consumer."""
    counts: Counter[str] = Counter()
    spans: list[timedelta] = []
    groups: dict[str, FailedGroup] = {}
    for status, failure, currency, messages, worth, oldest, first_at, last_at, fresh in rows:
        counts[status] += messages
        counts["fresh"] += fresh
        if status != Status.FAILED:
            spans.append(max(as_span(oldest), timedelta(0)))  # what is due later has not waited yet
            continue
        group = FailedGroup(consumer, failure, messages, as_moment(first_at), as_moment(last_at), fresh)
        groups[failure] = _together(groups.get(failure), group, currency, worth)
    return Backlog(
        counts[Status.PENDING],
        counts[Status.STARTED],
        max(spans, default=None),
        counts[Status.FAILED],
        counts["fresh"],
        tuple(groups.values()),
    )


def added(one: FailedGroup, other: FailedGroup) -> FailedGroup:
    """Return ``one`` with the messages of the ``other`` as well."""
    currencies = {**one.worth, **other.worth}
    return replace(
        one,
        messages=one.messages + other.messages,
        fresh=one.fresh + other.fresh,
        first_at=min(one.first_at, other.first_at),
        last_at=max(one.last_at, other.last_at),
        worth={each: one.worth.get(each, Decimal(0)) + other.worth.get(each, Decimal(0)) for each in currencies},
    )


def _together(
    known: FailedGroup | None, more: FailedGroup, currency: str, worth: Decimal | float | None
) -> FailedGroup:
    """Add to a group what it has in another currency, or without a value."""
    more = replace(more, worth={} if worth is None else {currency: Decimal(worth).quantize(CENT)})
    return more if known is None else added(known, more)
