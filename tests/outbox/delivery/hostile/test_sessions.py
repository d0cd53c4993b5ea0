"""Handlers that change the session they are called on, for whoever uses it next."""

import pytest
from django.db import connection

from tests.outbox.delivery.hostile.oracle import Case, at_first, pairs

pytestmark = pytest.mark.services


def sql(*statements):
    def act(_message):
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    return act


CASES = [
    Case("session", "a role", sql("SET ROLE pg_read_all_data")),
    Case("session", "a search path", sql("SET search_path TO pg_catalog")),
    Case("session", "a statement_timeout of 1 ms", sql("SET statement_timeout TO 1")),
    Case("session", "read only from now on", at_first(sql("SET default_transaction_read_only TO on"))),
    Case("session", "SET LOCAL", sql("SET LOCAL TimeZone TO 'Asia/Tokyo'")),
    Case("session", "another encoding", sql("SET client_encoding TO 'LATIN1'")),
    Case("session", "a table that hides the engine's", sql("CREATE TEMPORARY TABLE outbox_message (id bigint)")),
    Case("session", "a temporary table", sql("CREATE TEMPORARY TABLE basket (id bigint) ON COMMIT DROP")),
    Case("session", "a prepared statement", sql("PREPARE basket AS SELECT 1")),
    Case("session", "DISCARD ALL", sql("DISCARD ALL")),
    Case("session", "an advisory lock", sql("SELECT pg_advisory_lock(7)")),
    Case("session", "a channel that is listened to", sql("LISTEN basket", "NOTIFY basket")),
]


@pytest.mark.parametrize(**pairs(CASES))
def test_a_handler_that_changes_its_session_costs_its_neighbours_nothing(judge, case, way):
    judge(case, way)
