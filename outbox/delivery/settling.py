"""Writing down what an attempt came to, only for rows that are still ours."""

import logging
import random
import traceback
from collections import defaultdict
from collections.abc import Sequence
from typing import assert_never

from django.db import transaction

from outbox import logs
from outbox.broker import receipts
from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery import ends, sessions
from outbox.delivery.execution import Report
from outbox.delivery.savepoints import ENDED
from outbox.errors import SettingsChanged, Superseded, TransactionEnded
from outbox.models import Attempt, AttemptOutcome, AwaitedReceipt, Evidence, Exchange, Message
from outbox.models.said import storable
from outbox.models.sql import commit_guard, statements
from outbox.policy import (
    Again,
    Awaited,
    Counters,
    Decision,
    Done,
    EndedTransaction,
    Exhausted,
    Failed,
    FoundUnavailable,
    GivenBack,
    Interrupted,
    Outcome,
    Rejected,
    Sent,
    Snoozed,
    Succeeded,
    TimedOut,
    WorkerLost,
    decide,
    describe_decision,
)

log = logging.getLogger("outbox.delivery")

ALIKE = (GivenBack, Interrupted, Sent)
"""Outcomes that many rows of a chunk have together."""


def settle(consumer: Consumer, reports: Sequence[Report]) -> None:
    """Write every outcome with status and attempt in its WHERE.

    Successes take one UPDATE together. Raises ``Superseded`` if a row is no longer ours, so that the caller's
    transaction takes the effects back; ``TransactionEnded`` in another transaction than the one that has locked the
    rows, which the handler called last has ended; and ``SettingsChanged`` if one of several handlers has changed the
    session for those after it.
    """
    transaction = reports[0].message.transaction if reports else ""
    settings = reports[0].message.session_settings if sum(report.had_its_turn for report in reports) > 1 else ""
    succeeded = [report.message.fence for report in reports if isinstance(report.outcome, Succeeded)]
    if succeeded and statements.succeed(succeeded, transaction=transaction, settings=settings) != len(succeeded):
        _refuse_another(transaction)
        _refuse_other_settings(settings)
        raise Superseded(f"{consumer.name}: a message of the chunk is no longer ours")
    if not succeeded:
        _refuse_another(transaction)
    others = [report for report in reports if not isinstance(report.outcome, Succeeded)]
    # First the attempt, then what follows from it: people read them in this order.
    times = Attempt.objects.keep([attempt for report in others if (attempt := attempt_of(report))])
    Exchange.objects.keep([report.message for report in reports])
    _settle_alike(consumer, [report for report in others if isinstance(report.outcome, ALIKE)])
    receipts.publish_receipts([report.message for report in reports if isinstance(report.outcome, Succeeded)])
    for report in others:
        if isinstance(report.outcome, ALIKE):
            continue
        with logs.at_work_on(report.message):
            _settle_other(consumer, report, times.get(report.message.pk, 1))


def _settle_alike(consumer: Consumer, reports: Sequence[Report]) -> None:
    """Settle what was sent, and that of which nothing has come: those alike take one UPDATE together."""
    alike: dict[tuple[Decision, str], list[Report]] = defaultdict(list)
    for report in reports:
        alike[_decision_on(consumer, report), report.error].append(report)
    for (decision, _error), together in alike.items():
        _write_down(decision, together)
        if isinstance(decision, Awaited):
            continue  # as a success, it is nothing to log of each
        for report in together:
            with logs.at_work_on(report.message):
                _log_decision(consumer, report, decision)


def _refuse_another(transaction: str) -> None:
    if commit_guard.allow_commit() != transaction and transaction:
        raise TransactionEnded(ENDED, by_the_one_before=True)


def _refuse_other_settings(settings: str) -> None:
    if settings and not statements.has_settings(settings):
        changed = sessions.what_changed() or "its session"
        raise SettingsChanged(f"a handler changed {changed} for those after it; give its consumer isolated=True")


def _settle_other(consumer: Consumer, report: Report, times: int) -> None:
    decision = _decision_on(consumer, report, times)
    _write_down(decision, [report])
    _log_decision(consumer, report, decision)


def _write_down(decision: Decision, reports: Sequence[Report]) -> None:
    """Write what was decided alike on reports that have one error; raise ``Superseded`` if a row is no longer ours."""
    fences, report = [report.message.fence for report in reports], reports[0]
    held = Message.objects.held(fences)
    match decision:
        case Done():
            changed = statements.succeed(fences)
        case Awaited(wait):
            AwaitedReceipt.objects.note_sent(fences)
            changed = held.mark_sent(wait)
        case Again(wait, free, lost):
            changed = held.mark_pending(wait=wait, free=free, lost=lost, error=report.error or None)
        case Exhausted(reason, lost):
            failure = report.failure.digest if report.failure else ""
            changed = held.mark_failed(reason=reason, error=report.error, failure=failure, lost=lost)
            ends.publish_ends(report.message.consumer, [fence.id for fence in fences])
        case _:
            assert_never(decision)
    if changed != len(reports):
        overtaken = ", ".join(f"message {fence.id}: attempt {fence.attempts}" for fence in fences)
        raise Superseded(f"no longer ours, but overtaken by others, is one of {overtaken}")


