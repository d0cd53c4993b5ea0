"""Calling handlers and rolling back: each message by itself, or one chunk of them after each other.

The rows are locked as for a retry; one that somebody else holds is *busy*. No attempt, counter, breaker, group or rate
is touched, for nothing is settled. PostgreSQL refuses every COMMIT, as it does in a delivery. The session is closed
behind each chunk, because a rollback leaves its advisory locks and its settings.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from django.db import connections, transaction

from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery import execution
from outbox.delivery.execution import Redo, Report
from outbox.delivery.savepoints import Savepoints
from outbox.delivery.time_limits import STATEMENT_MARGIN
from outbox.errors import NotAllowed, NotRehearsable, TransactionEnded
from outbox.failures.fingerprint import fingerprint
from outbox.models import Message, Resolution, Status
from outbox.models.queryset import UNSETTLED
from outbox.models.sql import commit_guard
from outbox.policy import FoundUnavailable, Snoozed, Succeeded
from outbox.rehearsal import stage
from outbox.rehearsal.results import Outcome, Result

CHUNK_SECONDS = 0.2
"""How long a chunk keeps its rows locked, and whoever wants to act on one waiting; a slow call has its own time."""
LOCK_TIMEOUT = "1s"
"""How long a handler waits for a lock of somebody else, before its message is busy."""
LIMITS = commit_guard.REFUSE + "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)"
LOOK = "SET CONSTRAINTS ALL IMMEDIATE"
"""Has deferred constraints looked at that would be looked at by COMMIT."""

Change = Callable[[Any], Any]
"""Makes another payload of a message's, as an edit would."""


class _WentWell(BaseException):
    """Takes back a call that went well."""


class _EachRolledBack(Savepoints):
    def _accept(self) -> None:
        self._cursor.execute(LOOK)
        raise _WentWell


class _LookedAt(Savepoints):
    def _accept(self) -> None:
        self._cursor.execute(f"{LOOK}; SET CONSTRAINTS ALL DEFERRED")


def each(
    consumer: Consumer,
    ids: Sequence[int],
    change: Change,
    *,
    begin: Callable[[int], object],
    report: Callable[[Result], object],
) -> None:
    """Call the consumer for each message and roll it back at once.

    ``begin`` is told of each message before its call, ``report`` what it came to.
    """
    left = list(ids)
    while left:
        chunk = left[: consumer.chunk]
        with _rolled_back(consumer, chunk) as messages:
            done = {result.message_id: result for result in _left_out(chunk, messages)}
            for result in done.values():
                report(result)
            savepoints = _EachRolledBack()
            for message in _within_time(messages):
                begin(message.pk)
                done[message.pk], goes_on = _call(consumer, message, change, savepoints)
                report(done[message.pk])
                if not goes_on:
                    break
        left = [id for id in left if id not in done]


def together(consumer: Consumer, ids: Sequence[int], change: Change) -> tuple[int, int]:
    """Call the consumer for one chunk, each after what the others have written; return how many go well, of many."""
    with _rolled_back(consumer, ids[: consumer.chunk]) as locked:
        messages = [message for message in locked if _make_as_started(message, change) is None]
        with stage.playing() as refused:
            try:
                reports = list(_reports_together(consumer, messages))
            except (Redo, TransactionEnded):
                return 0, len(messages)
        return 0 if refused else sum(isinstance(report.outcome, Succeeded) for report in reports), len(messages)


def _reports_together(consumer: Consumer, messages: Sequence[Message]) -> Iterator[Report]:
    savepoints = _LookedAt()
    if consumer.bulk and (reports := execution.call_bulk(consumer, messages, savepoints)) is not None:
        yield from reports
        return
    for message in messages:
        yield execution.call_handler(consumer, message, savepoints)


@contextmanager
def _rolled_back(consumer: Consumer, ids: Sequence[int]) -> Iterator[list[Message]]:
    """Give those of the messages that are nobody else's, locked; roll back whatever is done, and end the session."""
    try:
        with transaction.atomic(using=conf().database, durable=True):
            with connections[conf().database].cursor() as cursor:
                longest = f"{(consumer.timeout + STATEMENT_MARGIN).total_seconds() * 1000:.0f}ms"
                cursor.execute(LIMITS, [LOCK_TIMEOUT, longest])
            yield list(_lock(ids))
            transaction.set_rollback(True, using=conf().database)
    finally:
        connections.close_all()


def _lock(ids: Sequence[int]) -> Iterable[Message]:
    rows = Message.objects.filter(pk__in=ids, status__in=[Status.PENDING, Status.FAILED], resolution=Resolution.NONE)
    return rows.select_for_update(skip_locked=True, no_key=True).order_by("pk")


def _make_as_started(message: Message, change: Change) -> Result | None:
    """Make the message as a handler has it at its next attempt; return what is wrong if the change does not fit."""
    try:
        message.payload = change(message.payload)
    except NotAllowed as refusal:
        return Result(message.pk, Outcome.FAILED, str(refusal), title=str(refusal))
    message.status, message.attempts, message.rehearsal = Status.STARTED, message.attempts + 1, True
    return None


def _left_out(ids: Sequence[int], messages: Sequence[Message]) -> Iterator[Result]:
    """Give the results of what could not be locked: somebody else holds it, or it is settled or removed."""
    left = set(ids).difference(message.pk for message in messages)
    busy = set(Message.objects.filter(UNSETTLED, pk__in=left).values_list("pk", flat=True)) if left else set()
    for id in sorted(left):
        yield Result(id, Outcome.BUSY if id in busy else Outcome.GONE)


def _within_time(messages: Sequence[Message]) -> Iterator[Message]:
    """Give messages until the chunk's time is over, at least one."""
    until = monotonic() + CHUNK_SECONDS
    for turn, message in enumerate(messages):
        if turn and monotonic() >= until:
            return
        yield message


def _call(consumer: Consumer, message: Message, change: Change, savepoints: Savepoints) -> tuple[Result, bool]:
    """Return what the call came to, and whether its transaction goes on."""
    if (unfit := _make_as_started(message, change)) is not None:
        return unfit, True
    try:
        with stage.playing() as refused:
            report = execution.call_handler(consumer, message, savepoints)
    except Redo as error:
        return Result(message.pk, Outcome.BUSY, str(error)), False
    except TransactionEnded as error:
        return _failed(message, error), False
    if refused:
        what = NotRehearsable(f"the handler {', '.join(dict.fromkeys(refused))}, which no rollback undoes")
        return Result(message.pk, Outcome.REFUSED, str(what), title=str(what)), True
    if isinstance(report.exception, _WentWell):
        return Result(message.pk, Outcome.SUCCESS), True
    if isinstance(report.outcome, Snoozed | FoundUnavailable):
        return Result(message.pk, Outcome.PUT_OFF, report.error, title=report.error), True
    failure = report.failure
    return Result(
        message.pk,
        Outcome.FAILED,
        report.error,
        failure=failure.digest if failure else "",
        title=failure.title if failure else report.error,
    ), True


def _failed(message: Message, error: TransactionEnded) -> Result:
    found = fingerprint(message.consumer, error)
    return Result(message.pk, Outcome.FAILED, str(error), found.digest, found.title)
