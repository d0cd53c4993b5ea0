"""Calls that did not simply succeed are settled together; one that is in the way costs the others nothing."""

from contextlib import contextmanager
from unittest import mock

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from outbox import Unavailable
from outbox.delivery import execution, settling
from outbox.delivery.wide import settlements
from outbox.models import Message
from tests.harness.messages import kept_attempts, publish_messages, set_message, state_of, states_of
from tests.outbox.delivery.ordering import start

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

real_atomic = transaction.atomic

DOWN = "VendorDown: the vendor is closed"


class VendorDown(Exception):
    """What calls raise."""


@pytest.fixture
def till(listen):
    return listen(lambda message: None, atomic=False, concurrency=50)


def failed_calls(till, many):
    """Start so many messages; return their ids, and the reports on calls that failed alike."""
    ids = publish_messages(many)
    rows = start(till, ids)
    messages = Message.objects.held([row.fence for row in rows]).order_by("pk")
    return ids, [execution.classify(message, VendorDown("the vendor is closed")) for message in messages]


def test_many_failures_take_one_transaction(till):
    ids, reports = failed_calls(till, 20)

    with CaptureQueriesContext(connection) as captured:
        settlements._settle_others(till, reports)

    inserts = [query for query in captured.captured_queries if 'INSERT INTO "outbox_attempt"' in query["sql"]]
    assert len(inserts) == 1
    assert {state.status for state in states_of(ids)} == {"pending"}
    assert [kept_attempts(id) for id in ids] == [[(1, "failed", DOWN)]] * 20


def test_one_that_was_overtaken_is_kept_as_late_and_the_others_are_settled(till):
    ids, reports = failed_calls(till, 5)
    set_message(ids[2], attempts=2)

    settlements._settle_others(till, reports)

    assert kept_attempts(ids[2]) == [(1, "late", DOWN)]
    assert state_of(ids[2]).status == "started"
    assert {state_of(id).status for id in ids if id != ids[2]} == {"pending"}
    assert [kept_attempts(id) for id in ids if id != ids[2]] == [[(1, "failed", DOWN)]] * 4


def test_what_cannot_be_written_together_is_written_one_by_one(till, caplog):
    ids, reports = failed_calls(till, 5)
    real = settling.settle

    def refuse_many(consumer, some):
        if len(some) > 1:
            raise ValueError("one of them is strange")
        real(consumer, some)

    with mock.patch.object(settling, "settle", refuse_many):
        settlements._settle_others(till, reports)

    assert [kept_attempts(id) for id in ids] == [[(1, "failed", DOWN)]] * 5
    assert "5 calls are settled one by one: ValueError('one of them is strange')" in caplog.text


def test_where_only_the_answer_to_the_commit_was_lost_nothing_is_too_late(till):
    ids, reports = failed_calls(till, 5)
    lost = []

    @contextmanager
    def losing_the_first(**how):
        with real_atomic(**how):
            yield
        if not lost and not connection.in_atomic_block:
            lost.append(True)
            raise OperationalError("server closed the connection unexpectedly")

    with mock.patch.object(settlements.transaction, "atomic", losing_the_first):
        settlements._settle_others(till, reports)

    assert lost
    assert [kept_attempts(id) for id in ids] == [[(1, "failed", DOWN)]] * 5
    assert {state.status for state in states_of(ids)} == {"pending"}


def test_each_keeps_its_own_outcome(till):
    ids, reports = failed_calls(till, 3)
    reports[1] = execution.classify(reports[1].message, Unavailable("busy"))

    settlements._settle_others(till, reports)

    assert [outcome for id in ids for _number, outcome, _error in kept_attempts(id)] == [
        "failed",
        "unavailable",
        "failed",
    ]
