"""Settling calls that were made beside each other: each row is judged alone, and one that was overtaken harms none."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from django.db import transaction

from outbox.broker import receipts
from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery import database_errors, execution, follow_up, non_atomic, settling, strays
from outbox.delivery.execution import Report
from outbox.delivery.non_atomic import Ended
from outbox.delivery.time_limits import CallTimedOut, took_longer
from outbox.delivery.wide.calls import Call
from outbox.errors import Superseded
from outbox.models import Exchange, Fence, Message, Status
from outbox.models.sql import calls as statements
from outbox.policy import Succeeded, TimedOut

log = logging.getLogger("outbox.delivery")


def settle(calls: Sequence[Call]) -> None:
    """Settle what the calls came to: the successes of a consumer by one statement, the rest in one transaction."""
    by_consumer: dict[Consumer, list[Ended]] = defaultdict(list)
    for call in calls:
        by_consumer[call.consumer].extend(call.ended)
    for consumer, ended in by_consumer.items():
        try:
            _settle_some(consumer, ended)
        except Exception:
            # The database was away for longer than a lease, or worse: the rows are taken back as of a lost worker.
            log.exception("%s: it could not be written down what %d calls came to", consumer.name, len(ended))


def settle_as_timed_out(call: Call) -> None:
    """Settle a call as timed out that still runs; the other side may have done what it was asked."""
    text = f"{took_longer(call.consumer)}, and still runs"
    for message in call.messages:
        report = execution.classify(message, CallTimedOut(text))
        # No shorter than until the thread of the leases comes round, which holds it back from then on.
        non_atomic.settle_outside(call.consumer, replace(report, outcome=TimedOut(held_for=conf().lease)))
    statements.hold_back(call.fences, conf().lease)


def note_late(calls: Sequence[Call]) -> None:
    """Keep what calls came to that were given up before."""
    for call in calls:
        for ended in call.ended:
            if not ended.settled:
                settling.record_late(ended.report)


def _settle_some(consumer: Consumer, ended: Sequence[Ended]) -> None:
    succeeded = [each.report for each in ended if not each.settled and isinstance(each.report.outcome, Succeeded)]
    done = [Report(each.report.message, Succeeded()) for each in ended if each.settled]
    for each in ended:
        if each.settled:
            non_atomic.note_what_came_after_success(each)
    if succeeded:
        done += _settle_successes(succeeded)
    if done:
        follow_up.follow_up(consumer, done)
    _settle_others(
        consumer,
        [each.report for each in ended if not each.settled and not isinstance(each.report.outcome, Succeeded)],
    )


def _settle_others(consumer: Consumer, reports: Sequence[Report]) -> None:
    """Settle what did not simply succeed: together, and row by row where one of them is in the way of the others.

    A vendor that is down fails all calls at once, and each transaction of its own would cost as much as the call.
    """
    again = False
    if len(reports) > 1:
        try:
            with transaction.atomic(using=conf().database):
                settling.settle(consumer, sorted(reports, key=lambda report: report.message.pk))
        except Superseded:
            pass  # all of it was rolled back
        except Exception as error:
            # Whatever it is, it must not cost what can be settled alone; and perhaps it was committed.
            log.warning("%s: %d calls are settled one by one: %r", consumer.name, len(reports), error)
            again = True
        else:
            follow_up.follow_up(consumer, reports)
            return
    for report in reports:
        non_atomic.settle_outside(consumer, report, again=again)


def _settle_successes(reports: Sequence[Report]) -> list[Report]:
    """Mark the successes, again while the database is away; return those that were still ours."""
    fences = [report.message.fence for report in reports]
    ours: set[int] = set()
    tries = 0

    def settle_once_more() -> None:
        nonlocal tries
        tries += 1
        ours.update(_succeed(reports))
        if tries > 1:
            ours.update(_settled_before(fences))

    database_errors.once_back(settle_once_more)
    for report in reports:
        if report.message.pk not in ours:
            settling.record_late(report)
    return [report for report in reports if report.message.pk in ours]


def _succeed(reports: Sequence[Report]) -> set[int]:
    """Mark the successes and return which were still ours; what their handlers have recorded is kept with them."""
    fences = [report.message.fence for report in reports]
    messages = [report.message for report in reports]
    if not any(message.exchanges for message in messages) and not receipts.are_wanted(messages):
        return statements.succeed_each(fences)
    with transaction.atomic(using=conf().database):
        ours = statements.succeed_each(fences)
        Exchange.objects.keep([message for message in messages if message.pk in ours])
        receipts.publish_receipts([message for message in messages if message.pk in ours])
    return ours


def _settled_before(fences: Sequence[Fence]) -> set[int]:
    """Return which of the rows an earlier try has settled, whose answer was lost."""
    rows = Message.objects.filter(pk__in=[fence.id for fence in fences], status=Status.SUCCESS)
    found = dict(rows.values_list("pk", "attempts"))
    return {fence.id for fence in fences if found.get(fence.id) == fence.attempts}


def give_back(calls: Sequence[Call]) -> None:
    """Give back rows that were started and whose calls were not made: nothing is spent, and others may start them."""
    for call in calls:
        for message in call.messages:
            strays.put_back(message)
