"""Databases of our own, looked at from outside, past the engine."""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2
from django.conf import settings

Row = tuple[Any, ...]
WAIT_FOR_NO_DISK = 'ALTER DATABASE "{name}" SET synchronous_commit = off'
"""For tests, which cut no power: thousands of their commits would wait for the disk, as long as all else takes."""


class Database:
    """A PostgreSQL database of our own; ``outside`` is its address without the options that only Django reads.

    What is committed to one that is not ``durable`` reaches the disk a moment later, and nobody waits for it.
    """

    def __init__(self, server: str, name: str, *, template: str = "", durable: bool = True) -> None:
        self.server, self.name = server, name
        self.url = with_name(server, name)
        self.outside = without_options(self.url)
        self._drop()
        self._on_server(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        if not durable:
            self._on_server(WAIT_FOR_NO_DISK.format(name=name))
        self._connection: Any = None

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """Ask the database itself, past the engine; each question in a transaction of its own."""
        if self._connection is None:
            self._connection = psycopg2.connect(self.outside)
            self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def drop(self) -> None:
        """Close everybody's connections and remove the database."""
        self.close()
        self._drop()

    def _drop(self) -> None:
        self._on_server(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    def _on_server(self, sql: str) -> None:
        connection = psycopg2.connect(with_name(without_options(self.server), "postgres"))
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
        finally:
            connection.close()


class EmbeddedDatabase:
    """The SQLite database of an embedded installation, looked at from outside."""

    url = ""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "makegood.sqlite3"

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        with contextlib.closing(sqlite3.connect(self.path, timeout=20)) as connection:
            return connection.execute(sql.replace("%%", "%").replace("%s", "?"), parameters).fetchall()

    def drop(self) -> None:
        """Leave the file to whoever owns its folder."""


def with_name(url: str, name: str) -> str:
    """Return the address of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def without_options(url: str) -> str:
    """Return the address without its query, as ``?pool=true`` is Django's."""
    return urlunsplit(urlsplit(url)._replace(query=""))


def name_of_run() -> str:
    """Return what our databases' names begin with: the test database's, so that whoever drops that drops ours."""
    name = settings.DATABASES["default"]["NAME"]
    name = name if str(name).startswith("test_") else f"test_{name}"
    return f"{name}_faults_{os.getpid()}"
