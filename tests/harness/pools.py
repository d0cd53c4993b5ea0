"""Django's pools of sessions: with spare ones, or with none, so that what a test does is done to the only session."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any

import pytest
from django import db

connection: Any = db.connection

PATIENCE = 3.0
"""Seconds that a test's pool waits for a session while the database is away."""


@contextmanager
def pool_of(sessions: int) -> Iterator[None]:
    """Have a pool keep so many sessions in this process during the block, and none of them afterwards."""
    if not find_spec("psycopg_pool"):
        pytest.skip("psycopg 3 is not installed here; make lane runs it")
    with _changed({"min_size": sessions, "max_size": sessions, "timeout": PATIENCE}):
        connection.pool.open()
        connection.pool.wait()
        yield


def no_spare_sessions() -> AbstractContextManager[None]:
    """Have this process one session during the block. Where a pool is on, that keeps one, and threads get no other."""
    return pool_of(1) if connection.settings_dict["OPTIONS"].get("pool") else nullcontext()


@contextmanager
def _changed(pool: object) -> Iterator[None]:
    settings = connection.settings_dict
    before, options = {**settings}, settings["OPTIONS"]
    _close()
    try:
        settings |= {"CONN_MAX_AGE": 0, "OPTIONS": {**options, "pool": pool}}
        yield
    finally:
        _close()
        settings |= before


def _close() -> None:
    connection.close()
    connection.close_pool()
