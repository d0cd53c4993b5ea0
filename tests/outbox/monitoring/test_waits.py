"""What waits for long as its consumer is not ready is told by the message that is tried next, without its words."""

import pytest

from outbox.monitoring.findings import What
from outbox.monitoring.health import health, measure
from tests.harness.clock import HOUR, MINUTE, database_time
from tests.harness.rows import BOOK, TAKE, sales
from tests.outbox.monitoring.measured import of_consumer

pytestmark = pytest.mark.django_db


def not_ready(name: str) -> int | None:
    """Return which message was measured as the one that a consumer was not ready for."""
    return next(consumer.not_ready for consumer in measure().consumers if consumer.name == name)


def test_the_message_that_is_tried_next_is_measured_where_it_waits_for_too_long_and_somebody_takes_what_is_due():
    now = database_time()
    waits = {"attempts": 2, "not_before": now + MINUTE, "last_error": "Snooze: add codes\nto its pool"}
    first = sales.pending(at=now - HOUR, due_at=now + MINUTE, **waits)
    sales.pending(at=now - HOUR, due_at=now + 2 * MINUTE, **waits)
    alone = not_ready(BOOK)
    sales.pending(at=now, consumer=TAKE, due_at=now + MINUTE, **waits)
    young = not_ready(TAKE)
    sales.pending(at=now - 2 * MINUTE, due_at=now - 2 * MINUTE)
    untaken = not_ready(BOOK)

    assert (alone, young, untaken) == (first.pk, None, None)


def test_what_failed_by_an_error_is_not_said_to_wait_for_something():
    now = database_time()
    sales.pending(at=now - HOUR, due_at=now + MINUTE, attempts=2, not_before=now + MINUTE, last_error="KeyError: 'sku'")

    assert not_ready(BOOK) is None


def test_no_finding_quotes_what_a_consumer_said_as_that_may_name_a_person():
    now = database_time()
    said = "Snooze: 450 <anna@example.com>: mailbox busy"
    waits = sales.pending(at=now - HOUR, due_at=now + MINUTE, attempts=2, not_before=now + MINUTE, last_error=said)

    told = str(health().as_json())

    assert f"message {waits.pk}" in told
    assert "anna" not in told


def test_the_age_is_blamed_on_the_consumer_that_was_not_ready():
    assert of_consumer(What.OLDEST, pending=2, oldest=6 * MINUTE, not_ready=17) == [
        (
            "warning",
            "coupon: oldest pending 6 min, limit 5 min, waiting: 2 messages. Its consumer was not ready for message "
            "17, which is tried next; that one's page says what it waits for.",
        )
    ]
