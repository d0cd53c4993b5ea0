"""Statements for calls that are made beside each other: start for free places, settle and renew row by row.

The rows of one statement have nothing to do with each other. So it says which of them were still ours, and whoever is
overtaken is no harm to the others.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from math import ceil
from typing import Any, NamedTuple

from django.db import IntegrityError, connections, transaction
from django.db.models import F
from django.db.models.functions import Greatest, Least, Now
from django.utils import timezone

from outbox.conf import conf
from outbox.models.message import ONE_OF_KEY, Message
from outbox.models.queryset import Fence, MessageQuerySet
from outbox.models.sql.clock import clock_of
from outbox.models.sql.conditions import Given
from outbox.models.sql.statements import (
    KEY_TRIES,
    SUCCEEDED,
    lists_of,
    set_started,
    started_values,
    update_of_ours,
    with_values,
)
from outbox.models.state import ConsumerState
from outbox.models.status import Status
from outbox.policy import Rate

AHEAD = timedelta(seconds=0.1)
"""How long before its time a call is started whose consumer has a rate: it takes a statement for each tenth of a second
instead of one for each call, and a worker that is killed has taken no more calls than these away from the others."""

TOKENS = """
    tokens (base, allowed) AS MATERIALIZED (
        SELECT base, GREATEST(0, LEAST(%s, FLOOR(EXTRACT(EPOCH FROM {now} + %s::interval - base) / %s) + 1))::int
        FROM (
            SELECT CASE
                WHEN next_call > {now} + %s::interval THEN {now}
                ELSE GREATEST(COALESCE(next_call, '-infinity'), {now} - %s::interval)
            END AS base
            FROM outbox_consumerstate WHERE consumer = %s FOR NO KEY UPDATE
        ) AS state
    ),
"""
"""How many calls are allowed now, and the time of the first. What was saved up has an end. No time is reserved further
ahead than one call's: what lies there was reserved before the clock was set back, and is void."""

TAKEN = """
    , taken AS (
        UPDATE outbox_consumerstate
        SET next_call = (SELECT base FROM tokens) + (SELECT CEIL(COUNT(*) / %s::numeric) FROM picked) * %s::interval
        WHERE consumer = %s AND EXISTS (SELECT FROM picked)
    )
"""

START = """
    UPDATE {table} AS message SET {started}
    FROM picked WHERE message.id = picked_id
    RETURNING {columns}
"""


class StartedCalls(NamedTuple):
    """The rows that were started, oldest first, and how many seconds from now the call for each may be made.

    ``allowed`` is how many calls could be started, ``next_in`` in how many seconds the rate allows one more.
    """

    messages: list[Message]
    waits: list[float]
    allowed: int
    next_in: float = 0.0


class StartCalls:
    """Pending → started, for as many rows of a queryset as places are free, read whole.

    The calls that a rate allows are taken in the same statement, for exactly the rows that it starts.
    """

    def __init__(self, rows: MessageQuerySet) -> None:
        self._using = rows.db
        connection = connections[self._using]
        self._clock = clock_of(connection)
        self._vendor = connection.vendor
        self._picked, self._params = rows.values("pk").query.get_compiler(self._using).as_sql()
        self._lock = "FOR NO KEY UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
        compiler = Message.objects.using(self._using).all().query.get_compiler(self._using)
        compiler.setup_query()
        columns: Any = [column for column, _compiled, _alias in compiler.select]
        self._names = [column.target.attname for column in columns]
        self._converters = compiler.get_converters(columns)
        self._convert = compiler.apply_converters
        quote = connection.ops.quote_name
        cast = {"drawn_key": "::text"} if self._vendor == "postgresql" else {}
        returned = [quote(column.target.column) + cast.get(column.target.column, "") for column in columns]
        self._start = START.format(
            table=quote(Message._meta.db_table), started=set_started(self._clock), columns=", ".join(returned)
        )

    def run(
        self,
        consumer: str,
        *,
        calls: int,
        rows_in_call: int = 1,
        worker: str,
        lease: timedelta,
        rate: Rate | None = None,
        ahead: timedelta = AHEAD,
        ids: Sequence[int] = (),
        since: datetime | None = None,
    ) -> StartedCalls:
        """Start the rows of at most ``calls`` calls, of those ``Named`` in ``ids`` or ``due_since``; return the rows.

        With a ``rate`` no more calls than it allows up to ``ahead`` from now.
        """
        take = _Take(consumer, calls, rows_in_call, worker, lease, ahead)
        lists, times = {Given.IDS: ids}, {Given.SINCE: since or self._clock.beginning}
        params = with_values(connections[self._using], self._params, lists, times)
        for _try in range(KEY_TRIES):
            try:
                if rate is None:
                    messages = self._run(params, take, calls * rows_in_call)
                    return StartedCalls(messages, [0.0] * len(messages), calls)
                if self._vendor == "postgresql":
                    return self._run_at_rate(params, take, rate)
                with transaction.atomic(using=self._using):
                    return self._run_at_rate_on_sqlite(params, take, rate)
            except IntegrityError as error:
                if ONE_OF_KEY not in str(error):
                    raise
        return StartedCalls([], [], calls)

    def _run(self, params: Sequence[Any], take: "_Take", limit: int) -> list[Message]:
        sql = f"WITH picked (picked_id) AS MATERIALIZED ({self._picked} LIMIT %s {self._lock}) {self._start}"
        with connections[self._using].cursor() as cursor:
            cursor.execute(sql, [*params, limit, *started_values(self._clock, take.worker, take.lease)])
            return self._read(cursor.fetchall())

    def _run_at_rate(self, params: Sequence[Any], take: "_Take", rate: Rate) -> StartedCalls:
        seconds, interval = self._clock.seconds, rate.interval
        now = self._clock.now
        sql = f"""
            WITH {TOKENS.format(now=now)}
            picked (picked_id) AS MATERIALIZED (
                {self._picked} LIMIT COALESCE((SELECT allowed * %s FROM tokens), 0) {self._lock}
            ) {TAKEN}
            , started AS ({self._start})
            SELECT tokens.allowed, EXTRACT(EPOCH FROM tokens.base - {now}), started.*
            FROM tokens LEFT JOIN started ON TRUE
        """  # noqa: S608  # the parts are the ORM's and the clock's, every value is a parameter
        tokens: list[Any] = [
            take.calls,
            seconds(take.ahead),
            interval.total_seconds(),
            seconds(take.ahead + interval),
            seconds((rate.burst - 1) * interval),
            take.consumer,
        ]
        taken: list[Any] = [take.rows_in_call, seconds(interval), take.consumer]
        started = started_values(self._clock, take.worker, take.lease)
        with connections[self._using].cursor() as cursor:
            cursor.execute(sql, [*tokens, *params, take.rows_in_call, *taken, *started])
            rows = cursor.fetchall()
        if not rows:
            raise NoState(take.consumer)
        allowed, first = int(rows[0][0]), float(rows[0][1])
        messages = self._read([row[2:] for row in rows if row[2] is not None])
        return _at_their_times(messages, allowed, first, rate, take)

    def _run_at_rate_on_sqlite(self, params: Sequence[Any], take: "_Take", rate: Rate) -> StartedCalls:
        """Do the same in a transaction, of which SQLite has one at a time."""
        state = ConsumerState.objects.using(self._using).filter(consumer=take.consumer)
        # An update before anything is read takes the one writer's place.
        if not state.update(gone_since=F("gone_since")):
            raise NoState(take.consumer)
        now, interval = timezone.now(), rate.interval
        next_call = state.values_list("next_call", flat=True).get()
        earliest = now - (rate.burst - 1) * interval
        is_void = next_call is not None and next_call > now + take.ahead + interval
        base = now if is_void else max(next_call or earliest, earliest)
        allowed = min(take.calls, int((now + take.ahead - base) / interval) + 1) if base <= now + take.ahead else 0
        messages = self._run(params, take, allowed * take.rows_in_call) if allowed else []
        if messages:
            state.update(next_call=base + ceil(len(messages) / take.rows_in_call) * interval)
        return _at_their_times(messages, allowed, (base - now).total_seconds(), rate, take)

    def _read(self, rows: Sequence[Sequence[Any]]) -> list[Message]:
        values = self._convert([list(row) for row in rows], self._converters)
        messages = [Message.from_db(self._using, self._names, row) for row in values]
        return sorted(messages, key=lambda message: (message.due_at, message.pk))


