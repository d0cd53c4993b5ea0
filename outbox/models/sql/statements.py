"""The core loop's own statements: start, lock, succeed. The ORM says which rows; its SQL is compiled once.

Compiling it for every chunk took several times as long as running it. What differs from chunk to chunk is given as
lists, one parameter each, so that the SQL is the same for any number of rows.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from django.db import IntegrityError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Func, TextField, Value
from django.db.models.functions import Now
from django.db.models.sql import UpdateQuery

from outbox.conf import conf
from outbox.models.message import ONE_OF_KEY, Message
from outbox.models.queryset import Fence, MessageQuerySet
from outbox.models.sql.clock import Clock, clock_of
from outbox.models.sql.commit_guard import ALLOW, REFUSE
from outbox.models.sql.conditions import Given, as_parameter
from outbox.models.sql.session_settings import SAME_SETTINGS, SessionSettings, read_short_settings
from outbox.models.status import Status

MILLISECOND = timedelta(milliseconds=1)
KEY_TRIES = 3
"""How often rows are started that another worker starts others of the same ordering keys beside."""

SUCCEEDED: dict[str, Any] = {
    "status": Status.SUCCESS,
    "finished_at": Now(),
    "lease_until": None,
    "holds_key": False,
    "lost": 0,
    "last_error": "",
}
"""What a success has in its columns."""


class Started(NamedTuple):
    """A row that has just been started: the attempt is the one that holds it, and losses in a row came before it."""

    id: int
    attempts: int
    lost: int
    due_at: datetime
    ordering_key: str

    @property
    def fence(self) -> Fence:
        """The row and attempt that a settle must still hold."""
        return Fence(self.id, self.attempts, self.ordering_key)


HOLDS_KEY = "holds_key = message.ordering_key <> ''"
"""What has an ordering key holds it from the moment it is started."""


def set_started(clock: Clock, *, hold: str = HOLDS_KEY) -> str:
    """Return what an UPDATE of ``message`` sets when it starts rows; its parameters are the ``started_values``."""
    times = f"started_at = {clock.now_plus}, lease_until = {clock.now_plus}"
    counted = "status = %s, attempts = message.attempts + 1, sends = 0, worker = %s"
    return ", ".join(filter(None, [counted, hold, times]))


def started_values(clock: Clock, worker: str, lease: timedelta) -> list[Any]:
    """Return the parameters of ``set_started``: the row belongs to ``worker`` for a ``lease`` from now."""
    return [Status.STARTED.value, worker, clock.seconds(timedelta(0)), clock.seconds(lease)]


class Start:
    """Pending → started, for the rows of a queryset: one more attempt, leased to a worker.

    One statement locks the rows, passing over those that others hold, marks them and, outside a transaction, is
    committed. It touches no indexed column (a HOT update). The ORM cannot say this; its queryset says which rows.
    """

    def __init__(self, rows: MessageQuerySet) -> None:
        self._using = rows.db
        connection = connections[self._using]
        self._clock = clock_of(connection)
        table = connection.ops.quote_name(Message._meta.db_table)
        picked, self._params = rows.values("pk").query.get_compiler(self._using).as_sql()
        lock = "FOR NO KEY UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
        # MATERIALIZED: joined into the UPDATE, a LIMIT may be run again for every row, and start more than it says.
        self._sql = f"""
            WITH picked (picked_id) AS MATERIALIZED ({picked} LIMIT %s {lock})
            UPDATE {table} AS message SET {set_started(self._clock)}
            FROM picked WHERE message.id = picked_id
            RETURNING id, attempts, lost, due_at, ordering_key
        """  # noqa: S608  # the parts are the ORM's and the clock's, every value is a parameter

    def run(
        self, *, limit: int, worker: str, lease: timedelta, ids: Sequence[int] = (), since: datetime | None = None
    ) -> list[Started]:
        """Start at most ``limit`` rows, of those ``Named`` in ``ids`` or ``due_since``; return them by id.

        Where another worker starts one of the same ordering key at this moment, the database lets it go first and
        refuses us; the next try sees it, and starts the others.
        """
        for _try in range(KEY_TRIES):
            try:
                # In a transaction, so that what it refuses does not end that.
                with _savepoint_within(self._using):
                    return self._start(limit, worker, lease, {Given.IDS: ids}, since)
            except IntegrityError as error:
                if ONE_OF_KEY not in str(error):
                    raise
        return []

    def _start(
        self, limit: int, worker: str, lease: timedelta, lists: Mapping[Given, Sequence[int]], since: datetime | None
    ) -> list[Started]:
        connection = connections[self._using]
        params = with_values(connection, self._params, lists, {Given.SINCE: since or self._clock.beginning})
        with connection.cursor() as cursor:
            cursor.execute(self._sql, [*params, limit, *started_values(self._clock, worker, lease)])
            return sorted(Started(*row) for row in cursor.fetchall())


def _savepoint_within(using: str) -> AbstractContextManager[object]:
    """Return a savepoint where a transaction is open; nothing where the statement is one by itself."""
    return transaction.atomic(using=using) if connections[using].in_atomic_block else nullcontext()


LENGTHEN = """
UPDATE outbox_message SET lease_until = STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', lease_until, '+1 seconds')
WHERE id IN (SELECT value FROM json_each(%s))
"""
"""SQLite cannot say what became of a transaction: the rows' leases do, which it lengthens."""


