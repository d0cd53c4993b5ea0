"""Forwards: messages of a chunk are sent to another system together, and settled by what is known of each.

The rows are started and committed; then they are sent, in no transaction; then they are settled, in one. No code of the
project runs for them. So a worker that is lost tells nothing against any of them, and none is ever started alone.

``settle`` is where the broker's word becomes a success; or, where a receipt is waited for, only *sent*.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from time import monotonic

from django.db import transaction

from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery import database_errors, execution, follow_up, runs, settling, starting, strays
from outbox.delivery.breaker import ROWS_TO_OPEN
from outbox.delivery.database_errors import DRIVER_ERRORS
from outbox.delivery.execution import Report
from outbox.errors import NotSent, Refused, Superseded, Unavailable, Unconfirmed, Unroutable
from outbox.models import AwaitedReceipt, Fence, Message
from outbox.models.sql.statements import Started
from outbox.policy import ZERO, Failed, FoundUnavailable, GivenBack, Interrupted, Outcome, Reason, Sent, Succeeded

log = logging.getLogger("outbox.delivery")


def handle(consumer: Consumer, fences: Sequence[Fence], *, go_on_until: float = 0.0) -> list[Started]:
    """Send and settle rows that were started; return what was started after them, if there was time."""
    messages = database_errors.once_back(lambda: list(Message.objects.held(fences)))
    ready, overtaken = runs.part(fences, runs.oldest_first(messages))
    reports = [*_sent(consumer, ready), *execution.give_back(overtaken)]
    return settle(consumer, reports, go_on_until=go_on_until) if reports else []


def _sent(consumer: Consumer, messages: Sequence[Message]) -> list[Report]:
    """Send the messages within the consumer's timeout; return what became of each."""
    relay = consumer.relay
    if relay is None or not messages:
        return []
    if relay.receipt is not None:
        # Before they are sent: a receipt may come back sooner than the broker's confirm is written down.
        database_errors.once_back(lambda: AwaitedReceipt.objects.expect(messages, relay.receiver))
    errors = relay.send(messages, until=monotonic() + consumer.timeout.total_seconds())
    return list(_reports(messages, errors, confirmed=Succeeded() if relay.receipt is None else Sent(relay.receipt)))


def _reports(
    messages: Sequence[Message], errors: Sequence[BaseException | None], *, confirmed: Outcome
) -> Iterator[Report]:
    """Report on each message; what stands behind one of its key that is not confirmed goes back at once, to sleep.

    In an outage the first few tell the breaker. The others would only say the same.
    """
    stopped: set[str] = set()
    told = 0
    for message, error in zip(messages, errors, strict=True):
        told += isinstance(error, Unavailable)
        wait = ZERO if message.ordering_key in stopped else conf().probe_after
        if error is None:
            yield Report(message, confirmed)
        else:
            yield _report(message, error, tells=told <= ROWS_TO_OPEN, wait=wait)
        if error is not None and message.ordering_key:
            stopped.add(message.ordering_key)


def _report(message: Message, error: BaseException, *, tells: bool, wait: timedelta) -> Report:
    match error:
        case NotSent():
            return Report(message, GivenBack())
        case Unavailable():
            sent = isinstance(error, Unconfirmed)
            outcome: Outcome = FoundUnavailable(conf().probe_after) if tells else GivenBack(wait)
            if sent and not tells:
                outcome = Interrupted(conf().probe_after)
            said = "" if isinstance(outcome, GivenBack) else execution.classify(message, error).error
            return Report(message, outcome, said, may_have_acted=sent)
        case Unroutable():
            return replace(execution.classify(message, error), outcome=Failed(Reason.UNROUTABLE))
        case Refused():
            return replace(execution.classify(message, error), outcome=Failed(Reason.REFUSED))
        case _:
            return execution.classify(message, error)


def settle(consumer: Consumer, reports: Sequence[Report], *, go_on_until: float = 0.0) -> list[Started]:
    """Write down what became of the rows, in one transaction, again while the database is away.

    What is confirmed is a success, or is sent and waits for its receipt. Up to ``go_on_until``, a chunk full of runs
    starts what comes next of their keys: return that.
    """
    tries = 0

    def settle_once_more() -> tuple[Sequence[Report], list[Started]]:
        nonlocal tries
        tries += 1
        try:
            return _settle_together(consumer, reports, go_on_until=go_on_until)
        except Superseded:
            return _settle_ours(consumer, reports, again=tries > 1), []
        except DRIVER_ERRORS:
            # Perhaps it was committed, with what was started next in it.
            strays.expect()
            raise

    ours, following = database_errors.once_back(settle_once_more)
    follow_up.follow_up(consumer, ours, going_on={row.ordering_key for row in following})
    return following


def _settle_together(
    consumer: Consumer, reports: Sequence[Report], *, go_on_until: float
) -> tuple[Sequence[Report], list[Started]]:
    """Settle all the rows; ``Superseded`` if one is no longer ours."""
    following: list[Started] = []
    with transaction.atomic(using=conf().database, durable=True):
        settling.settle(consumer, reports)
        if monotonic() < go_on_until and (keys := runs.keys_to_go_on_with(consumer, reports)):
            following = starting.start_next(consumer, keys, room=consumer.run)
    return reports, following


def _settle_ours(consumer: Consumer, reports: Sequence[Report], *, again: bool) -> Sequence[Report]:
    """Settle the rows that are still ours, and keep that the others came too late; return what is settled by us.

    If it was tried before, that try may have been committed, and only its answer was lost.
    """
    with transaction.atomic(using=conf().database, durable=True):
        held = Message.objects.held([report.message.fence for report in reports])
        locked = set(held.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
        ours = [report for report in reports if report.message.pk in locked]
        if ours:
            settling.settle(consumer, ours)
    late = [report for report in reports if report.message.pk not in locked]
    known = dict(Message.objects.filter(pk__in=[report.message.pk for report in late]).values_list("pk", "attempts"))
    before = [report for report in late if again and known.get(report.message.pk) == report.message.attempts]
    settled = {report.message.pk for report in before}
    for report in late:
        # That it was sent is known where a receipt, or the end of its lease, was faster.
        if report.message.pk not in settled and report.had_its_turn and not isinstance(report.outcome, Sent):
            settling.record_late(report)
    return [*ours, *before]
