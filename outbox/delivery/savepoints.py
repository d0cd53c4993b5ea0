"""A savepoint for each row of a chunk, at half the price of Django's."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from secrets import token_hex
from typing import Any, NoReturn

from django.db import Error, connections

from outbox import logs
from outbox.conf import conf
from outbox.delivery.process_state import ProcessState
from outbox.errors import LeftOpenError, SwallowedError, TransactionEnded
from outbox.models.sql.errors import sqlstate
from outbox.models.sql.transaction_status import IDLE, hides_an_error

log = logging.getLogger("outbox.delivery")

LABEL = "outbox"
"""What Django's stack of savepoints has in place of ours."""
GONE = frozenset({"3B001", "25P01"})
"""No such savepoint; no transaction to have one in."""
ENDED = (
    "the handler ended the transaction in which it was called; what it wrote may be committed. It must neither commit "
    "nor roll back: let it raise, or use transaction.atomic()"
)

_Depth = tuple[list[str | None], list[Any]]
"""How deep in blocks a connection is: its savepoints and its atomic blocks, as Django keeps them."""

_numbers = count(1)


class Savepoints:
    """Savepoints one after another in a transaction: the release of one travels with the start of the next.

    The last is left to COMMIT, and one that was rolled back to serves the next row. To the code of a row it is as if
    it ran in ``transaction.atomic()``: its hooks go with it when it fails, and it may open blocks of its own.
    """

    def __init__(self) -> None:
        self._alias = conf().database
        self._connection: Any = connections[self._alias]  # the stubs leave out much of what is used here
        self._cursor = self._connection.cursor()
        self._raw = self._connection.connection
        self._name = ""
        self._rolled_back = False
        self.process = ProcessState()

    @contextmanager
    def row(self) -> Iterator[None]:
        """Run the block in a savepoint of its own; if it raises, roll back what it wrote.

        However the block ended, connection, transaction and savepoints must be as it found them. Raises
        ``SwallowedError`` or ``LeftOpenError`` if it ended well and they are not, and ``TransactionEnded`` if the
        transaction is over: by this block, or as the next savepoint shows, by the one before.
        """
        connection = self._connection
        self._begin()
        # Not its name: whoever knew that could put another savepoint in its place, in another transaction.
        connection.savepoint_ids.append(LABEL)
        before = connection.savepoint_ids[:], connection.atomic_blocks[:]
        hooks_before = len(connection.run_on_commit)
        try:
            yield
            ended = self._has_ended()
            if not ended:
                self._refuse_what_is_left_open(before)
                refuse_silent_rollback(connection)
                self._accept()
        except BaseException as error:
            self._close_what_is_left_open(before)
            connection.savepoint_ids.pop()
            if self._has_ended():
                self._say_it_has_ended(error)
            # Django knows hooks by the names on its stack, and has a label in place of ours.
            del connection.run_on_commit[hooks_before:]
            self._roll_back()
            if isinstance(error, TransactionEnded):
                # Made up by the handler: its transaction goes on, and nothing of its neighbours is lost.
                raise RuntimeError(f"the handler raised {error!r}") from error  # noqa: TRY004  # no wrong type
            raise
        self._close_what_is_left_open(before)
        connection.savepoint_ids.pop()
        if ended:
            self._say_it_has_ended()
        let_hooks_stand_alone(connection, hooks_before)

    def _accept(self) -> None:
        """Look at a block that ended well, while what it wrote can still be rolled back."""

    def refuse_another_transaction(self) -> None:
        """Raise ``TransactionEnded`` if the last savepoint is gone. PostgreSQL is asked by the settling statement."""
        connection = self._connection
        if connection.vendor != "sqlite" or connection.closed_in_transaction or not self._name:
            return
        try:
            self._cursor.execute(f"RELEASE SAVEPOINT {self._name}")
        except Error as error:
            raise TransactionEnded(ENDED, by_the_one_before=True) from error
        self._name = ""

    def _has_ended(self) -> bool:
        raw = self._connection.connection
        is_ours = connections[self._alias] is self._connection and raw in (None, self._raw)
        if self._connection.closed_in_transaction and is_ours:
            return False  # nothing was committed, and the chunk will not get on; a pool has the session back
        if self._is_exchanged():
            return True
        if self._connection.vendor == "sqlite":
            return not raw.in_transaction
        # psycopg 3's own block commits and closes. A connection that broke is another matter: nothing was committed.
        shut = raw.closed == 1 and not getattr(raw, "broken", False)
        return bool(shut or raw.info.transaction_status == IDLE)

    def _is_exchanged(self) -> bool:
        """Tell whether the alias has another connection now than the one on which our transaction runs."""
        return connections[self._alias] is not self._connection or self._connection.connection is not self._raw

    def _say_it_has_ended(self, error: BaseException | None = None) -> NoReturn:
        if self._is_exchanged():
            self._take_back_connection()
        raise TransactionEnded(ENDED) from error

    def _take_back_connection(self) -> None:
        """Put our connection back in its place, as its session holds our rows' locks until it is closed."""
        for theirs in (connections[self._alias], self._connection):
            if theirs.connection not in (None, self._raw):
                theirs.connection.close()
        connections[self._alias] = self._connection
        self._connection.connection = self._raw

    def _refuse_what_is_left_open(self, before: _Depth) -> None:
        connection = self._connection
        if (connection.savepoint_ids, connection.atomic_blocks) != before or not connection.in_atomic_block:
            raise LeftOpenError(
                "the handler entered transaction.atomic() and did not leave it; use it as a with-block or a decorator"
            )

    def _close_what_is_left_open(self, before: _Depth) -> None:
        """Bring Django's own account back to what it was; the savepoint takes back what was written."""
        self._connection.savepoint_ids[:], self._connection.atomic_blocks[:] = before
        self._connection.in_atomic_block = True

    def _begin(self) -> None:
        if self._rolled_back:
            self._rolled_back = False
            return
        before, self._name = self._name, f"outbox_{next(_numbers)}_{token_hex(4)}"
        statements = [f"RELEASE SAVEPOINT {before}"] if before else []
        statements.append(f"SAVEPOINT {self._name}")
        if self._connection.vendor == "postgresql":
            statements = ["; ".join(statements)]
        try:
            for statement in statements:
                self._cursor.execute(statement)
        except Error as error:
            if before and _is_gone(error):
                raise TransactionEnded(ENDED, by_the_one_before=True) from error
            raise

    def _roll_back(self) -> None:
        """As Django's ``atomic`` does it: a connection that cannot even roll back is left to the whole transaction."""
        connection = self._connection
        connection.needs_rollback = False
        if connection.closed_in_transaction:
            return
        try:
            connection.savepoint_rollback(self._name)
        except Error as error:
            if _is_gone(error):
                raise TransactionEnded(ENDED) from error
            connection.needs_rollback = True
        else:
            self._rolled_back = True


def let_hooks_stand_alone(connection: Any, before: int) -> None:
    """Let no ``on_commit`` hook that fails take with it other hooks, or what is still to be done after the commit."""
    hooks = connection.run_on_commit
    hooks[before:] = [(ids, logs.in_this_context(_caught(hook)), True) for ids, hook, _robust in hooks[before:]]


def _is_gone(error: Error) -> bool:
    """Tell whether a savepoint is no longer there: it was released, or its transaction is over."""
    return sqlstate(error) in GONE or "no such savepoint" in str(error)  # SQLite has no codes for it


def _caught(hook: Callable[[], object]) -> Callable[[], None]:
    """Return ``hook`` as one that logs what it raises. No ``partial``: Django asks a hook that fails for its name."""

    def call() -> None:
        try:
            hook()
        except Exception:
            log.exception("an on_commit hook failed; what it belongs to is committed")

    return call


def refuse_silent_rollback(connection: Any) -> None:
    """Raise ``SwallowedError`` where what was written would be rolled back at COMMIT, although the code returned."""
    if hides_an_error(connection):
        raise SwallowedError(
            "the handler caught a database error (or called set_rollback) outside a transaction.atomic() of its own, "
            "so what it wrote cannot be committed; put the statement that may fail into one"
        )
