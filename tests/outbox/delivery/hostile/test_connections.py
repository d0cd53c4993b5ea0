"""Handlers that close, break or bend the connection they are called on."""

import os
import socket

import pytest
from django.db import connection, connections

from tests.outbox.delivery.hostile.oracle import ATOMIC, OUTSIDE, Case, at_first, pairs

pytestmark = pytest.mark.services


def raw():
    connection.ensure_connection()
    return connection.connection


def closes(_message):
    connection.close()


def closes_the_driver_s(_message):
    raw().close()


def drops_the_driver_s(_message):
    connection.connection = None


def ends_its_session(_message):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def shuts_the_socket(_message):
    with socket.socket(fileno=os.dup(raw().fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


def closes_the_descriptor(_message):
    os.close(raw().fileno())


def leaves_a_wrapper(_message):
    def refuse(*_args):
        raise PermissionError("no more statements")

    connection.execute_wrappers.append(refuse)


def leaves_a_result_in_parts(_message):
    connection.basket = connection.chunked_cursor()
    connection.basket.execute("SELECT generate_series(1, 100000)")
    connection.basket.fetchone()


def goes_to_another_database(_message):
    connection.settings_dict["NAME"] = "no_such_database"


def connects_anew(_message):
    connection.connect()


def removes_the_alias(_message):
    del connections["default"]


def claims_to_be_of_another_thread(_message):
    connection._thread_ident = 1


BETWEEN = (ATOMIC, OUTSIDE)
"""No bulk: one call was made for all messages, and so all of them have lost their transaction."""

CASES = [
    Case("connection", "closes it", closes),
    Case("connection", "closes the driver's", at_first(closes_the_driver_s), ways=BETWEEN),
    Case("connection", "drops the driver's", drops_the_driver_s, ways=BETWEEN),
    Case("connection", "connects anew", connects_anew, ways=BETWEEN),
    Case("connection", "ends its session", at_first(ends_its_session), reason=""),
    Case("connection", "shuts the socket", shuts_the_socket),
    Case("connection", "closes the descriptor", closes_the_descriptor),
    Case("connection", "leaves a wrapper that refuses", leaves_a_wrapper),
    Case("connection", "leaves a result in parts", leaves_a_result_in_parts),
    Case("connection", "goes to another database", goes_to_another_database, spoils=True),
    Case("connection", "removes the alias", removes_the_alias, ways=BETWEEN),
    Case("connection", "gives it to another thread", claims_to_be_of_another_thread, spoils=True),
]


@pytest.mark.parametrize(**pairs(CASES))
def test_a_handler_that_breaks_its_connection_costs_its_neighbours_nothing(judge, case, way):
    judge(case, way)
