"""Each hint begins on a session in a known state, whatever the handlers before it have left on it.

A handler may ``SET`` a role, a search path or a time limit that outlives its message. A session whose settings differ
from those of a new one is closed, and so is one that broke or has grown old.

A pool has spare sessions. What it gives is not new, so how a new one begins is learned beside it.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from django.db import Error, connections

from outbox.conf import conf
from outbox.memory import Memory
from outbox.models.sql.errors import missing_tables_named
from outbox.models.sql.session_settings import differences, read_settings

log = logging.getLogger("outbox.delivery")


@dataclass(frozen=True, slots=True)
class _Session:
    """A session that was opened here: the driver's own connection, when, and the settings of a new one."""

    raw: object
    opened_at: float
    settings: str


_sessions: Memory[dict[str, _Session]] = Memory(dict, per_thread=True)


def restore() -> None:
    """Close every session that broke, is too old, or has other settings than a new one, on whatever alias.

    Costs one statement for each PostgreSQL session that is open. Nothing is done to a session in a transaction.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            _restore(connection)


@contextmanager
def in_known_state() -> Iterator[None]:
    """Begin the block with every session restored; after it, give each that is a pool's back.

    A greenlet ends with its hint, and a session that it keeps would never come back. One that a pool gives was others'
    before, so the engine's is taken at once and restored as well. An error over missing tables says what to do.
    """
    _take_from_pool(connections[conf().database])
    restore()
    try:
        with missing_tables_named():
            yield
    finally:
        for connection in connections.all(initialized_only=True):
            if is_pooled(connection) and not connection.in_atomic_block:
                connection.close()


def is_pooled(connection: Any) -> bool:
    """Tell whether the connection has its sessions from Django's pool."""
    return bool(getattr(connection, "pool", None))


def _take_from_pool(connection: Any) -> None:
    if is_pooled(connection):
        # Without one the block's first statement meets the same, and is judged by it.
        with suppress(Error):
            connection.ensure_connection()


def restore_after_errors() -> None:
    """Do the same for those on which an error was met: a row's other alias that broke must not fail the next row."""
    for connection in connections.all(initialized_only=True):
        if connection.errors_occurred and not connection.in_atomic_block:
            _restore(connection)


def _restore(connection: Any) -> None:
    if connection.connection is None:
        return
    if connection.errors_occurred:
        if not connection.is_usable():
            drop(connection)
            return
        connection.errors_occurred = False
    if connection.vendor != "postgresql":
        return
    known = _sessions.value.get(connection.alias)
    try:
        if known is None or monotonic() - known.opened_at > conf().session_age.total_seconds():
            _renew(connection)
            return
        if connection.connection is not known.raw:
            _sessions.value[connection.alias] = _Session(connection.connection, monotonic(), known.settings)
        _refuse_other_settings(connection, known.settings)
    except Error:
        # It broke while it was idle; the next statement opens a new one.
        drop(connection)


def _refuse_other_settings(connection: Any, expected: str) -> None:
    found = read_settings(connection)
    if found != expected:
        log.warning(
            "a session on %r was left with %s; it is closed. A handler that needs other settings takes SET LOCAL, in "
            "a consumer with isolated=True",
            connection.alias,
            differences(expected, found),
        )
        _renew(connection)


def _renew(connection: Any) -> None:
    """Have a new session and learn from it how one begins."""
    drop(connection)
    connection.ensure_connection()
    settings = _take_one_as_new(connection) if is_pooled(connection) else read_settings(connection)
    _sessions.value[connection.alias] = _Session(connection.connection, monotonic(), settings)


def _take_one_as_new(connection: Any) -> str:
    """Take a session from the pool whose settings are a new one's, and return these; others are closed on the way."""
    with beside_the_pool(connection) as new:
        settings = read_settings(new)
    for _spare in range(connection.pool.max_size):
        if read_settings(connection) == settings:
            return settings
        drop(connection)
    return read_settings(connection)  # in this pool all begin otherwise


@contextmanager
def beside_the_pool(connection: Any) -> Iterator[Any]:
    """Have a new session of the same kind for the block, whatever a pool has; it is closed afterwards."""
    new = connection.copy()
    new.settings_dict["OPTIONS"].pop("pool", None)
    try:
        yield new
    finally:
        new.close()


def what_changed() -> str:
    """Return which settings of the engine's session are not those of a new one, as people read them."""
    connection = connections[conf().database]
    known = _sessions.value.get(conf().database)
    return differences(known.settings if known else "", read_settings(connection))


_ending_a_pool = threading.Lock()


def end_pool(connection: Any) -> None:
    """Have the pool, if there is one, begin anew: its spare sessions are of the time before the database was back.

    While the database is away a pool tries it ever more seldom, too. A session that another thread holds stays, and is
    closed when it is given back.
    """
    if is_pooled(connection):
        with _ending_a_pool:
            connection.close_pool()


def drop(connection: Any) -> None:
    """Close the session for good: a pool must not keep it either."""
    raw = connection.connection
    if raw is not None and hasattr(raw, "close"):
        try:
            raw.close()
        except Error as error:
            log.info("a session on %r could not be closed: %s", connection.alias, error)
    connection.close()