class _Take(NamedTuple):
    """What is to be started: for which consumer, how many calls, by whom, and how long before their time."""

    consumer: str
    calls: int
    rows_in_call: int
    worker: str
    lease: timedelta
    ahead: timedelta


class NoState(LookupError):
    """The consumer has no row in which its rate is kept."""


def _at_their_times(messages: list[Message], allowed: int, first: float, rate: Rate, take: _Take) -> StartedCalls:
    interval = rate.interval.total_seconds()
    waits = [max(0.0, first + number // take.rows_in_call * interval) for number in range(len(messages))]
    calls = ceil(len(messages) / take.rows_in_call)
    return StartedCalls(messages, waits, allowed, max(0.0, first + calls * interval))


def succeed_each(fences: Sequence[Fence]) -> set[int]:
    """Mark those of the rows that are still ours as successes; return their ids."""
    return _succeeding(conf().database).run(fences)


def renew_each(fences: Sequence[Fence], lease: timedelta) -> set[int]:
    """Let those of the rows that are still ours be ours for another ``lease`` from now; return their ids."""
    return _UpdateInOrder(conf().database, {"lease_until": Now() + lease}).run(fences)


def hold_back(fences: Sequence[Fence], span: timedelta) -> None:
    """Start none of these rows before ``span`` from now: a call for them still runs. A person's retry waits as well."""
    for fence in fences:
        ended = Message.objects.filter(pk=fence.id, attempts=fence.attempts, not_before__lt=Now() + span)
        ended.filter(status=Status.FAILED).update(not_before=Now() + span)
        ended.filter(status=Status.PENDING).update(
            not_before=Now() + span, due_at=Least(Greatest(F("due_at"), Now() + span), F("expires_at"))
        )


class _UpdateInOrder:
    """An UPDATE of rows that are still ours. It locks them by id: two threads that update the same never deadlock."""

    def __init__(self, using: str, values: Mapping[str, Any]) -> None:
        self._using = using
        sql, params = update_of_ours(using, values)
        if connections[using].features.has_select_for_update:  # SQLite has one writer
            ours = Message.objects.using(using).still_ours().order_by("pk").values("pk")
            in_order, locking = ours.query.get_compiler(using).as_sql()
            lock = f"WITH locked (id) AS MATERIALIZED ({in_order} FOR NO KEY UPDATE)"
            sql = f"{lock} {sql} AND id IN (SELECT id FROM locked)"  # noqa: S608  # the parts are the ORM's
            params = (*locking, *params)
        self._sql, self._params = f"{sql} RETURNING id", params

    def run(self, fences: Sequence[Fence]) -> set[int]:
        """Return the ids of the rows that were ours."""
        connection = connections[self._using]
        with connection.cursor() as cursor:
            cursor.execute(self._sql, with_values(connection, self._params, lists_of(fences)))
            return {id for (id,) in cursor.fetchall()}


_succeeding = cache(partial(_UpdateInOrder, values=SUCCEEDED))
