"""Calling a consumer's function and turning whatever it does into an outcome."""

import inspect
import logging
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NoReturn

from outbox import logs
from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery import time_limits
from outbox.delivery.database_errors import may_be_the_worlds
from outbox.delivery.process_state import ProcessState
from outbox.delivery.savepoints import Savepoints
from outbox.delivery.time_limits import TimeLimitReached
from outbox.errors import MayHaveHappened, Reject, Snooze, TransactionEnded, Unavailable
from outbox.failures.fingerprint import Fingerprint, fingerprint, text_of
from outbox.failures.reasons import may_have_acted
from outbox.models import Exchange, Message
from outbox.models.said import storable
from outbox.models.sql.errors import is_conflict, sqlstate
from outbox.policy import (
    ZERO,
    EndedTransaction,
    Failed,
    FoundUnavailable,
    GivenBack,
    Outcome,
    Rejected,
    Snoozed,
    Succeeded,
    TimedOut,
)

log = logging.getLogger("outbox.delivery")

ERROR_LENGTH = 2_000
TRACEBACK_LENGTH = 20_000

DUPLICATE_TABLE, DUPLICATE_OBJECT, DUPLICATE_STATEMENT = "42P07", "42710", "42P05"
LEFT_BY_NEIGHBOURS = frozenset({DUPLICATE_TABLE, DUPLICATE_OBJECT, DUPLICATE_STATEMENT})


ENDS_THE_PROCESS = (SystemExit, KeyboardInterrupt)
"""What a handler may raise that ends its process. Everything else is a failed attempt, whatever it is derived from."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one attempt came to: its message, the outcome, and the error as people should read it."""

    message: Message
    outcome: Outcome
    error: str = ""
    traceback: str = ""
    failure: Fingerprint | None = None
    may_have_acted: bool = False
    exception: BaseException | None = field(default=None, repr=False, compare=False)
    """What made the attempt fail, for the log."""

    @property
    def had_its_turn(self) -> bool:
        """Tell whether the handler was called."""
        return not isinstance(self.outcome, GivenBack)


class Redo(Exception):
    """A row met a lock, a deadlock or a database that goes away: nothing is wrong with it, do it alone.

    Its cause is what the row met.
    """


