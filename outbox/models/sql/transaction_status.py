"""The state of a connection's transaction, as libpq numbers it (psycopg 2 and 3)."""

from typing import Any

IDLE = 0
"""It is in no transaction."""
ABORTED = 3
"""A statement has failed in its transaction."""


def hides_an_error(connection: Any) -> bool:
    """Tell whether what was written would be rolled back at COMMIT, although the code has returned."""
    aborted = connection.vendor == "postgresql" and connection.connection.info.transaction_status == ABORTED
    return bool(aborted or connection.needs_rollback)
