"""Database sessions for handlers in threads: a few for a process, however many threads there are.

A thread has one from the first statement of a transaction to its end, or for one statement, and not while its handler
waits for somebody outside. Where all are in use it waits, as long as its call may take. Each begins as a new one would,
whatever the thread before has set.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from django.db import Error, OperationalError, connections

from outbox.conf import conf
from outbox.delivery.wide.calls import Call
from outbox.models.sql.session_settings import differences, read_settings
from outbox.models.sql.transaction_status import IDLE

log = logging.getLogger("outbox.delivery")


@dataclass(frozen=True, slots=True)
class _Session:
    """The driver's own connection, when it was opened, and the settings of a new one."""

    raw: Any
    opened_at: float
    settings: str = ""

    @property
    def is_young(self) -> bool:
        return not self.raw.closed and monotonic() - self.opened_at < conf().session_age.total_seconds()


class _OfOneAlias:
    """The sessions of one database alias: those that nobody uses, and how many more there may be."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._free = threading.BoundedSemaphore(conf().thread_sessions)
        self._idle: list[_Session] = []

    def take(self, open_new: Callable[[], Any], *, until: float) -> _Session:
        """Return a session that another thread has left, or a new one; wait for it until then."""
        if not self._free.acquire(timeout=max(0.0, until - monotonic())):
            raise OperationalError(
                f"all {conf().thread_sessions} sessions on {self._alias!r} for handlers in threads are in use "
                '(OUTBOX["THREAD_SESSIONS"])'
            )
        try:
            while self._idle:
                # Of two threads that see the last one, one finds none.
                with suppress(IndexError):
                    if (session := self._idle.pop()).is_young:
                        return session
                    close(session.raw)
            return _Session(open_new(), monotonic())
        except BaseException:
            self._free.release()
            raise

    def give_back(self, session: _Session) -> None:
        """Leave a session to others, unless it is broken or in the middle of something."""
        if session.settings and not session.raw.closed and session.raw.info.transaction_status == IDLE:
            self._idle.append(session)
        else:
            close(session.raw)
        self._free.release()


class _Borrower:
    """Has the connection of one thread take its session from the others, and give it back after each use."""

    def __init__(self, connection: Any, sessions: _OfOneAlias, here: threading.local) -> None:
        self._connection, self._sessions, self._here = connection, sessions, here
        self._held: _Session | None = None
        self._cursors = 0
        self._is_connecting = False
        self._open_new, self._connect = connection.get_new_connection, connection.connect
        self._make_cursor, self._set_autocommit = connection._cursor, connection.set_autocommit
        connection.get_new_connection, connection.connect = self._take, self._connect_as_new
        connection._cursor, connection.set_autocommit = self._cursor, self._autocommit
        connection._close = self._give_back

    def _take(self, params: Any) -> Any:
        self._held = self._sessions.take(lambda: self._open_new(params), until=self._here.until)
        return self._held.raw

    def _connect_as_new(self) -> None:
        """Connect; a session is closed that has broken while nobody used it, or was left with other settings."""
        self._is_connecting = True
        try:
            self._connect()
            while not self._is_as_new():
                self._connection.close()
                self._connect()
        finally:
            self._is_connecting = False

    def _is_as_new(self) -> bool:
        """Tell whether the session is as a new one; learn from a new one how that is."""
        held = self._held
        if held is None:
            return True
        try:
            found = read_settings(self._connection)
        except Error:
            if not held.settings:
                raise
            close(held.raw)
            return False
        if not held.settings:
            self._held = _Session(held.raw, held.opened_at, found)
        elif held.settings != found:
            log.warning(
                "a session on %r was left with %s; it is closed. A handler that needs other settings takes SET LOCAL "
                "in a transaction",
                self._connection.alias,
                differences(held.settings, found),
            )
            close(held.raw)
            return False
        return True

    def _cursor(self, name: str | None = None) -> Any:
        cursor = self._make_cursor(name)
        self._cursors += 1
        close, is_open = cursor.close, True

        def close_and_give_back() -> None:
            nonlocal is_open
            try:
                close()
            finally:
                self._cursors -= is_open
                is_open = False
                self._give_back_if_idle()

        cursor.close = close_and_give_back
        return cursor

    def _autocommit(self, autocommit: bool, **options: Any) -> None:  # as Django has it
        self._set_autocommit(autocommit, **options)
        if autocommit:
            self._give_back_if_idle()

    def _give_back_if_idle(self) -> None:
        connection = self._connection
        busy = self._cursors or self._is_connecting or connection.in_atomic_block or not connection.autocommit
        if not busy and connection.connection is not None:
            connection.close()

    def _give_back(self) -> None:
        """Take the place of the connection's ``_close``."""
        held, self._held = self._held, None
        self._cursors = 0
        if held is not None:
            self._sessions.give_back(held)
        else:
            close(self._connection.connection)


class ThreadSessions:
    """What a process has of them, by alias, whether Django has a pool beside them or not. SQLite needs none."""

    def __init__(self) -> None:
        self._here = threading.local()
        self._lock = threading.Lock()
        self._aliases: dict[str, _OfOneAlias] = {}

    def serve_this_thread(self) -> None:
        """Have every connection of this thread take its session from here."""
        for alias in connections:
            connection: Any = connections[alias]
            if connection.vendor == "postgresql":
                _leave_pool(connection)
                with self._lock:
                    sessions = self._aliases.setdefault(alias, _OfOneAlias(alias))
                _Borrower(connection, sessions, self._here)

    def begin(self, call: Call) -> None:
        """Let this thread wait for a session as long as this call may take."""
        self._here.until = call.until

    def hand_on(self) -> None:
        """Close the connections of this thread, which leaves their sessions to other threads."""
        for connection in connections.all(initialized_only=True):
            connection.close()


def _leave_pool(connection: Any) -> None:
    """Have this thread's connection open sessions itself: it would keep one of Django's pool while it waits."""
    options = {name: value for name, value in connection.settings_dict["OPTIONS"].items() if name != "pool"}
    connection.settings_dict = {**connection.settings_dict, "OPTIONS": options}


def close(raw: Any) -> None:
    """Close a session of which nobody has any use."""
    with suppress(Exception):  # the driver's own
        raw.close()
