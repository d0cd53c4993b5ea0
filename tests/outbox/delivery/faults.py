"""Database errors that handlers meet."""

from django.db import DatabaseError

from tests.shop import consumers as shop


def noting(faults, work):
    """Return a handler that does ``work`` and leaves an effect, and notes the database errors on the way."""

    def handler(message):
        try:
            work(message)
            shop.leave_effect(message)
        except DatabaseError as error:
            cause = error.__cause__
            faults.append(cause.sqlstate if hasattr(cause, "sqlstate") else cause.pgcode)  # psycopg 3, psycopg 2
            raise

    return handler
