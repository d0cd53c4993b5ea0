"""What a hostile handler does with the transaction that it was called in, and with its own message."""

import asyncio
from collections.abc import Callable

from django.db import connection, transaction

from outbox import Message
from tests.shop.models import Effect

Act = Callable[[Message], object]


def effect(message: Message) -> None:
    Effect.objects.create(key=message.key, message_id=message.pk, attempt=message.attempts, pid=0)


def sql(*statements: str) -> Act:
    def act(message: Message) -> None:
        effect(message)
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    return act


def insert(message: Message) -> str:
    return (
        "INSERT INTO shop_effect (key, message_id, attempt, pid, at) "
        f"VALUES ('{message.key}', {message.pk}, {message.attempts}, 0, CURRENT_TIMESTAMP)"
    )


def then_insert(*statements: str) -> Act:
    def act(message: Message) -> None:
        with connection.cursor() as cursor:
            for statement in (*statements, insert(message)):
                cursor.execute(statement)

    return act


def then_raise(*statements: str) -> Act:
    def act(message: Message) -> None:
        sql(*statements)(message)
        raise ValueError("and then it failed")

    return act


def raw_commit(message: Message) -> None:
    effect(message)
    connection.connection.commit()


def raw_rollback(message: Message) -> None:
    effect(message)
    connection.connection.rollback()


def driver_block(message: Message) -> None:
    with connection.connection:
        effect(message)


def name_of_savepoint() -> str:
    return str(connection.savepoint_ids[-1])


def release_ours(message: Message) -> None:
    effect(message)
    with connection.cursor() as cursor:
        cursor.execute(f"RELEASE SAVEPOINT {name_of_savepoint()}")


def roll_back_to_ours(message: Message) -> None:
    effect(message)
    with connection.cursor() as cursor:
        cursor.execute(f"ROLLBACK TO SAVEPOINT {name_of_savepoint()}")


def savepoint_of_our_name(message: Message) -> None:
    effect(message)
    with connection.cursor() as cursor:
        cursor.execute("COMMIT")
        cursor.execute("BEGIN")
        cursor.execute(f"SAVEPOINT {name_of_savepoint()}")


def raises(error: type[BaseException]) -> Act:
    def act(message: Message) -> None:
        effect(message)
        raise error

    return act


class Foreign(BaseException):
    """What an extension may derive its errors from."""


def enters_a_block(message: Message) -> None:
    effect(message)
    transaction.atomic().__enter__()


def commits_by_django(message: Message) -> None:
    effect(message)
    transaction.commit()


def switches_autocommit(message: Message) -> None:
    effect(message)
    transaction.set_autocommit(True)


def closes(message: Message) -> None:
    effect(message)
    connection.close()


def changes_the_attempt(message: Message) -> None:
    message.attempts += 1
    message.pk = message.id = 10**9
    raise ValueError("somebody else, surely")


ENDS: dict[str, Act] = {
    "ROLLBACK": sql("ROLLBACK"),
    "COMMIT": sql("COMMIT"),
    "END": sql("END"),
    "COMMIT in other letters": sql("/* done */ cOmMiT"),
    "COMMIT, BEGIN": sql("COMMIT", "BEGIN"),
    "ROLLBACK, BEGIN": sql("ROLLBACK", "BEGIN"),
    "COMMIT, BEGIN, INSERT": then_insert("COMMIT", "BEGIN"),
    "ROLLBACK, BEGIN, INSERT": then_insert("ROLLBACK", "BEGIN"),
    "COMMIT, an error": then_raise("COMMIT"),
    "ROLLBACK, an error": then_raise("ROLLBACK"),
    "COMMIT, BEGIN, an error": then_raise("COMMIT", "BEGIN"),
    "ROLLBACK, BEGIN, an error": then_raise("ROLLBACK", "BEGIN"),
    "the driver's commit": raw_commit,
    "the driver's rollback": raw_rollback,
    "the driver's block": driver_block,
    "a savepoint of our name in another transaction": savepoint_of_our_name,
}


ONLY_POSTGRESQL: dict[str, Act] = {
    "COMMIT AND CHAIN": sql("COMMIT AND CHAIN"),
    "ROLLBACK AND CHAIN": sql("ROLLBACK AND CHAIN"),
    "COMMIT in one string with INSERT": sql("COMMIT; SELECT 1"),
    "COMMIT AND CHAIN, an error": then_raise("COMMIT AND CHAIN"),
}


FAILS: dict[str, Act] = {
    "CancelledError": raises(asyncio.CancelledError),
    "GeneratorExit": raises(GeneratorExit),
    "BaseException of an extension": raises(Foreign),
    "RELEASE of our savepoint": release_ours,
    "ROLLBACK TO our savepoint": roll_back_to_ours,
    "StopIteration": raises(StopIteration),
    "RecursionError": raises(RecursionError),
    "MemoryError": raises(MemoryError),
    "a block entered by hand": enters_a_block,
    "Django's commit": commits_by_django,
    "Django's autocommit": switches_autocommit,
    "another attempt": changes_the_attempt,
}