def _decision_on(consumer: Consumer, report: Report, times: int = 1) -> Decision:
    message = report.message
    counters = Counters(message.attempts, message.attempt_limit, message.lost)
    uniform = random.random()  # noqa: S311  # jitter, no secret
    return decide(report.outcome, counters, consumer.retry, uniform=uniform, times=times)


def attempt_of(report: Report) -> Attempt | None:
    """Return the row that keeps an attempt which did not simply succeed; None for one that never had its turn."""
    outcome = _recorded_as(report.outcome)
    return _attempt_row(report, outcome) if outcome else None


def record_late(report: Report) -> None:
    """Keep the refused result of a worker that was overtaken, so that a person can see what it did.

    Without an error the handler had succeeded. Where a person has closed the message meanwhile, what it was for may
    have been done twice, and that is said until somebody has seen it.
    """
    log.warning("message %d: the result of attempt %d came too late", report.message.pk, report.message.attempts)
    with transaction.atomic(using=conf().database):
        _attempt_row(report, AttemptOutcome.LATE).save(force_insert=True, using=conf().database)
        Exchange.objects.keep([report.message])
        doubled = Evidence.objects.note_double(report.message.pk) if _has_acted(report) else 0
    if doubled:
        log.error("message %d was handled by hand, and then its handler acted as well", report.message.pk)


def _has_acted(report: Report) -> bool:
    """Tell whether the handler did its work, or may have, though its result was refused.

    One that learns by ``Superseded`` that it is late had come so far as to settle.
    """
    return isinstance(report.outcome, Succeeded) or report.may_have_acted or isinstance(report.exception, Superseded)


def record_beside_success(report: Report) -> None:
    """Keep what went wrong in an attempt that had succeeded by then, so that a person sees it."""
    _attempt_row(report, AttemptOutcome.FAILED).save(force_insert=True, using=conf().database)


def _attempt_row(report: Report, outcome: AttemptOutcome) -> Attempt:
    message = report.message
    return Attempt(
        message_id=message.pk,
        number=message.attempts,
        outcome=outcome,
        started_at=message.started_at,
        error=report.error,
        may_have_acted=report.may_have_acted,
        traceback=report.traceback,
        worker=message.worker,
    )


def _recorded_as(outcome: Outcome) -> AttemptOutcome | None:
    match outcome:
        case Succeeded() | Sent() | GivenBack():
            return None
        case Failed() | TimedOut():
            return AttemptOutcome.FAILED
        case Rejected():
            return AttemptOutcome.REJECTED
        case EndedTransaction():
            return AttemptOutcome.FAILED
        case Snoozed():
            return AttemptOutcome.SNOOZED
        case FoundUnavailable() | Interrupted():
            return AttemptOutcome.UNAVAILABLE
        case WorkerLost():
            return AttemptOutcome.LOST
        case _:
            assert_never(outcome)


def _log_decision(consumer: Consumer, report: Report, decision: Decision) -> None:
    """Write one line an attempt: an error of the consumer's own, with its traceback, or what else has happened."""
    message = report.message
    if report.exception is not None:
        _log_failure(consumer, message, report, report.exception, decision)
        return
    log.log(
        logging.ERROR if isinstance(decision, Exhausted) else logging.INFO,
        "message %d of %s, attempt %d: %s; %s",
        message.pk,
        consumer.name,
        message.attempts,
        report.error or type(report.outcome).__name__,
        describe_decision(decision),
    )


def _log_failure(
    consumer: Consumer, message: Message, report: Report, error: BaseException, decision: Decision
) -> None:
    """Write an error with the exception, which trackers group by, as they do by the logger and the text without it."""
    logger = logging.getLogger(f"outbox.consumer.{consumer.name}")
    if not logger.isEnabledFor(logging.ERROR):
        return
    text = "message %d of %s, attempt %d: %s; %s"
    values = (message.pk, consumer.name, message.attempts, type(report.outcome).__name__, describe_decision(decision))
    raised = (type(error), error, error.__traceback__)
    record = logger.makeRecord(logger.name, logging.ERROR, __file__, 0, text, values, raised, func="_log_failure")
    # Formats take the text that is there: an error's own may have characters that no stream takes.
    record.exc_text = storable("".join(traceback.format_exception(error)).rstrip("\n"))
    logger.handle(record)
