"""Whose error is it: a handler's, a session's, or that of the database that is away?

A ping does not tell. After a failover a session may live on that cannot write, and a full disk answers ``SELECT 1``.
So an error is judged by its SQLSTATE, by the alias it was met on, and by a write of our own on a fresh session.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from enum import Enum
from time import monotonic, sleep
from typing import Any, TypeVar

from django.db import DatabaseError, Error, InterfaceError, OperationalError, connections
from django.db.backends.utils import CursorWrapper
from django.db.utils import DatabaseErrorWrapper

from outbox.conf import conf
from outbox.delivery import sessions
from outbox.models import ConsumerState
from outbox.models.sql.errors import sqlstate

log = logging.getLogger("outbox.delivery")

T = TypeVar("T")

DRIVER_ERRORS = (DatabaseError, InterfaceError)

READ_ONLY, DISK_FULL, TOO_MANY_CONNECTIONS = "25006", "53100", "53300"
DOWN = frozenset({READ_ONLY, DISK_FULL, TOO_MANY_CONNECTIONS, "57P01", "57P02", "57P03", "57P04", "57P05"})
DOWN_CLASSES = ("08", "58")
"""Connections that broke, and errors of the system below PostgreSQL."""

CONNECT_SECONDS = 5
PAUSE = 0.5
"""Seconds between two tries while the database is away."""


class Fault(Enum):
    """Where the cause of a database error lies."""

    HANDLER = "the code that met it"
    SESSION = "our session, which is closed; a new one works"
    DATABASE = "the database, which takes no write of ours"


class DatabaseDown(Exception):
    """The engine's database is away, or takes no writes: what was started goes back, and nothing is spent."""


def may_be_the_worlds(error: BaseException | None) -> bool:
    """Tell whether the engine's own alias met what a database says that goes away. Made-up errors met no alias.

    Drivers have no SQLSTATE for a connection that broke; then the session is looked at on which it was met.
    """
    if not isinstance(error, DRIVER_ERRORS) or _alias_of(error) != conf().database:
        return False
    code = sqlstate(error)
    if code is None:
        met_on = _session_of(error)
        closed = getattr(met_on, "closed", None)  # SQLite's has no such thing
        broke = not connections[conf().database].is_usable() if closed is None else bool(closed)
        return isinstance(error, OperationalError | InterfaceError) and broke
    return code in DOWN or code.startswith(DOWN_CLASSES)


def may_pass(error: BaseException | None) -> bool:
    """Tell whether the same may go well in a moment: the database is away, or others were in the way."""
    return isinstance(error, OperationalError | InterfaceError) or may_be_the_worlds(error)


def judge(error: BaseException | None) -> Fault:
    """Return whose error it is. Outside a transaction only: a session that cannot do our work is closed."""
    connection: Any = connections[conf().database]
    if connection.vendor != "postgresql" or not may_be_the_worlds(error):
        return Fault.HANDLER
    # Django has opened another at the end of its block, or the thread has had one for another call since.
    is_same = _session_of(error) in (None, connection.connection)
    lives = is_same and connection.connection is not None and _takes_writes(connection, error)
    if lives and _fresh_one_takes_writes(error):
        return Fault.HANDLER
    sessions.drop(connection)
    if not lives and _fresh_one_takes_writes(error):
        return Fault.SESSION
    return Fault.DATABASE


def once_back(call: Callable[[], T], *, within: timedelta | None = None) -> T:
    """Make the call, again while the database is away, for as long as a lease: then another worker may have the row.

    ``within`` is another limit. It is made again after a deadlock or a serialization failure, too.
    """
    until = monotonic() + (within or conf().lease).total_seconds()
    while True:
        try:
            return call()
        except DRIVER_ERRORS as error:
            is_away = may_be_the_worlds(error)
            if not may_pass(error):
                raise
            if monotonic() >= until:
                raise
            log.info("the database is away, the call is made again: %s", error)
        sessions.drop(connections[conf().database])
        sleep(PAUSE)
        if is_away:
            sessions.end_pool(connections[conf().database])


def _alias_of(error: BaseException) -> str | None:
    """Return the alias that an error was met on, which Django does not write on it: its wrapper stands on the way."""
    return next((str(vars(owner)["wrapper"].alias) for owner in _on_the_way(error, DatabaseErrorWrapper)), None)


def _session_of(error: BaseException | None) -> Any:
    """Return the driver's connection that an error was met on; None where it was met without a statement."""
    return next((owner.cursor.connection for owner in _on_the_way(error, CursorWrapper)), None)


def _on_the_way(error: BaseException | None, kind: type[T]) -> Iterator[T]:
    """Go through the objects of a kind whose methods an error has come through."""
    step = error.__traceback__ if error is not None else None
    while step is not None:
        owner = step.tb_frame.f_locals.get("self")
        if isinstance(owner, kind):
            yield owner
        step = step.tb_next


def _fresh_one_takes_writes(error: BaseException | None) -> bool:
    # A pool may be used up, which says nothing about the database.
    with sessions.beside_the_pool(connections[conf().database]) as fresh:
        fresh.settings_dict["OPTIONS"].setdefault("connect_timeout", CONNECT_SECONDS)
        return _takes_writes(fresh, error)


def _takes_writes(connection: Any, error: BaseException | None) -> bool:
    """Tell whether the session takes a write that changes nothing; after a full disk, one that needs room."""
    table = connection.ops.quote_name(ConsumerState._meta.db_table)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET consumer = consumer WHERE false")  # noqa: S608  # a name of our own
            if sqlstate(error) == DISK_FULL:
                cursor.execute("CREATE TEMPORARY TABLE outbox_room AS SELECT 1 AS one")
                cursor.execute("DROP TABLE outbox_room")
    except Error as met:
        # Without the right to make such a table nothing is known of the room; the handler's error stands.
        return sqlstate(met) == "42501"
    return True