class OneOfMany:
    """How a bulk handler reports on one message of its list. Its last word counts."""

    of_many = True
    promised = False

    def __init__(self) -> None:
        self.reported = False
        self.error: BaseException | None = None

    def report(self, error: BaseException | None) -> None:
        """Note what became of the message; what is no error is one of the handler's own."""
        if error is not None and not isinstance(error, BaseException):
            raise TypeError(f"message.report() takes an exception, or nothing for a success, not {error!r:.100}")
        self.reported, self.error = True, error

    def open(self) -> NoReturn:
        """Refuse what is for one message alone."""
        raise RuntimeError("a bulk consumer reports on each message by message.report()")

    def call(self, _function: object, /, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse the same."""
        self.open()


def hand_out(messages: Sequence[Message]) -> list[Message]:
    """Return copies of the messages of one call, each with a way to report on it."""
    for message in messages:
        message.settlement = OneOfMany()
    return [for_handler(message) for message in messages]


def reports_on(messages: Sequence[Message], error: BaseException | None = None) -> list[Report]:
    """Return what a call for many came to: what the handler has said of each, else whether the call ended well."""
    return [_report_on(message, error) for message in messages]


def _report_on(message: Message, error: BaseException | None) -> Report:
    said: Any = message.settlement
    error = said.error if said.reported else error
    return Report(message, Succeeded()) if error is None else classify(message, error)


def call_handler(consumer: Consumer, message: Message, savepoints: Savepoints) -> Report:
    """Call the consumer for one message inside a savepoint; what it wrote before failing is rolled back.

    Raises ``Redo`` for a conflict with others over locks or a database that goes away, and ``TransactionEnded``.
    """
    try:
        with logs.at_work_on(message), savepoints.row():
            work = hand_out([message]) if consumer.bulk else for_handler(message)
            run(consumer, work, [message], savepoints.process)
    except (*ENDS_THE_PROCESS, TransactionEnded):
        raise
    except BaseException as error:
        if _is_anothers(error, consumer, savepoints):
            raise Redo(_error_text(error)) from error
        return classify(message, error)
    return reports_on([message])[0] if consumer.bulk else Report(message, Succeeded())


def call_bulk(consumer: Consumer, messages: Sequence[Message], savepoints: Savepoints) -> list[Report] | None:
    """Call a bulk consumer once for all messages; None if it failed, and each must be tried in a list of one."""
    try:
        with logs.at_work_on(*messages), savepoints.row():
            run(consumer, hand_out(messages), messages, savepoints.process)
    except (*ENDS_THE_PROCESS, TransactionEnded):
        raise
    except BaseException as error:
        if _is_anothers(error, consumer, savepoints):
            raise Redo(_error_text(error)) from error
        return None
    return reports_on(messages)


def _is_anothers(error: BaseException, consumer: Consumer, savepoints: Savepoints) -> bool:
    """Tell whether others may have made the call fail: by locks, a database that goes away, limits left too low."""
    low = savepoints.process.put_back_limits(consumer.name)
    return low or is_conflict(error) or may_be_the_worlds(error)


def run(
    consumer: Consumer,
    work: Message | list[Message],
    messages: Sequence[Message] = (),
    process: ProcessState | None = None,
) -> None:
    """Call the consumer's function for ``messages``, within its timeout where that can be kept.

    It may be one of several calls in the same ``process``; behind a single one its limits are put back at once.
    """
    found = process or ProcessState()
    found.begin()
    try:
        left = time_limits.call(consumer, work, messages)
    except ENDS_THE_PROCESS as error:
        # Celery ends its processes by it, so it goes on; but nobody else would say why the process is gone.
        log.error("the handler ended its process: %r", error, exc_info=True)
        raise
    finally:
        found.put_back(consumer.name)
        if process is None:
            found.put_back_limits(consumer.name)
    refuse_what_was_returned(consumer, left)


def refuse_what_was_returned(consumer: Consumer, left: object) -> None:
    """Raise ``TypeError`` where what a handler returned shows that it did not do what it seems to have done.

    It returned something that has not run yet, or an error. Everything else that it returns is of no account.
    """
    if isinstance(left, BaseException) or (isinstance(left, type) and issubclass(left, BaseException)):
        raise TypeError(
            f"{consumer.name} returned {left!r:.100}, and so succeeded by its own word; it must raise it instead"
        )
    if has_not_run(left):
        raise TypeError(
            f"{consumer.name} returned a {type(left).__name__}, which has not run; a consumer is a plain function, or "
            "is declared with async def"
        )


def has_not_run(left: object) -> bool:
    """Tell whether what a function returned has yet to run; if so it is closed, and nobody is warned of it again."""
    if inspect.iscoroutine(left) or inspect.isgenerator(left):
        left.close()
        return True
    return inspect.isawaitable(left) or inspect.isasyncgen(left)


def for_handler(message: Message) -> Message:
    """Return a copy for the handler. What it records of its exchanges is seen on the message itself as well."""
    message.exchanges = []
    return copy_of(message)


def keep_exchanges_of_the_last_call(messages: Sequence[Message]) -> None:
    """Write down what was recorded by a handler that ends its process: nobody settles its message any more."""
    try:
        Exchange.objects.keep(messages)
    except Exception:
        # The process ends in any case, and must not end in another way than its handler wanted.
        log.exception("what %d messages have recorded could not be kept", len(messages))


def copy_of(message: Message) -> Message:
    """Return the message for foreign code, so that nothing done to it changes what the engine knows of the attempt."""
    copy = Message.__new__(Message)
    copy.__dict__.update(message.__dict__)
    return copy


def without_transaction(message: Message) -> Message:
    """Return the message as one that is settled in another transaction than the one that locked it first."""
    copy = copy_of(message)
    copy.transaction = ""
    return copy


def classify(message: Message, error: BaseException) -> Report:
    """Return the report on an attempt that ended in ``error``. The loop's boundary: every exception ends here."""
    text = _error_text(error)
    match error:
        case Reject():
            failure, acted = fingerprint(message.consumer, error), getattr(error, "may_have_acted", False) is True
            outcome = Rejected(in_doubt=isinstance(error, MayHaveHappened))
            return Report(message, outcome, text, failure=failure, may_have_acted=acted, exception=error)
        case Snooze():
            if error.mistaken:
                log.warning("message %d of %s: %s", message.pk, message.consumer, error)
            return Report(message, Snoozed(error.after), text)
        case Unavailable():
            if error.mistaken:
                log.warning("message %d of %s: %s", message.pk, message.consumer, error)
            told = error.after is not None
            return Report(message, FoundUnavailable(error.after or conf().probe_after, told=told), text)
        case _:
            ended = isinstance(error, TransactionEnded)
            late = isinstance(error, TimeLimitReached)
            lines = "".join(traceback.format_exception(error))
            return Report(
                message,
                EndedTransaction() if ended else TimedOut() if late else Failed(),
                text,
                storable(lines[-TRACEBACK_LENGTH:]),
                fingerprint(message.consumer, error),
                ended or may_have_acted(error),
                error,
            )


def give_back(messages: Sequence[Message], *, after: timedelta = ZERO) -> list[Report]:
    """Return the reports on messages whose turn did not come, or of which nothing came."""
    return [Report(message, GivenBack(after)) for message in messages]


def _error_text(error: BaseException) -> str:
    name, text = storable(type(error).__name__), text_of(error)
    return (f"{name}: {text}" if text else name)[:ERROR_LENGTH]


def met_a_neighbour(report: Report) -> bool:
    """Tell whether the row failed over what a row before it may have left in their transaction: a temporary table."""
    return sqlstate(report.exception) in LEFT_BY_NEIGHBOURS
