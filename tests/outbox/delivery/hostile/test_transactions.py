"""Handlers that end the transaction they are in, or leave one open."""

import pytest
from django.db import connection, transaction

from tests.outbox.delivery.hostile.oracle import ATOMIC, OUTSIDE, Case, effect, pairs

pytestmark = pytest.mark.services


def sql(*statements):
    def act(_message):
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    return act


def then_writes(*statements):
    def act(message):
        sql(*statements)(message)
        effect(message)

    return act


def then_raises(*statements):
    def act(message):
        sql(*statements)(message)
        raise ValueError("and then it failed")

    return act


def the_driver_s_block(message):
    with connection.connection:
        sql("SELECT 1")(message)


def enters_a_block(_message):
    transaction.atomic().__enter__()


def wants_a_rollback(_message):
    transaction.set_rollback(True)


def swallows_an_error(message):
    try:
        sql("SELECT 1 / 0")(message)
    except Exception:
        return


def switches_autocommit(on):
    return lambda _message: transaction.set_autocommit(on)


BETWEEN = (ATOMIC, OUTSIDE)
"""No bulk: one call was made for all messages, and so all of them have ended their transaction."""


def in_settling(name, act, **options):
    return Case("transaction", name, act, settling=True, **options)


CASES = [
    in_settling("ROLLBACK", sql("ROLLBACK"), ways=BETWEEN),
    in_settling("COMMIT", sql("COMMIT"), ways=BETWEEN),
    in_settling("COMMIT AND CHAIN", sql("COMMIT AND CHAIN"), ways=BETWEEN),
    in_settling("ROLLBACK, the effect again", then_writes("ROLLBACK"), ways=BETWEEN),
    in_settling("ROLLBACK AND CHAIN, the effect again", then_writes("ROLLBACK AND CHAIN"), ways=BETWEEN),
    in_settling("COMMIT, an error", then_raises("COMMIT"), ways=BETWEEN),
    in_settling("the driver's block", the_driver_s_block, ways=BETWEEN),
    in_settling("a block that is left open", enters_a_block),
    in_settling("a rollback that is asked for", wants_a_rollback, reason="no_tries_left"),
    in_settling("an error that is swallowed", swallows_an_error, reason="no_tries_left"),
    Case("transaction", "a block that is left open before settling", enters_a_block, ways=[OUTSIDE]),
    Case("transaction", "autocommit that is left off", switches_autocommit(False), ways=[OUTSIDE]),
    Case("transaction", "BEGIN that is left open", sql("BEGIN"), ways=[OUTSIDE]),
]


@pytest.mark.parametrize(**pairs(CASES))
def test_a_handler_that_ends_its_transaction_costs_its_neighbours_nothing(judge, case, way):
    judge(case, way)
