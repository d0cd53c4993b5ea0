"""What goes wrong for one consumer harms no other: the rescan notes it, and serves the others."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from django.db import connections

from outbox.conf import conf
from outbox.failures.fingerprint import in_a_line
from outbox.memory import Memory

log = logging.getLogger("outbox.rescan")

LOGGED_AGAIN = 60.0
"""Seconds after which the same error of the same consumer is logged again; a pass a second would fill the log."""

_logged: Memory[dict[tuple[str, str], float]] = Memory(dict)
"""When each error of each consumer was last logged."""


@contextmanager
def alone(name: str, failing: dict[str, str]) -> Iterator[None]:
    """Note in ``failing`` what goes wrong for consumer ``name``, and go on; the empty name stands for all of them.

    A database connection that broke is everybody's trouble, and is raised.
    """
    try:
        yield
    except Exception as error:
        # A row, a lock, a consumer's own retry or registry entry: whatever it is, it is no reason to leave the others.
        connection = connections[conf().database]
        if connection.connection is not None and connection.errors_occurred and not connection.is_usable():
            raise
        failing[name] = in_a_line(error)
        if monotonic() >= _logged.value.get((name, failing[name]), 0.0):
            _logged.value[name, failing[name]] = monotonic() + LOGGED_AGAIN
            log.exception("the rescan failed for %s", name or "all consumers")