class CurrentTransaction(Func):
    """The number of the transaction that runs, as text."""

    template = "pg_current_xact_id()::text"
    output_field = TextField()


class WaitsNoLonger(Func):
    """Always true: limits how long this transaction waits for a lock, from the statement on that asks.

    A subquery without a row's columns is run once, before the first row is looked at, and so before any is waited for.
    One statement with the lock, as drivers differ in which result they return of several.
    """

    template = "(SELECT set_config('lock_timeout', %(expressions)s, true)) IS NOT NULL"
    output_field = BooleanField()

    def __init__(self) -> None:
        super().__init__(Value(Given.WAIT))


class RunsNoLonger(Func):
    """Always true: limits how long each later statement of this transaction may run. A shorter limit stays in force.

    Run once and before the first row, as ``WaitsNoLonger`` is.
    """

    template = """(
        SELECT set_config('statement_timeout', CASE
            WHEN current_setting('statement_timeout')::interval > '0'
            AND current_setting('statement_timeout')::interval < limited.to::interval
            THEN current_setting('statement_timeout') ELSE limited.to END, true)
        FROM (VALUES (%(expressions)s)) AS limited ("to")
    ) IS NOT NULL"""
    output_field = BooleanField()

    def __init__(self) -> None:
        super().__init__(Value(Given.LIMIT))


