"""What follows an attempt: pure decisions, without clock, database or chance of their own."""

import re
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from types import UnionType
from typing import assert_never

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from outbox.advice import as_timedelta
from outbox.errors import ConsumerError

ZERO = timedelta(0)
YEAR = timedelta(days=365)
LONGEST_PROBE = timedelta(seconds=30)
"""The longest wait between two tries while what a consumer needs is down, of one message as of the breaker."""

FREE_WITH_DATABASE = 5
"""How many losses in a row are free if the database was started again in each. A message may be what ends both."""


_KINDS: dict[str, type | UnionType] = {
    "limit": int,
    "first": timedelta,
    "factor": int | float,
    "cap": timedelta,
    "jitter": int | float,
}


@dataclass(frozen=True, slots=True)
class Backoff:
    """Retry with growing waits: ``first``, ``first × factor``, … up to ``cap``, at most ``limit`` attempts.

    The defaults are those of the manual; ``jitter`` is the share of a wait that is left to luck, so that what
    failed together does not come back together.
    """

    limit: int = 8
    first: timedelta = timedelta(seconds=10)
    factor: float = 2.0
    cap: timedelta = timedelta(hours=1)
    jitter: float = 0.2

    def __post_init__(self) -> None:
        for option, kind in _KINDS.items():
            value = getattr(self, option)
            if not isinstance(value, kind) or isinstance(value, bool):
                wanted = "a timedelta" if kind is timedelta else "a whole number" if kind is int else "a number"
                instead = as_timedelta(value, wanted=kind)
                raise ConsumerError(f"Backoff({option}={value!r}): {option} is {wanted}{instead}")
        if not 1 <= self.limit <= 1000:
            raise ConsumerError(f"Backoff(limit={self.limit!r}): between 1 and 1000 attempts")
        if not ZERO <= self.first <= self.cap <= YEAR:
            raise ConsumerError(f"Backoff(first={self.first!r}, cap={self.cap!r}): 0 <= first <= cap <= a year")
        if not 1 <= self.factor < inf or not 0 <= self.jitter <= 1:
            raise ConsumerError(
                f"Backoff(factor={self.factor!r}, jitter={self.jitter!r}): a finite factor >= 1, 0 <= jitter <= 1"
            )

    def wait(self, counted: int, *, uniform: float) -> timedelta:
        """Return the wait after the ``counted``-th attempt that counted; ``uniform`` in [0, 1) jitters it."""
        if not self.first:
            return ZERO
        doublings = min(max(counted, 1) - 1, 64)
        try:
            seconds = min(self.first.total_seconds() * self.factor**doublings, self.cap.total_seconds())
        except OverflowError:
            seconds = self.cap.total_seconds()
        return timedelta(seconds=seconds * (1 - self.jitter * uniform))


_RATE = re.compile(r"(\d+)/(s|min|h)")
_SPANS = {"s": timedelta(seconds=1), "min": timedelta(minutes=1), "h": timedelta(hours=1)}


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a consumer may be called over all workers together: ``count`` calls in ``per``, evenly spread.

    Calls that were not made are saved up, at most ``burst`` of them.
    """

    count: int
    per: timedelta
    burst: int = 1

    @classmethod
    def parse(cls, text: str, *, burst: int = 1) -> "Rate":
        """Return the rate that ``"100/s"``, ``"100/min"`` or ``"100/h"`` says; ``ConsumerError`` for anything else."""
        found = _RATE.fullmatch(text) if isinstance(text, str) else None
        if found is None or not int(found[1]):
            raise ConsumerError(f'rate={text!r}: calls per second, minute or hour, as in "100/s", "100/min" or "100/h"')
        return cls(int(found[1]), _SPANS[found[2]], burst)

    def __str__(self) -> str:
        word = next(word for word, span in _SPANS.items() if span == self.per)
        return f"{self.count}/{word}"

    @property
    def interval(self) -> timedelta:
        """The time from one call to the next."""
        return self.per / self.count


@dataclass(frozen=True, slots=True)
class Counters:
    """How often a message was started, how often it may be, and how many workers in a row were lost over it."""

    attempts: int
    attempt_limit: int
    lost: int

    def counted(self, backoff: Backoff) -> int:
        """Return how many of the attempts counted; what did not has raised the limit."""
        return backoff.limit - (self.attempt_limit - self.attempts)


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The handler returned."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A forward's broker has confirmed the message; its receiver has this long to say what became of it."""

    receipt: timedelta


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler raised, or the row's own transaction failed; ``why`` is the reason where it is the last attempt."""

    why: "Reason | None" = None


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The handler took longer than its consumer's timeout."""

    ended_its_worker: bool = False
    """Whether the worker process had to be ended for it, so that the row is started alone from now on."""
    held_for: timedelta = ZERO
    """How long the row is not started again in any case, because its call may still run."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The handler said that no retry will help."""

    in_doubt: bool = False
    """Whether it said so because nobody knows if an earlier call had its effect."""


@dataclass(frozen=True, slots=True)
class Snoozed:
    """The handler said that it is too early."""

    after: timedelta


@dataclass(frozen=True, slots=True)
class FoundUnavailable:
    """The handler said that what it needs is down."""

    after: timedelta
    told: bool = False
    """Whether the other side has said how long to wait, as by a Retry-After; else the wait grows from time to time."""


