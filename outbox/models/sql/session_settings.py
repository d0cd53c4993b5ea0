"""The settings of a PostgreSQL session that change what the statements of others do, as one text."""

from typing import Any

from django.db.models import Func, TextField

SETTINGS = (
    "role",
    "session_authorization",
    "search_path",
    "default_transaction_read_only",
    "default_transaction_isolation",
    "transaction_read_only",
    "session_replication_role",
    "row_security",
    "synchronous_commit",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "TimeZone",
    "DateStyle",
    "IntervalStyle",
    "client_encoding",
)
SEPARATOR = "\n"
AS_TEXT = "concat_ws(E'\\n', {})".format(", ".join(f"current_setting('{name}')" for name in SETTINGS))

IN_SHORT = f"md5({AS_TEXT})"
SAME_SETTINGS = f" AND (SELECT {IN_SHORT}) = %s"
"""The end of a WHERE that nothing passes once the settings have changed."""
OF_THE_TRANSACTION = frozenset({"statement_timeout", "lock_timeout"})
"""What a chunk's transaction has values of its own for."""


class SessionSettings(Func):
    """The session's settings in short, read once for all rows."""

    template = f"(SELECT {IN_SHORT})"
    output_field = TextField()


def read_settings(connection: Any) -> str:
    """Return the settings of the session as they are now."""
    return _ask(connection, AS_TEXT)


def read_short_settings(connection: Any) -> str:
    """Return the same in short, as ``SessionSettings`` has it."""
    return _ask(connection, IN_SHORT)


def _ask(connection: Any, expression: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {expression}")
        return str(cursor.fetchone()[0])


def differences(expected: str, found: str) -> str:
    """Return the settings that differ, as people read them: ``role = clerk (none)``.

    What a transaction of ours has of its own is named only if nothing else differs.
    """
    pairs = zip(SETTINGS, expected.split(SEPARATOR), found.split(SEPARATOR), strict=False)
    changed = {name: f"{name} = {now} ({before})" for name, before, now in pairs if now != before}
    others = {name: text for name, text in changed.items() if name not in OF_THE_TRANSACTION}
    return ", ".join((others or changed).values())
