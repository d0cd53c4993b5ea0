"""Everything that can go wrong with the outbox, as one tree.

Two branches: what a caller of ``publish`` is told, and what a handler says about its message.
"""

from datetime import timedelta
from math import inf

LONGEST_SNOOZE = timedelta(days=365)
SNOOZE_INSTEAD = timedelta(minutes=1)
"""How long a message waits whose handler has raised ``Snooze`` with something else than a span."""


LONGEST_RETRY_AFTER = timedelta(hours=1)


class OutboxError(Exception):
    """The root: catch it to catch anything the outbox raises."""


class PublishError(OutboxError):
    """A message was refused before anything was written. Retrying the same call gives the same answer."""


class OutsideTransaction(PublishError):
    """``publish`` was called outside ``transaction.atomic()``, so it could not be committed with the business row."""


class InsideTransaction(PublishError):
    """``prepare`` was called inside ``transaction.atomic()``, so it could not be committed at once."""


class UnknownTopic(PublishError):
    """No consumer listens to the topic, so nobody would ever act on the message; or topics are declared without it."""


class InvalidMessage(PublishError):
    """The topic, the key, the payload, the headers or the delay cannot be stored faithfully."""


class TooLarge(InvalidMessage):
    """Payload and headers have more bytes than the setting allows; store the data and publish its id."""


class KeyReused(PublishError):
    """The topic and key were published before with another payload, or were withdrawn after they had been started.

    Put a version or an event's id into the key. Nothing of the call is written, no statement has failed: catch it and
    the caller's transaction can go on.
    """


class HalfTakenBack(OutboxError):
    """A half message was taken back, or settled otherwise, before you did. Roll back, and undo what you wrote."""


class ConsumerError(OutboxError):
    """A consumer was declared wrongly (its name, its pattern, its options). Raised at start-up; mend the code."""


class BrokerAway(OutboxError):
    """The broker did not take or confirm what was sent in time. The table keeps the work; the rescan tries again."""


class BrokerDistrusted(BrokerAway):
    """The broker answers, and TLS with it fails: a certificate, its authority, a file. A person must mend it."""


class BrokerRefuses(BrokerAway):
    """The broker is there and refuses a queue, or us altogether (``queue`` is empty). A person must mend it.

    ``code`` is AMQP's: 403 no rights, 404 not there, 405 locked, 406 there with other properties, 530 no vhost.
    """

    def __init__(self, queue: str, *, code: int, said: str, vhost: str, user: str) -> None:
        super().__init__(f"the broker refuses {queue or f'the vhost {vhost} to {user}'}: {said}")
        self.queue = queue
        self.details = {"code": code, "said": said, "vhost": vhost, "user": user}


class ForwardError(OutboxError):
    """What became of a message that was to be forwarded, where the broker has not confirmed it."""


class Unroutable(ForwardError):
    """The exchange has no queue for the message: a failed attempt. A queue must be bound; queues are the receivers'."""


class Refused(ForwardError):
    """The broker closes its channel over this message, and over no other: a failed attempt. Mend the message."""


class NotSent(ForwardError):
    """It was not the message's turn, and nothing is known against it. It is sent later, and spends nothing."""


class Superseded(OutboxError):
    """The attempt is no longer ours: another worker holds the message, or an operator acted. Do not retry."""


class SwallowedError(OutboxError):
    """A handler returned after an error that spoilt its transaction: a failed attempt, not a success without effect."""


class LeftOpenError(OutboxError):
    """A handler returned and left something open that outlives its message: a failed attempt. Mend the handler."""


class SettingsChanged(OutboxError):
    """A handler changed its session's settings for those after it in the chunk, which is redone one by one.

    Give its consumer ``isolated=True``.
    """


class TransactionEnded(OutboxError):
    """A handler ended the transaction in which it was called, by COMMIT or ROLLBACK. Mend the handler; do not retry.

    What it and the messages before it wrote is committed or lost by then.
    """

    def __init__(self, text: str, *, by_the_one_before: bool = False) -> None:
        super().__init__(text)
        self.by_the_one_before = by_the_one_before


class OperatorError(OutboxError):
    """An operator's act could not be carried out; the text says why and what to do."""