@dataclass(frozen=True, slots=True)
class EndedTransaction:
    """The handler committed, or rolled back, the transaction in which its message would have been settled."""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """Started, but its turn did not come before time was up, or nothing came of it while the database was away."""

    after: timedelta = ZERO


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The handler was called, and the engine's database was in its way: a session that ended, a deadlock."""

    after: timedelta


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """The lease ran out before the worker settled; perhaps the database was started again in between."""

    with_database: bool = False
    among: int = 1
    """How many messages, itself included, may have run when the worker was lost: any of them may be the cause."""
    never_again: bool = False
    """Whether what it may have done must not be done twice."""
    innocent: bool = False
    """Whether nobody's code ran for the message, so that it cannot be what has ended its worker."""


Outcome = (
    Succeeded
    | Sent
    | Failed
    | TimedOut
    | Rejected
    | EndedTransaction
    | Snoozed
    | FoundUnavailable
    | GivenBack
    | Interrupted
    | WorkerLost
)


class Reason(TextChoices):
    """Why the machine has given a message up. The consumer's own error stands beside it, as it was raised."""

    NO_TRIES_LEFT = "no_tries_left", _("no tries left")
    TIMED_OUT = "timed_out", _("timed out: its handler took longer than the consumer's timeout")
    REJECTED = "rejected", _("rejected")
    WORKER_LOST = "worker_lost", _("its worker did not settle it in time, again and again")
    EXPIRED = "expired", _("expired: the deadline passed before it succeeded")
    CONSUMER_GONE = "consumer_gone", _("the consumer is not in the code any more")
    MAY_HAVE_HAPPENED = (
        "may_have_happened",
        _("may have happened: its worker was lost in the call, and it is never called twice"),
    )
    EFFECT_UNKNOWN = (
        "effect_unknown",
        _("may have happened: an earlier call began its effect, and nobody knows how that ended"),
    )
    ENDED_TRANSACTION = "ended_transaction", _("its handler ended the transaction in which it was called")
    NOT_TAKEN = (
        "not_taken",
        _("no worker took it: its hints went into an empty queue, again and again, and it was never started"),
    )
    UNROUTABLE = "unroutable", _("unroutable: its exchange had no queue for it, again and again")
    REFUSED = "refused", _("refused: the broker closes the channel over it, again and again")
    NO_RECEIPT = "no_receipt", _("no receipt: it was sent, and its receiver said nothing in time, again and again")


@dataclass(frozen=True, slots=True)
class Done:
    """Consumed: the message is a success."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """Still started, but no worker has it: its receipt is waited for, ``wait`` from now."""

    wait: timedelta


@dataclass(frozen=True, slots=True)
class Again:
    """Pending again, not before ``wait`` from now; ``free`` attempts raise the limit by one."""

    wait: timedelta
    free: bool
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The machine has given up; a person is needed. ``lost`` stays, so that a retry is still started alone."""

    reason: Reason
    lost: int = 0


Decision = Done | Awaited | Again | Exhausted


def describe_decision(decision: Decision) -> str:
    """Return a decision as the log has it."""
    match decision:
        case Done():
            return "done"
        case Awaited(wait):
            return f"sent, its receipt is waited for: {wait.total_seconds():g} s"
        case Again(wait, free):
            seconds = f"{wait.total_seconds():.2f}".rstrip("0").rstrip(".")
            return f"again in {seconds} s{', no try is spent' if free else ''}"
        case Exhausted(reason):
            return f"given up: {reason.value.replace('_', ' ')}"


def decide(outcome: Outcome, counters: Counters, backoff: Backoff, *, uniform: float, times: int = 1) -> Decision:
    """Return what follows an attempt that ended in ``outcome``; the last ``times`` attempts in a row have ended so.

    ``counters`` are those after the attempt was started, ``uniform`` in [0, 1) is the jitter's. Every wait is relative
    to the database's clock at the time of settling.
    """
    match outcome:
        case Succeeded():
            return Done()
        case Sent(receipt):
            return Awaited(receipt)
        case Rejected(in_doubt):
            return Exhausted(Reason.EFFECT_UNKNOWN if in_doubt else Reason.REJECTED)
        case EndedTransaction():
            return Exhausted(Reason.ENDED_TRANSACTION)
        case Snoozed(after) | FoundUnavailable(after, told=True):
            return Again(after, free=True)
        case FoundUnavailable(after):
            return Again(min(after * 2 ** min(times - 1, 16), max(after, LONGEST_PROBE)), free=True)
        case GivenBack(after) | Interrupted(after):
            return Again(after, free=True, lost=counters.lost)
        case WorkerLost(innocent=True):
            return Again(ZERO, free=True)
        case WorkerLost(never_again=True):
            return Exhausted(Reason.MAY_HAVE_HAPPENED, lost=counters.lost + 1)
        case WorkerLost(with_database, among) if among > 1 or counters.lost < (
            FREE_WITH_DATABASE if with_database else 1
        ):
            return Again(ZERO, free=True, lost=counters.lost + 1)
        case WorkerLost() if counters.attempts >= counters.attempt_limit:
            return Exhausted(Reason.WORKER_LOST, lost=counters.lost + 1)
        case WorkerLost():
            return Again(backoff.wait(counters.counted(backoff), uniform=uniform), free=False, lost=counters.lost + 1)
        case Failed(why) if counters.attempts >= counters.attempt_limit:
            return Exhausted(why or Reason.NO_TRIES_LEFT)
        case Failed():
            return Again(backoff.wait(counters.counted(backoff), uniform=uniform), free=False)
        case TimedOut(ended_its_worker, held_for):
            lost = counters.lost + 1 if ended_its_worker else 0
            if counters.attempts >= counters.attempt_limit:
                return Exhausted(Reason.TIMED_OUT, lost=lost)
            wait = max(backoff.wait(counters.counted(backoff), uniform=uniform), held_for)
            return Again(wait, free=False, lost=lost)
        case _:
            assert_never(outcome)
