"""The place of a rehearsal: a process that was made for it, and in which nothing outlives a rollback.

What a handler does beside the engine's database is refused as far as Python and the drivers tell: sockets, files opened
for writing, processes, connections of its own, writes to other databases. Caches, mail and Celery are dummies. What is
refused is noted, so that a handler which swallows the refusal does not count as a success.
"""

import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery, Task
from celery.result import AsyncResult
from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.test.utils import override_settings

from outbox.conf import conf
from outbox.errors import NotRehearsable

OUTSIDE = {
    "socket.connect": "connects to the network",
    "socket.bind": "opens a network port",
    "socket.sendto": "sends to the network",
    "socket.sendmsg": "sends to the network",
    "subprocess.Popen": "starts a process",
    "os.system": "starts a process",
    "os.exec": "starts a process",
    "os.posix_spawn": "starts a process",
    "os.spawn": "starts a process",
    "os.fork": "starts a process",
    "os.forkpty": "starts a process",
    "os.remove": "removes a file",
    "os.rename": "renames a file",
    "os.mkdir": "makes a folder",
    "os.rmdir": "removes a folder",
    "os.link": "links a file",
    "os.symlink": "links a file",
    "os.truncate": "shortens a file",
    "sqlite3.connect": "opens a database of its own",
}
"""Python's audit events that no rollback undoes, and what a handler does then."""
FOR_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
READ_ONLY = {
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}
"""How a session of another database than the engine's is made to refuse writes, by vendor."""

_refused: list[str] = []
_is_playing = False
_opens = threading.local()


def set_up() -> None:
    """Make the process the stage. It serves for nothing else afterwards."""
    sys.dont_write_bytecode = True
    dummies = {alias: {"BACKEND": "django.core.cache.backends.dummy.DummyCache"} for alias in settings.CACHES}
    mail: dict[str, Any] = {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}
    if hasattr(settings, "MAILERS"):  # Django 6.1
        names = getattr(settings, "MAILERS")  # noqa: B009  # the stubs do not know it yet
        mail = {"MAILERS": {name: {"BACKEND": mail["EMAIL_BACKEND"]} for name in names}}
    override_settings(CACHES=dummies, **mail).enable()
    Celery.send_task = _send_nothing  # type: ignore[method-assign]
    Task.apply_async = _send_nothing  # type: ignore[method-assign]
    connection_created.connect(_make_read_only, dispatch_uid="outbox.rehearsal")
    _guard_drivers()
    sys.addaudithook(_refuse_what_stays)


@contextmanager
def playing() -> Iterator[list[str]]:
    """Refuse what no rollback undoes while the block runs; give the list of what was refused."""
    global _is_playing
    _refused.clear()
    _is_playing = True
    try:
        yield _refused
    finally:
        _is_playing = False


def _refuse(what: str) -> None:
    _refused.append(what)
    raise NotRehearsable(f"the handler {what}, which no rollback undoes")


def _refuse_what_stays(event: str, args: tuple[Any, ...]) -> None:
    if not _is_playing:
        return
    if event == "open":
        path, mode, flags = args
        writes = any(letter in mode for letter in "wax+") if mode else bool(flags & FOR_WRITING)
        if writes and path != os.devnull:
            _refuse("writes a file")
    elif event in OUTSIDE and not (event == "sqlite3.connect" and getattr(_opens, "for_django", False)):
        _refuse(OUTSIDE[event])


def _send_nothing(*_args: Any, **_options: Any) -> AsyncResult:  # type: ignore[type-arg]  # generic for checkers only
    return AsyncResult(str(uuid.uuid4()))


def _make_read_only(connection: BaseDatabaseWrapper, **_kwargs: Any) -> None:
    if connection.alias == conf().database and connection is connections[connection.alias]:
        return
    statement = READ_ONLY.get(connection.vendor)
    if statement is None:
        _refuse(f"uses the database “{connection.alias}”, whose sessions cannot be made read-only")
    else:
        with connection.cursor() as cursor:
            cursor.execute(statement)


def _guard_drivers() -> None:
    """Let only Django open connections, and only in the main thread, whose transaction is rolled back."""
    connect = BaseDatabaseWrapper.connect

    def connect_in_the_main_thread(self: BaseDatabaseWrapper) -> None:
        if _is_playing and threading.current_thread() is not threading.main_thread():
            _refuse("uses a database in another thread")
        _opens.for_django = True
        try:
            connect(self)
        finally:
            _opens.for_django = False

    BaseDatabaseWrapper.connect = connect_in_the_main_thread  # type: ignore[method-assign]
    for name in ("psycopg", "psycopg2"):
        driver: Any = sys.modules.get(name)
        if driver is not None:
            driver.connect = _for_django(driver.connect)


def _for_django(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if _is_playing and not getattr(_opens, "for_django", False):
            _refuse("opens a database connection of its own")
        return connect(*args, **kwargs)

    return guarded
