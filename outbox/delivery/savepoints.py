"""A savepoint for each row of a chunk, at half the price of Django's."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from django.db import Error, connections

from outbox import logs
from outbox.conf import conf
from outbox.errors import SwallowedError

log = logging.getLogger("outbox.delivery")

ABORTED = 3
"""The state of a transaction in which a statement has failed, as libpq numbers it (psycopg 2 and 3)."""

_numbers = count(1)


class Savepoints:
    """Savepoints one after another in a transaction: the release of one travels with the start of the next.

    The last is left to COMMIT, and one that was rolled back to serves the next row. To the code of a row it is as if
    it ran in ``transaction.atomic()``: its hooks go with it when it fails, and it may open blocks of its own.
    """

    def __init__(self) -> None:
        self._connection: Any = connections[conf().database]  # the stubs leave out much of what is used here
        self._cursor = self._connection.cursor()
        self._name = ""
        self._rolled_back = False

    @contextmanager
    def row(self) -> Iterator[None]:
        """Run the block in a savepoint of its own; if it raises, roll back what it wrote.

        Raises ``SwallowedError`` if the block ended well, but what it wrote cannot be committed.
        """
        connection = self._connection
        self._begin()
        connection.savepoint_ids.append(self._name)
        hooks_before = len(connection.run_on_commit)
        try:
            yield
            refuse_silent_rollback()
        except BaseException:
            connection.savepoint_ids.pop()
            self._roll_back()
            raise
        connection.savepoint_ids.pop()
        self._let_hooks_stand_alone(hooks_before)

    def _let_hooks_stand_alone(self, before: int) -> None:
        """Let no ``on_commit`` hook of a row take its neighbours' hooks, or rows still to be redone, with it."""
        hooks = self._connection.run_on_commit
        hooks[before:] = [(ids, logs.in_this_context(_caught(hook)), True) for ids, hook, _robust in hooks[before:]]

    def _begin(self) -> None:
        if self._rolled_back:
            self._rolled_back = False
            return
        before, self._name = self._name, f"outbox_{next(_numbers)}"
        statements = [f"RELEASE SAVEPOINT {before}"] if before else []
        statements.append(f"SAVEPOINT {self._name}")
        if self._connection.vendor == "postgresql":
            statements = ["; ".join(statements)]
        for statement in statements:
            self._cursor.execute(statement)

    def _roll_back(self) -> None:
        """As Django's ``atomic`` does it: a connection that cannot even roll back is left to the whole transaction."""
        connection = self._connection
        connection.needs_rollback = False
        if connection.closed_in_transaction:
            return
        try:
            connection.savepoint_rollback(self._name)
        except Error:
            connection.needs_rollback = True
        else:
            self._rolled_back = True


def _caught(hook: Callable[[], object]) -> Callable[[], None]:
    """Return ``hook`` as one that logs what it raises. No ``partial``: Django asks a hook that fails for its name."""

    def call() -> None:
        try:
            hook()
        except Exception:
            log.exception("an on_commit hook failed; what it belongs to is committed")

    return call


def refuse_silent_rollback() -> None:
    """Raise ``SwallowedError`` where what was written would be rolled back at COMMIT, although the code returned."""
    connection: Any = connections[conf().database]
    aborted = connection.vendor == "postgresql" and connection.connection.info.transaction_status == ABORTED
    if aborted or connection.needs_rollback:
        raise SwallowedError(
            "the handler caught a database error (or called set_rollback) outside a transaction.atomic() of its own, "
            "so what it wrote cannot be committed; put the statement that may fail into one"
        )