class Lock:
    """Lock the rows that are still ours, and read them; ``guarded`` refuses a COMMIT until they are settled."""

    def __init__(self, using: str, *, guarded: bool = False) -> None:
        self._using = using
        postgresql = connections[using].vendor == "postgresql"
        ours = Message.objects.using(using).still_ours()
        # SQLite has one writer, and nothing to wait for.
        rows = ours.filter(WaitsNoLonger()).filter(RunsNoLonger()) if postgresql else ours
        placed = rows.annotate(
            transaction_number=CurrentTransaction() if postgresql else Value(""),
            settings=SessionSettings() if postgresql else Value(""),
        )
        compiler = placed.select_for_update(no_key=True).order_by("pk").query.get_compiler(using)
        self._sql, self._params = compiler.as_sql()
        if postgresql:
            # A UUID is made of it when somebody asks: for each row it takes as long as all other columns together.
            self._sql = self._sql.replace('."drawn_key"', '."drawn_key"::text', 1)
            self._sql = REFUSE + self._sql if guarded else self._sql
        columns = [column for column, _compiled, _alias in compiler.select]
        self._names = [column.target.attname for column in columns[:-2]]
        self._converters = compiler.get_converters(columns)
        self._convert = compiler.apply_converters

    def run(self, fences: Sequence[Fence], *, wait: timedelta, limit: timedelta) -> list[Message]:
        """Return the rows in the order of publishing.

        From here on nothing in this transaction waits for a lock longer than ``wait``, or runs longer than ``limit``.
        """
        connection = connections[self._using]
        times = {Given.WAIT: str(wait // MILLISECOND), Given.LIMIT: f"{limit // MILLISECOND}ms"}
        params = with_values(connection, self._params, lists_of(fences), times)
        with connection.cursor() as cursor:
            cursor.execute(self._sql, params)
            rows = self._convert(cursor.fetchall(), self._converters)
            if connection.vendor == "sqlite":
                cursor.execute(LENGTHEN, [as_parameter([fence.id for fence in fences], connection)])
        messages = []
        for *values, number, settings in rows:
            message = Message.from_db(self._using, self._names, values)
            message.transaction, message.session_settings = number, settings
            messages.append(message)
        return messages


SAME_TRANSACTION = " AND pg_current_xact_id()::text = %s"
"""The end of a WHERE that nothing passes in another transaction."""


def update_of_ours(using: str, values: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """Return the UPDATE of the rows that are still ours, as SQL that is given their fences when it runs."""
    update: Any = Message.objects.using(using).still_ours().query.chain(UpdateQuery)
    update.add_update_values(values)
    sql, params = update.get_compiler(using).as_sql()
    return sql, params


class Success:
    """Started → success, for the rows that are still ours: consumed, for good."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._sql, self._params = update_of_ours(using, SUCCEEDED)

    def run(self, fences: Sequence[Fence], *, transaction: str = "", settings: str = "") -> int:
        """Return how many of the rows were still ours, and are successes now.

        There are none in another ``transaction``, or under other ``settings`` of the session, where these are given.
        """
        connection = connections[self._using]
        sql, params = self._sql, with_values(connection, self._params, lists_of(fences))
        if transaction:
            sql, params = ALLOW + sql + SAME_TRANSACTION, [*params, transaction]
        if settings:
            sql, params = sql + SAME_SETTINGS, [*params, settings]
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            return int(cursor.rowcount)


LONGEST_STATEMENT = timedelta(hours=1)


def lock(
    fences: Sequence[Fence], *, wait: timedelta, limit: timedelta = LONGEST_STATEMENT, guarded: bool = False
) -> list[Message]:
    """Lock the rows that are still ours and return them, in the order of publishing.

    From here on no statement of the transaction waits for a lock longer than ``wait``, or runs longer than ``limit``.
    ``guarded``, it cannot be committed before ``succeed`` in it, or ``commit_guard.allow_commit``.
    """
    return _locking(conf().database, guarded=guarded).run(fences, wait=wait, limit=limit)


def succeed(fences: Sequence[Fence], *, transaction: str = "", settings: str = "") -> int:
    """Mark the rows that are still ours as successes; return how many were.

    With ``transaction`` and ``settings``, as ``lock`` has given them, nothing is done in any other transaction or after
    the session's settings have changed.
    """
    return _succeeding(conf().database).run(fences, transaction=transaction, settings=settings)


def has_settings(settings: str) -> bool:
    """Tell whether the session's settings are still those that ``lock`` has named in short."""
    return read_short_settings(connections[conf().database]) == settings


def was_committed(message: Message) -> bool:
    """Tell whether the transaction was committed in which ``lock`` has read the message; it must be over."""
    if not message.transaction:
        lease = Message.objects.filter(pk=message.pk).values_list("lease_until", flat=True).first()
        return lease != message.lease_until
    with connections[conf().database].cursor() as cursor:
        cursor.execute("SELECT pg_xact_status(%s::xid8) = 'committed'", [message.transaction])
        return bool(cursor.fetchone() == (True,))


_locking, _succeeding = cache(Lock), cache(Success)


def lists_of(fences: Sequence[Fence]) -> dict[Given, Sequence[int]]:
    """Return the ids and the attempts of ``fences``, as ``with_values`` takes them."""
    return {Given.IDS: [fence.id for fence in fences], Given.ATTEMPTS: [fence.attempts for fence in fences]}


def with_values(
    connection: BaseDatabaseWrapper,
    params: Sequence[Any],
    lists: Mapping[Given, Sequence[int]],
    times: Mapping[Given, Any] | None = None,
) -> list[Any]:
    """Return the parameters with each list, and each time or span of time, in its place."""
    values: dict[Given, Any] = {given: as_parameter(ints, connection) for given, ints in lists.items()}
    values.update(times or {})
    return [values[param] if isinstance(param, Given) else param for param in params]
