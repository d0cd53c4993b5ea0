"""Handlers that change the session they are called on, for whoever uses it next."""

import pytest
from django.db import connection

from tests.outbox.delivery.hostile.oracle import OUTSIDE, Case, at_first, pairs

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
    Case("session", "read only for the transaction", at_first(sql("SET LOCAL transaction_read_only TO on"))),
    Case("session", "SET LOCAL", sql("SET LOCAL TimeZone TO 'Asia/Tokyo'")),
    Case("session", "another encoding", sql("SET client_encoding TO 'LATIN1'")),
    Case("session", "other writing of dates", sql("SET DateStyle TO 'German'", "SET IntervalStyle TO 'sql_standard'")),
    Case("session", "no standard strings", sql("SET standard_conforming_strings TO off")),
    Case("session", "bytea as escapes", sql("SET bytea_output TO 'escape'")),
    Case("session", "floats of few digits", sql("SET extra_float_digits TO -15")),
    Case("session", "other planner settings", sql("SET enable_indexscan TO off", "SET work_mem TO '64kB'")),
    Case("session", "a table that hides the engine's", sql("CREATE TEMPORARY TABLE outbox_message (id bigint)")),
    Case("session", "a temporary table", sql("CREATE TEMPORARY TABLE basket (id bigint) ON COMMIT DROP")),
    Case("session", "a prepared statement", sql("PREPARE basket AS SELECT 1")),
    Case("session", "DEALLOCATE ALL", sql("DEALLOCATE ALL")),
    Case("session", "DISCARD ALL", sql("DISCARD ALL")),
    Case("session", "an advisory lock", sql("SELECT pg_advisory_lock(7)")),
    Case("session", "an advisory lock of the transaction", sql("SELECT pg_advisory_xact_lock(7)"), ways=[OUTSIDE]),
    Case("session", "a channel that is listened to", sql("LISTEN basket", "NOTIFY basket")),
    Case("session", "deferred constraints", sql("SET CONSTRAINTS ALL DEFERRED")),
    Case("session", "a cursor WITH HOLD", sql("DECLARE basket CURSOR WITH HOLD FOR SELECT 1")),
]


@pytest.mark.parametrize(**pairs(CASES))
def test_a_handler_that_changes_its_session_costs_its_neighbours_nothing(judge, case, way):
    judge(case, way)
