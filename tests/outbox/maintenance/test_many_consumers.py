"""A pass for many consumers: what it asks of the database does not grow with those that have nothing to send."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from outbox.maintenance import rescan
from outbox.models import Message
from tests.harness.clock import let_pass
from tests.harness.messages import publish_message, set_message
from tests.outbox.maintenance.crashes import start_and_crash

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

FOR_THE_PASS, FOR_EACH_THAT_SENDS = 12, 2


def statements_of_a_pass() -> tuple[int, int]:
    """Make a pass; return the statements it took, without the ends of transactions, and how many rows it sent."""
    with CaptureQueriesContext(connection) as captured:
        result = rescan.rescan()
    ends = ("BEGIN", "COMMIT")
    return sum(not entry["sql"].startswith(ends) for entry in captured.captured_queries), result.sent


@pytest.fixture
def many(listen):
    """Make so many consumers with one message each, due or not."""

    def make(number: int, *, due: bool) -> None:
        names = [f"test.many.{index}" for index in range(number)]
        for name in names:
            listen(topic=name, name=name)
        ids = [publish_message(name) for name in names]
        if due:
            let_pass(timedelta(seconds=6), *ids)

    return make


@pytest.mark.parametrize("number", [1, 20, 100])
def test_consumers_with_nothing_due_cost_a_pass_nothing(many, link, number):
    many(number, due=False)

    statements, sent = statements_of_a_pass()

    assert sent == 0
    assert statements <= FOR_THE_PASS
    assert sum(link.looks.values()) == 1


@pytest.mark.parametrize("number", [1, 20, 100])
def test_each_consumer_that_sends_costs_two_statements(many, link, number, configure):
    configure(RESCAN_BUDGET=timedelta(minutes=1))
    many(number, due=True)

    statements, sent = statements_of_a_pass()

    assert sent == number
    assert statements <= FOR_THE_PASS + FOR_EACH_THAT_SENDS * number


def test_a_consumer_whose_due_rows_are_all_under_way_is_not_asked_for(listen, link):
    for name in ("test.till", "test.a"):
        listen(topic=name, name=name)
    under_way, due = publish_message("test.till"), publish_message("test.a")
    start_and_crash("test.till", under_way)
    set_message(under_way, lease_until="2100-01-01T00:00Z")

    rescan.rescan()

    assert Message.objects.get(pk=under_way) in Message.objects.due()
    assert list(link.looks) == ["test.a"]
    assert link.sent_ids == [(due,)]


def test_a_pass_says_that_the_broker_is_away_although_nothing_is_due(many, link):
    many(3, due=False)
    link.away = True

    assert rescan.rescan().broker_away
