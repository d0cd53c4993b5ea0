"""What waits for long although workers are there is told by what it said last, not by a question about workers."""

import pytest

from outbox.monitoring.findings import What
from outbox.monitoring.health import measure
from tests.harness.clock import HOUR, MINUTE, database_time
from tests.harness.rows import BOOK, TAKE, sales
from tests.outbox.monitoring.measured import of_consumer

pytestmark = pytest.mark.django_db


def said(name: str) -> str:
    """Return what was measured of what a consumer's messages said."""
    return next(consumer.said for consumer in measure().consumers if consumer.name == name)


def test_what_a_waiting_message_said_is_measured_where_it_waits_for_too_long_although_workers_are_there():
    now = database_time()
    waits = {"attempts": 2, "not_before": now + MINUTE, "last_error": "Snooze: add codes\nto its pool"}
    sales.pending(at=now - HOUR, due_at=now + MINUTE, **waits)
    sales.pending(at=now - HOUR, due_at=now + 2 * MINUTE, **{**waits, "last_error": "Snooze: something else"})
    alone = said(BOOK)
    sales.pending(at=now, consumer=TAKE, due_at=now + MINUTE, **waits)
    young = said(TAKE)
    sales.pending(at=now - 2 * MINUTE, due_at=now - 2 * MINUTE)
    untaken = said(BOOK)

    assert (alone, young, untaken) == ("add codes", "", "")


def test_where_workers_are_there_the_age_is_blamed_on_what_the_messages_said():
    assert of_consumer(What.OLDEST, pending=2, oldest=6 * MINUTE, said="add codes to its pool") == [
        (
            "warning",
            "coupon: oldest pending 6 min, limit 5 min, waiting: 2 messages. Workers are there. What is tried next "
            "said last time: “add codes to its pool”. If that asks for something, do it; the rest goes on by itself.",
        )
    ]
