"""What a database's error says: its code, and whether the tables are missing. That is no database that is away."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, DatabaseError, Error
from django.utils.translation import gettext as _

from outbox.conf import conf

LOCK_NOT_AVAILABLE, DEADLOCK, SERIALIZATION = "55P03", "40P01", "40001"
CONFLICTS = frozenset({LOCK_NOT_AVAILABLE, DEADLOCK, SERIALIZATION})
"""Nothing is wrong: others were there first."""
TOO_SLOW = "57014"
"""A statement that was broken off: it took longer than it may, as it does behind others, or somebody ended it."""
LOCKED_ON_SQLITE = re.compile("database (table )?is locked")
MISSING = frozenset({"42P01", "42703", "42883"})
"""A table, a column or a function that is not there."""
MISSING_ON_SQLITE = ("no such table", "no column named", "no such column")
NAMED = re.compile(r'relation "(?:\w+\.)?(\w+)"|no such table: (?:\w+\.)?(\w+)')
"""The table that an error names, on PostgreSQL in English and on SQLite."""
OURS = "outbox_"


def sqlstate(error: BaseException | None) -> str | None:
    """Return the SQLSTATE of a Django error as either driver gives it; None for one that came without."""
    cause = error.__cause__ if isinstance(error, Error) else None
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)  # psycopg 3, psycopg 2


def is_conflict(error: BaseException | None) -> bool:
    """Tell whether a statement only met others: waited for a lock too long, or was the deadlock's victim."""
    return sqlstate(error) in CONFLICTS


def was_held_up(error: BaseException | None) -> bool:
    """Tell whether a statement was held up by others, or took too long: the same may go well in a moment."""
    return is_conflict(error) or is_too_slow(error) or LOCKED_ON_SQLITE.match(str(error)) is not None


def is_too_slow(error: BaseException | None) -> bool:
    """Tell whether a statement was broken off as it took too long: of a smaller one that need not be so."""
    return sqlstate(error) == TOO_SLOW


def is_not_migrated(error: BaseException) -> bool:
    """Tell whether the tables are missing, or older than the code. Every newcomer meets it once.

    A table that the error names must be ours: a handler, too, may miss one of its own.
    """
    said = str(error)
    named = NAMED.search(said)
    if named and not (named[1] or named[2]).startswith(OURS):
        return False
    return sqlstate(error) in MISSING or any(words in said for words in MISSING_ON_SQLITE)


def advise_to_migrate() -> str:
    """Return what a person must do where the tables are missing; it names the database if that is not the default."""
    alias = conf().database
    command = "migrate outbox" if alias == DEFAULT_DB_ALIAS else f"migrate outbox --database {alias}"
    said = _("The outbox's tables are missing or older than its code: run manage.py %(command)s.")
    return said % {"command": command}


@contextmanager
def missing_tables_named() -> Iterator[None]:
    """Say what to do where the tables, or what this release has added to them, are not there."""
    try:
        yield
    except DatabaseError as error:
        if is_not_migrated(error) and (advice := advise_to_migrate()) not in getattr(error, "__notes__", ()):
            error.add_note(advice)
        raise


def describe(error: Error) -> str:
    """Return what a person is told of an error that no statement of ours should meet."""
    return advise_to_migrate() if is_not_migrated(error) else f"the database does not answer: {error}"
