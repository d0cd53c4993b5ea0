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
            faults.append(error.__cause__.pgcode)
            raise

    return handler
