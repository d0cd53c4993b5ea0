"""Calling a project's hook inside an operator's act. It is foreign code: afterwards the transaction must be as before.

The hook is called before anything of the act is written. So if it ends the transaction, nothing of ours is committed.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from inspect import isawaitable
from secrets import token_hex
from typing import Any

from django.db import Error, OperationalError, connections
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from outbox import registry
from outbox.closings import Closing, Hook
from outbox.conf import conf
from outbox.errors import Conflict, NotAllowed, Reject
from outbox.failures.fingerprint import text_of
from outbox.models import Message
from outbox.models.sql.errors import is_conflict
from outbox.models.sql.transaction_status import IDLE, hides_an_error
from outbox.operate.text_checks import PERMITTED_LINE_ENDS, write_out

log = logging.getLogger("outbox.operate")

LOCK_WAIT = timedelta(milliseconds=500)
"""How long a hook waits for a row that others have locked, before the act is taken back and tried again."""
TRIES = 3
"""How often an act is tried whose hook meets others over locks."""
SHOWN = 500
"""Characters of an error that an operator is shown."""


class TransactionLost(NotAllowed):
    """A hook has ended the transaction in which it was called, and with it whatever else was to be done there."""


def call_hook(hook: Hook, closings: Sequence[Closing]) -> None:
    """Call ``hook`` in a savepoint of its own. ``NotAllowed`` says in words why it refuses, and nothing is written.

    Raises the database's error if it met others over locks; then the act may be done again.
    """
    with _savepoint():
        result = hook(list(closings))
        if isawaitable(result):
            _close(result)
            raise NotAllowed(_("The project's code for this did not run: it is async. Have it mended."))


def hook_of(message: Message, option: str) -> Hook | None:
    """Return what the message's consumer gives for this act, if it is in the code."""
    consumer = registry.get(message.consumer)
    hook: Hook | None = getattr(consumer, option, None)
    return hook


def again_if_met(act: Callable[[], Message]) -> Message:
    """Do the act, and again if its hook met others over locks; each time it was taken back as a whole."""
    for left in reversed(range(TRIES)):
        try:
            return act()
        except OperationalError as error:
            if not is_conflict(error):
                raise
            if not left:
                busy = _("Others are at work on the business row of this message. Nothing was changed; try again.")
                raise Conflict(busy) from error
    raise AssertionError("the last try has returned or raised")


@contextmanager
def waiting_briefly() -> Iterator[None]:
    """Let the statements of the block wait no longer than ``LOCK_WAIT`` for what others have locked."""
    connection = connections[conf().database]
    if connection.vendor != "postgresql":
        yield
        return
    before = _lock_timeout(connection, f"{LOCK_WAIT // timedelta(milliseconds=1)}ms")
    yield
    _lock_timeout(connection, before)


def _lock_timeout(connection: Any, value: str) -> str:
    """Set how long this transaction waits for locks, and return how long it waited before."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout'), set_config('lock_timeout', %s, true)", [value])
        return str(cursor.fetchone()[0])


@contextmanager
def _savepoint() -> Iterator[None]:
    """Run a hook; refuse what it raises, and what it leaves behind."""
    connection: Any = connections[conf().database]
    # Not a name of Django's: whoever knew it could put another savepoint in its place, in another transaction.
    name, raw = f"outbox_hook_{token_hex(8)}", connection.connection
    depth = connection.savepoint_ids[:], connection.atomic_blocks[:]
    was_broken = connection.needs_rollback
    _execute(connection, f"SAVEPOINT {name}")
    try:
        yield
        _refuse_what_is_left(connection, raw, depth)
    except BaseException as error:
        _restore(connection, raw, depth)
        if _has_ended(connection, raw) or not _roll_back(connection, name):
            raise _ended() from error
        connection.needs_rollback = was_broken
        if not isinstance(error, Exception) or isinstance(error, NotAllowed):
            raise
        if is_conflict(error):
            raise
        raise _refusal(error) from error
    try:
        _execute(connection, f"RELEASE SAVEPOINT {name}")
    except Error as error:
        raise _ended() from error


def _refuse_what_is_left(connection: Any, raw: Any, depth: tuple[list[Any], list[Any]]) -> None:
    if _has_ended(connection, raw):
        raise _ended()
    if (connection.savepoint_ids, connection.atomic_blocks) != depth or not connection.in_atomic_block:
        raise NotAllowed(_("The project's code for this left a transaction.atomic() open. Have it mended."))
    if hides_an_error(connection):
        raise NotAllowed(
            _("The project's code for this hid a database error, so nothing can be saved. Have it mended.")
        )


def _has_ended(connection: Any, raw: Any) -> bool:
    """Tell whether the transaction of the act is over, or another connection is in the place of ours."""
    now: Any = connections[conf().database]
    if now is not connection or connection.connection is not raw or raw is None:
        return True
    if connection.vendor != "sqlite":
        return bool(raw.info.transaction_status == IDLE)
    try:
        return not raw.in_transaction
    except connection.Database.ProgrammingError:  # it was closed
        return True


def _restore(connection: Any, raw: Any, depth: tuple[list[Any], list[Any]]) -> None:
    """Bring Django's own account back to what it was, and our connection back to its place."""
    theirs = connections[conf().database]
    if theirs is not connection:
        theirs.close()
        connections[conf().database] = connection
    if raw is not None and connection.connection is not raw:
        if connection.connection is not None:
            connection.connection.close()
        connection.connection = raw
    connection.savepoint_ids[:], connection.atomic_blocks[:] = depth
    connection.in_atomic_block = True


def _roll_back(connection: Any, name: str) -> bool:
    """Take back what the hook wrote; False if the savepoint is no longer there."""
    connection.needs_rollback = False
    try:
        _execute(connection, f"ROLLBACK TO SAVEPOINT {name}")
        _execute(connection, f"RELEASE SAVEPOINT {name}")
    except Error:
        connection.needs_rollback = True
        return False
    return True


def _execute(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _ended() -> TransactionLost:
    return TransactionLost(
        _(
            "The project's code for this ended the transaction (COMMIT or ROLLBACK). The message is as it was; what "
            "that code wrote may be saved. Have it mended."
        )
    )


def _refusal(error: Exception) -> NotAllowed:
    """Return why the business refuses, in words of its own; what was not meant as a refusal is logged as well."""
    said = _visible(text_of(error))
    if not isinstance(error, Reject):
        log.exception("a hook refused an operator's act by an error that is no Reject", exc_info=error)
        said = f"{type(error).__name__}: {said}"
    return NotAllowed(_("The business does not permit it: %(why)s") % {"why": said})


def _visible(text: str) -> str:
    """Return a text that stands on one line and turns no other around: what is not seen is written out."""
    shown = write_out(text, but=PERMITTED_LINE_ENDS)
    return Truncator(" ".join(shown.split())).chars(SHOWN)


def _close(result: Any) -> None:
    """Say of a coroutine that is never awaited that this is known."""
    if hasattr(result, "close"):
        result.close()
