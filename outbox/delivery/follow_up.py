"""What is done after rows are settled. It writes rows that workers share, so it is no part of their transaction."""

from collections import Counter
from collections.abc import Collection, Sequence

from outbox.broker import dispatcher
from outbox.declared import Consumer
from outbox.delivery import breaker
from outbox.delivery.execution import Report
from outbox.failures import counting
from outbox.models.sql.order import OrderOfKey, wake_heads
from outbox.policy import Succeeded


def follow_up(consumer: Consumer, reports: Sequence[Report], *, going_on: Collection[str] = ()) -> None:
    """Tell the breaker, count the failures by kind, and wake the next of ordered messages.

    A worker that has handled a chunk looks for what is due, and so finds what it has woken. Hints name only what it
    does not look for: the rows of consumers that do not work in chunks, and those that must be started alone. Of the
    keys in ``going_on`` the next is started already.
    """
    breaker.record_outcomes(consumer, reports)
    counting.count_failures(Counter(report.failure for report in reports if report.failure))
    succeeded = [report.message for report in reports if isinstance(report.outcome, Succeeded)]
    settled = {message.ordering_key for message in succeeded}.difference(going_on, [""])
    woken = wake_heads([OrderOfKey(consumer.name, key) for key in settled]) if settled else []
    if ids := [message.id for message in woken if message.lost or not consumer.works_in_chunks]:
        dispatcher.dispatch({consumer.name: ids})
