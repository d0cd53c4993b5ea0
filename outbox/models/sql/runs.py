"""Runs: what stands directly behind the heads of ordering keys is started together with them.

A worker that has started the head of a key holds that key: nobody else starts any message of it. So the worker may
start the next ones, too, without a gap and in their order, and handle them all in one transaction. Only the head holds
the key, for the database lets one row do so; see ``outbox.delivery.runs`` for who holds it afterwards.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func
from django.db.models.sql.compiler import SQLCompiler

from outbox.conf import conf
from outbox.models.message import Message
from outbox.models.queryset import Fence, MessageQuerySet
from outbox.models.sql.clock import clock_of
from outbox.models.sql.conditions import Sql, as_parameter, filled, next_of_key
from outbox.models.sql.order import KEYS, OrderOfKey, as_parameters
from outbox.models.sql.statements import Started, lists_of, set_started, started_values, with_values

NEXT = """
    WITH RECURSIVE walk (id, of_consumer, of_key, place) AS (
        SELECT head_id, head_consumer, head_key, 0 FROM head
        UNION ALL
        SELECT behind.id, of_consumer, of_key, place + 1
        FROM walk JOIN outbox_message AS behind
            ON behind.id = ({next}) AND behind.consumer = of_consumer AND behind.ordering_key = of_key
        WHERE place < %s
    )
    SELECT id, of_key, place FROM walk WHERE place > 0 LIMIT %s
"""
"""The unsettled messages behind each head, whatever they are: first the next of every key, then all the next but one.

One step into the index of the order for each: of a plain range the planner may read all that waits, and sort it.
"""


class AmongNext(Func):
    """Whether a row is one of those that stand behind the heads."""

    output_field = BooleanField()

    def __init__(self) -> None:
        super().__init__(F("id"))

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *_args: Any, **_context: Any) -> Sql:
        """Return the condition for PostgreSQL."""
        return filled("%s = ANY(ARRAY(SELECT next_id FROM next))", self, compiler, connection)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *_args: Any, **_context: Any) -> Sql:
        """Return the condition for SQLite."""
        return filled("%s IN (SELECT next_id FROM next)", self, compiler, connection)


class StartRun:
    """Pending → started, for what comes next in the order of keys: without a gap, up to the first that may not start.

    That one is not among ``rows``, or somebody else has locked it. One statement.
    """

    first_holds_key = False
    """Whether the first of each run holds its key from now on."""

    def __init__(self, rows: MessageQuerySet) -> None:
        self._using = rows.db
        connection = connections[self._using]
        self._clock = clock_of(connection)
        fit, self._fit_params = rows.filter(AmongNext()).values("pk").query.get_compiler(self._using).as_sql()
        lock = "FOR NO KEY UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
        hold = f"holds_key = place = 1, due_at = CASE place WHEN 1 THEN {self._clock.now} ELSE due_at END"
        started = set_started(self._clock, hold=hold if self.first_holds_key else "")
        self._sql = f"""
            WITH head (head_id, head_consumer, head_key) AS MATERIALIZED ({self._heads(connection)}),
            next (next_id, of_key, place) AS MATERIALIZED ({_next(connection)}),
            fit (fit_id) AS MATERIALIZED ({fit} {lock}),
            run (run_id, place) AS MATERIALIZED (
                SELECT next_id, place FROM (
                    SELECT next_id, place, COUNT(fit_id) OVER (PARTITION BY of_key ORDER BY place) AS fit_so_far
                    FROM next LEFT JOIN fit ON fit_id = next_id
                ) AS counted
                WHERE fit_so_far = place
            )
            UPDATE outbox_message AS message SET {started}
            FROM run WHERE message.id = run_id
            RETURNING id, attempts, lost, due_at, ordering_key
        """  # noqa: S608  # the parts are the ORM's, constants and the clock's, every value is a parameter

    def _heads(self, connection: BaseDatabaseWrapper) -> str:
        """Return the SELECT of the places behind which the runs begin: an id, the consumer and the key of each."""
        raise NotImplementedError

    def _start(self, heads: Sequence[Any], *, room: int, worker: str, lease: timedelta) -> list[Started]:
        """Start at most ``room`` rows, of every key the next before of any the one after."""
        connection = connections[self._using]
        fit_params = with_values(connection, self._fit_params, {})
        values = started_values(self._clock, worker, lease)
        with connection.cursor() as cursor:
            cursor.execute(self._sql, [*heads, room, room, *fit_params, *values])
            return sorted(Started(*row) for row in cursor.fetchall())


class StartBehind(StartRun):
    """What stands directly behind heads that are ours, and hold their keys.

    A head that has not succeeded at its last attempt goes alone, for what is behind it would only be given back again.
    Touches no indexed column.
    """

    def run(self, heads: Sequence[Fence], *, room: int, worker: str, lease: timedelta) -> list[Started]:
        """Start what stands behind these heads."""
        params = with_values(connections[self._using], self._head_params, lists_of(heads))
        return self._start(params, room=room, worker=worker, lease=lease)

    def _heads(self, _connection: BaseDatabaseWrapper) -> str:
        ours = Message.objects.using(self._using).still_ours().filter(holds_key=True, last_error="")
        head, self._head_params = ours.values("pk", "consumer", "ordering_key").query.get_compiler(self._using).as_sql()
        return str(head)


class StartNext(StartRun):
    """What comes first of keys that are free, for this transaction has settled whoever held them."""

    first_holds_key = True

    def run(self, keys: Collection[OrderOfKey], *, room: int, worker: str, lease: timedelta) -> list[Started]:
        """Start what comes first of these keys."""
        params = as_parameters(keys, connections[self._using])
        return self._start(params, room=room, worker=worker, lease=lease)

    def _heads(self, connection: BaseDatabaseWrapper) -> str:
        return f"SELECT CAST(0 AS bigint), wanted_consumer, wanted_key FROM {KEYS[connection.vendor]}"  # noqa: S608  # a constant


BEHIND = """
WITH head (head_id, head_consumer, head_key) AS (SELECT id, consumer, ordering_key FROM outbox_message WHERE {named}),
next (next_id, of_key, place) AS ({next})
SELECT next_id FROM next
"""


def ids_behind(heads: Sequence[int], *, limit: int) -> list[int]:
    """Return the unsettled messages that stand directly behind these in the order of their keys, ``limit`` of each."""
    connection = connections[conf().database]
    named = "id = ANY(%s)" if connection.vendor == "postgresql" else "id IN (SELECT value FROM json_each(%s))"
    sql = BEHIND.format(named=named, next=_next(connection))
    with connection.cursor() as cursor:
        cursor.execute(sql, [as_parameter(heads, connection), limit, limit * len(heads)])
        return [id for (id,) in cursor.fetchall()]


def _next(connection: BaseDatabaseWrapper) -> str:
    return NEXT.format(next=next_of_key(connection.vendor, "of_consumer", "of_key", "walk.id"))
