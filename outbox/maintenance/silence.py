"""Receivers that say nothing: what was sent, and had no receipt in time, has failed in that attempt."""

from collections.abc import Sequence

from outbox.declared import Consumer
from outbox.delivery import settling
from outbox.delivery.execution import Report
from outbox.failures.fingerprint import without_error
from outbox.models import AwaitedReceipt, Message
from outbox.policy import Failed, Reason

SILENT = "no receipt: {receiver} said nothing of attempt {attempt} in time"


def settle_silent(consumer: Consumer, rows: Sequence[Message]) -> list[Report]:
    """Settle those of these rows, whose leases are over, that were sent; they are locked. Return what became of them.

    No worker has lost them. Each has spent an attempt, and is sent again under the same id while it has one left.
    """
    silent = {} if consumer.receipt is None else AwaitedReceipt.objects.sent(rows)
    reports = [
        Report(
            row,
            Failed(Reason.NO_RECEIPT),
            SILENT.format(receiver=silent[row.pk], attempt=row.attempts),
            failure=without_error(consumer.name, Reason.NO_RECEIPT),
            may_have_acted=True,
        )
        for row in rows
        if row.pk in silent
    ]
    if reports:
        settling.settle(consumer, reports)
    return reports
