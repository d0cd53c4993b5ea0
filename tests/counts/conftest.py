"""Committed rows, consumers made for one test, and hints that are recorded: what the engine's own tests have."""

from tests.engine.conftest import (
    _as_in_a_new_process,
    _time_enough,
    configure,
    link,
    listen,
    offered,
    transactional_db,
)
from tests.engine.test_storage import many_finished

__all__ = [
    "_as_in_a_new_process",
    "_time_enough",
    "configure",
    "link",
    "listen",
    "many_finished",
    "offered",
    "transactional_db",
]
