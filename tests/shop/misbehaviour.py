"""What handlers of strangers do to the transaction, the session and the process that they are called in."""

import asyncio
from collections.abc import Callable

from django.db import connection, transaction

from outbox import Message


def _sql(*statements: str) -> Callable[[Message], None]:
    def run(_message: Message) -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    return run


def _raise(error: BaseException) -> Callable[[Message], None]:
    def run(_message: Message) -> None:
        raise error

    return run


def _swallow(_message: Message) -> None:
    try:
        _sql("SELECT 1 / 0")(_message)
    except Exception:
        return


MISBEHAVIOUR: dict[str, Callable[[Message], None]] = {
    "ROLLBACK": _sql("ROLLBACK"),
    "COMMIT": _sql("COMMIT"),
    "COMMIT AND CHAIN": _sql("COMMIT AND CHAIN"),
    "COMMIT; BEGIN": _sql("COMMIT", "BEGIN"),
    "close": lambda _message: connection.close(),
    "leave a block open": lambda _message: transaction.atomic().__enter__(),
    "swallow an error": _swallow,
    "SET search_path": _sql("SET search_path TO pg_catalog"),
    "SET statement_timeout": _sql("SET statement_timeout TO '9s'"),
    "SET read only": _sql("SET default_transaction_read_only TO on"),
    "SET LOCAL": _sql("SET LOCAL TimeZone TO 'Asia/Tokyo'"),
    "CancelledError": _raise(asyncio.CancelledError()),
    "GeneratorExit": _raise(GeneratorExit()),
    "change the message": lambda message: message.__dict__.update(attempts=99, pk=0, consumer="nobody"),
    "terminate its session": _sql("SELECT pg_terminate_backend(pg_backend_pid())"),
}
"""What each does after it has left its effect. None of them may cost a neighbour anything."""