class Conflict(OperatorError):
    """The message was changed by somebody else since it was shown. Look again, then decide."""


class NotAllowed(OperatorError):
    """The operator lacks the permission, or the message is not in a state that allows the act."""


class PermissionMissing(NotAllowed):
    """The operator lacks ``permission``. Ask a lead to do it, or for the permission."""

    def __init__(self, text: str, *, permission: str) -> None:
        super().__init__(text)
        self.permission = permission


class EvidenceTaken(NotAllowed):
    """The order number or link proves another message already, which ``message_id`` names. Give this one its own."""

    def __init__(self, text: str, *, message_id: int) -> None:
        super().__init__(text)
        self.message_id = message_id


class BookBusy(OperatorError):
    """A book is being read by somebody else right now. Ask again when they are done."""


class BookRefused(OperatorError):
    """A book cannot be asked about this span, or this day cannot be closed; the text says why."""


class StillInUse(OutboxError):
    """The outbox cannot be uninstalled yet: messages wait, or workers run. Nothing was changed; try again later."""


class NotRehearsable(OutboxError):
    """A consumer, a set of messages or a place cannot be rehearsed, or a handler did what no rollback undoes."""


class HandlerSignal(OutboxError):
    """What a handler raises to say how its message should go on, other than by failing."""


class Reject(HandlerSignal):
    """Permanent: the message fails at once and waits for a person. Retrying would not help."""


class MayHaveHappened(Reject):
    """Nobody knows whether the effect has happened: the message fails at once, and a person decides.

    ``outbox.contrib.redis_guard`` raises it, and so may a handler that finds the traces of an earlier call.
    """

    may_have_acted = True


class Snooze(HandlerSignal):
    """Not ready yet: try again after ``after``, a timedelta of at most a year. No attempt is spent.

    Anything else is a mistake in the handler's code, which must not cost its message an attempt either: it waits a
    minute, and the sentence that says so stands in the log and at the message.
    """

    def __init__(self, after: timedelta, reason: str = "") -> None:
        self.mistaken = not (isinstance(after, timedelta) and timedelta(0) < after <= LONGEST_SNOOZE)
        self.after = SNOOZE_INSTEAD if self.mistaken else after
        if self.mistaken:
            reason = (
                "Snooze takes a timedelta greater than zero and of at most a year, "
                f"not {after!r:.100}; waiting {SNOOZE_INSTEAD} instead"
            )
        super().__init__(reason or f"not ready, again in {after}")


class Unavailable(HandlerSignal):
    """What the consumer needs is down: try again later. No attempt is spent; it counts towards the breaker.

    ``after`` is how long the other side has asked to be left alone, as by a Retry-After: a timedelta greater than zero.
    At most an hour of it is waited. The breaker then opens at once, and no call is made before that time.

    Anything else is a mistake in the handler's code, and no reason to ask at once again: it is taken for seconds where
    it is a number greater than zero, and left out where it is none. The sentence that says so stands in the log and at
    the message.
    """

    def __init__(self, reason: str = "", *, after: timedelta | None = None) -> None:
        self.mistaken = after is not None and not (isinstance(after, timedelta) and after > timedelta(0))
        span = after if not self.mistaken else _seconds(after)
        self.after = None if span is None else min(span, LONGEST_RETRY_AFTER)
        if self.mistaken:
            taken = "it was left out" if span is None else f"taken for {self.after}"
            told = f"Unavailable takes after= as a timedelta greater than zero, not {after!r:.100}; {taken}"
            reason = f"{reason} ({told})" if reason else told
        super().__init__(reason)


class ReceiptFailed(OutboxError):
    """The receiver of a forwarded message has said that it could not consume it; the text is its own."""

    may_have_acted = False


class Unconfirmed(Unavailable):
    """A forwarded message was sent, and the broker went away before it said what became of it: it may have it."""

    may_have_acted = True


def _seconds(number: object) -> timedelta | None:
    """Return the span of so many seconds; None for what is no number greater than zero."""
    usable = isinstance(number, int | float) and not isinstance(number, bool) and 0 < number < inf
    return timedelta(seconds=min(float(number), LONGEST_RETRY_AFTER.total_seconds())) if usable else None  # type: ignore[arg-type]  # it is one
