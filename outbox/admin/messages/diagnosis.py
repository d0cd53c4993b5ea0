"""The verdict on a message in plain words: what happened, what it means, what to do. Pure: nothing is read here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.utils.text import capfirst
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from outbox.admin import formats
from outbox.admin.tones import Tone
from outbox.models import Attempt, ConsumerState, Evidence, HandledAs, Message, Resolution, Status
from outbox.models.state import Breaker
from outbox.monitoring.findings import many
from outbox.operate import suspects
from outbox.operate.wording import format_datetime
from outbox.policy import Reason
from outbox.registry import Consumer

SLOW_START = timedelta(minutes=1)
"""How long after it was due a message may lie before the desk suspects that no worker is there."""


SLOW_RATE = timedelta(seconds=5)
"""How long before the next call of its consumer a message is said to wait for that."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Three sentences and a tone."""

    tone: Tone
    happened: str
    means: str
    do: str


@dataclass(frozen=True, slots=True)
class Case:
    """All that a verdict rests on."""

    message: Message
    attempts: Sequence[Attempt]
    consumer: Consumer | None
    state: ConsumerState | None
    now: datetime
    head: Message | None = None
    """The first unsettled message of its ordering key, if that is another."""
    behind: int = 0
    """How many wait behind it, if it is the first itself; counted up to a limit."""
    evidence: Sequence[Evidence] = ()
    """What was said to prove that it was handled, the oldest first, also what was called wrong since."""

    doubled: Evidence | None = None
    """What proves that it was issued by hand, if the machine has issued it as well and nobody has acknowledged that."""

    @property
    def proof(self) -> Evidence | None:
        """What was said last, unless it was called wrong."""
        return next((row for row in reversed(self.evidence) if row.retracted_at is None), None)

    @property
    def issued_by(self) -> Evidence | None:
        """What says that the promise was kept outside the system, whatever became of the message since."""
        standing = (row for row in reversed(self.evidence) if row.retracted_at is None)
        return next((row for row in standing if row.outcome == HandledAs.ISSUED), None)


def other_side_may_have_acted(case: Case) -> bool:
    """Tell whether the world outside may have acted although the message did not succeed, by the attempts shown."""
    decided = suspects.decide_without_attempts(case.message, case.consumer)
    return any(attempt.leaves_doubt for attempt in case.attempts) if decided is None else decided


def diagnose(case: Case) -> Diagnosis:
    """Return the verdict on a message, and how many wait behind it."""
    verdict = _diagnose(case) if case.doubled is None else _doubled(case, case.doubled)
    if not case.behind:
        return verdict
    text = _("Waiting behind it, by the ordering key “%(key)s”: %(many)s.")
    words = {"key": case.message.ordering_key, "many": many(case.behind)}
    return replace(verdict, means=f"{verdict.means} {text % words}")


def _diagnose(case: Case) -> Diagnosis:
    match case.message.status, case.message.resolution:
        case Status.SUCCESS, Resolution.HANDLED:
            return _handled(case.proof)
        case Status.SUCCESS, _resolution:
            return Diagnosis(
                Tone.GOOD,
                _("Done: attempt %(number)d succeeded.") % {"number": case.message.attempts},
                _("Its consumer has finished, and what it wrote is committed."),
                _("Nothing to do."),
            )
        case Status.FAILED, Resolution.DISCARDED:
            return Diagnosis(
                Tone.CLOSED,
                _("Discarded by hand."),
                _("No consumer will act on it, and nobody is asked about it again."),
                _("If that was a mistake, reopen it."),
            )
        case Status.FAILED, Resolution.OVERDUE:
            return Diagnosis(
                Tone.CLOSED,
                _("Closed by itself: its time was over."),
                _("No call was ever made for it, so nothing was done; its consumer has said that nobody minds."),
                _("Nothing to do."),
            )
        case Status.FAILED, Resolution.WITHDRAWN:
            return _withdrawn(case)
        case Status.FAILED, _resolution:
            return _diagnose_failed(case)
        case Status.STARTED, _resolution:
            return _started(case)
        case _:
            return _pending(case)


def _doubled(case: Case, proof: Evidence) -> Diagnosis:
    words = {"evidence": proof.text or "…", "actor": proof.actor, "number": case.message.attempts}
    return Diagnosis(
        Tone.BAD,
        _("Issued twice, as it seems: by hand (%(evidence)s, %(actor)s) and by the machine (attempt %(number)d).")
        % words,
        _("Somebody may have got it twice. Nobody has acknowledged that yet."),
        _("Ask the other side by the idempotency key %(key)s, take one of the two back, then acknowledge it here.")
        % {"key": case.message.idempotency_key},
    )


def _handled(proof: Evidence | None) -> Diagnosis:
    return Diagnosis(
        Tone.GOOD,
        _("Settled by hand. %(evidence)s") % {"evidence": capfirst(str(proof or ""))},
        _("A person has vouched for it; the machine will not touch it again."),
        _("Nothing to do. If that was a mistake, reopen it."),
    )


def _withdrawn(case: Case) -> Diagnosis:
    happened = _("Withdrawn: it was taken back before it was done.")
    if other_side_may_have_acted(case):
        return Diagnosis(
            Tone.WAIT,
            happened,
            _("At least one attempt was cut off before. The other side may have acted all the same."),
            _("Ask the other side, by the idempotency key %(key)s. If it has acted, have it undone there.")
            % {"key": case.message.idempotency_key},
        )
    return Diagnosis(
        Tone.CLOSED,
        happened,
        _("Nobody is called for it any more; whoever withdrew it did not want it done."),
        _("Nothing to do."),
    )


def _diagnose_failed(case: Case) -> Diagnosis:
    happened, means = _why_failed(case)
    if case.consumer is None:
        return Diagnosis(
            Tone.BAD,
            happened,
            _("The running code has no consumer named “%(consumer)s”.") % {"consumer": case.message.consumer},
            _("Deploy the consumer again and retry; or settle it by other means and mark it as handled."),
        )
    if (proof := case.issued_by) is not None:
        words = {"evidence": proof.text or "…", "actor": proof.actor, "at": format_datetime(proof.at)}
        return Diagnosis(
            Tone.BAD,
            happened,
            _("It was issued by hand, as %(evidence)s proves (%(actor)s, %(at)s), and reopened since.") % words,
            _(
                "A retry may issue it a second time. If it was issued, mark it as handled again; else ask the other "
                "side."
            ),
        )
    if case.message.reason == Reason.ENDED_TRANSACTION:
        return Diagnosis(
            Tone.BAD,
            happened,
            means,
            _(
                "Look whether its effect is there. If it is, mark the message as handled; if not, have the consumer "
                "mended first, then retry."
            ),
        )
    if other_side_may_have_acted(case):
        return Diagnosis(
            Tone.BAD,
            happened,
            _("At least one attempt was cut off. The other side may have acted all the same."),
            _(
                "Ask the other side before retrying, by the idempotency key %(key)s. If it has acted, mark the "
                "message as handled; if not, retry."
            )
            % {"key": case.message.idempotency_key},
        )
    return Diagnosis(Tone.BAD, happened, means, _what_to_do(case))


def _why_failed(case: Case) -> tuple[str, str]:
    """Return what happened and what that means, for a message the machine has given up on."""
    message = case.message
    match message.reason:
        case Reason.EXPIRED:
            return (
                _("The deadline passed before it succeeded, after %(attempts)d attempts.")
                % {"attempts": message.attempts},
                _("No attempt succeeded."),
            )
        case Reason.CONSUMER_GONE:
            return _("Its consumer has been missing from the code for too long."), _("No worker could take it up.")
        case Reason.NOT_TAKEN:
            return (
                _("No worker took it, although it was sent again and again."),
                _("It was never started this time."),
            )
        case Reason.ENDED_TRANSACTION:
            return (
                _("The consumer's code ended the transaction in which it was called (COMMIT or ROLLBACK)."),
                _("What it wrote may be committed. It was not tried again, as that could do it twice."),
            )
        case Reason.REJECTED:
            return (
                _("The consumer refused it for good in attempt %(number)d.") % {"number": message.attempts},
                _("Trying again gives the same answer until the cause below is removed."),
            )
        case Reason.TIMED_OUT:
            return _("In its last attempt the handler took longer than the consumer's timeout."), _nothing_done(case)
        case Reason.WORKER_LOST:
            return (
                _("Its worker did not settle it in time, %(lost)d times in a row.") % {"lost": message.lost},
                _(
                    "The process, the database or the network was gone; the message itself may be what kills the "
                    "worker. What was half done was rolled back."
                ),
            )
        case Reason.MAY_HAVE_HAPPENED:
            return (
                _("Its worker was lost in the call, and the machine never calls this consumer twice."),
                _("Nobody knows whether the other side has acted."),
            )
        case Reason.NO_TRIES_LEFT if case.attempts:
            return _("All tries are used up: %(attempts)d attempts, none succeeded.") % {
                "attempts": message.attempts
            }, _nothing_done(case)
        case _:
            words = {"error": formats.describe_failure(message)}
            return _("The machine gave up: %(error)s") % words, _("No failed attempt is on record.")


def _nothing_done(case: Case) -> str:
    if case.consumer is not None and case.consumer.atomic:
        return _("Every attempt was rolled back: nothing was done, nothing is half done.")
    return _("The consumer talks to another system; the errors below do not look as if it had acted.")


def _what_to_do(case: Case) -> str:
    match case.message.reason:
        case Reason.REJECTED:
            return _("Remove the cause, then retry; or settle it by other means and mark it as handled.")
        case Reason.TIMED_OUT:
            return _(
                "The attempt's traceback shows where it hung. Give a limit to what it waits for, or a longer timeout "
                "to the consumer; then retry."
            )
        case Reason.WORKER_LOST:
            return _(
                "Look into the worker's log first (memory, crash). A retry runs it alone, away from other messages."
            )
        case Reason.NOT_TAKEN:
            return _("Make sure that workers are running, then retry.")
        case _:
            return _("Read the last error. Once its cause is mended, retry: that is safe.")


def _started(case: Case) -> Diagnosis:
    message = case.message
    happened = _("Attempt %(number)d of %(limit)d is under way at the worker %(worker)s.") % {
        "number": message.attempts,
        "limit": message.attempt_limit,
        "worker": message.worker or "?",
    }
    if message.lease_until is not None and message.lease_until < case.now:
        return Diagnosis(
            Tone.WAIT,
            happened,
            _("The worker is overdue; it may be slow, or gone."),
            _("If it is gone, the rescan takes the message back by itself within seconds. Look again in a minute."),
        )
    return Diagnosis(
        Tone.BUSY, happened, _("A worker holds it right now."), _("Nothing to do; look again in a moment.")
    )


def _pending(case: Case) -> Diagnosis:
    message, state = case.message, case.state
    happened = (
        _("Waiting for its first attempt.")
        if not message.attempts
        else _("Waiting for the next attempt; %(attempts)d of %(limit)d are used up.")
        % {"attempts": message.attempts, "limit": message.attempt_limit}
    )
    if case.consumer is None:
        return Diagnosis(
            Tone.WAIT,
            happened,
            _("The running code has no consumer named “%(consumer)s”.") % {"consumer": message.consumer},
            _("Deploy the consumer again. After a day without it the message fails and is shown as failed."),
        )
    if state is not None and _is_paused(state, case.now):
        return Diagnosis(
            Tone.WAIT,
            happened,
            _("The consumer was paused by %(actor)s: %(reason)s")
            % {"actor": state.paused_by, "reason": state.paused_reason},
            _("It goes on when the consumer is resumed.")
            if state.paused_until is None
            else _("It goes on by itself at %(until)s, or when the consumer is resumed.")
            % {"until": format_datetime(state.paused_until)},
        )
    if state is not None and state.breaker == Breaker.OPEN:
        return Diagnosis(
            Tone.WAIT,
            happened,
            _(
                "What the consumer needs is down or wants to be left alone; one message at a time is tried until it "
                "is back."
            ),
            _("Nothing to do here. Look into the system behind it: does it answer, does it ask for fewer calls?"),
        )
    if (next_call := _waits_for_rate(case)) is not None:
        words = {"rate": str(case.consumer.rate), "then": format_datetime(next_call)}
        text = _(
            "The consumer is called at most %(rate)s, all workers together; the next call may be made at %(then)s."
        )
        return Diagnosis(Tone.BUSY, happened, text % words, _("Nothing to do: it has its turn, the oldest first."))
    if message.not_before > case.now:
        return Diagnosis(Tone.BUSY, happened, _("It is not due yet; see “not before” below."), _("Nothing to do."))
    if case.head is not None:
        of_head = {"id": case.head.pk, "key": message.ordering_key}
        return Diagnosis(
            Tone.BUSY,
            happened,
            _("It waits for message %(id)d, which comes first among those of “%(key)s”.") % of_head,
            _what_to_do_about(case.head, case.now),
        )
    if message.due_at < case.now - SLOW_START:
        return Diagnosis(
            Tone.WAIT,
            happened,
            _("It has been due for %(span)s without being started.") % {"span": timesince(message.due_at, case.now)},
            _("If many messages are pending, it waits its turn. Otherwise make sure that workers are running."),
        )
    return Diagnosis(Tone.BUSY, happened, _("A worker will take it up in a moment."), _("Nothing to do."))


def _waits_for_rate(case: Case) -> datetime | None:
    """Return when the rate allows the next call, if that is so far away that people would wonder."""
    if case.consumer is None or case.consumer.rate is None or case.state is None or case.state.next_call is None:
        return None
    waits = case.message.not_before <= case.now and case.now + SLOW_RATE < case.state.next_call
    return case.state.next_call if waits else None


def _what_to_do_about(head: Message, now: datetime) -> str:
    """Return how the message that comes first stands, and what to do about it."""
    if head.status == Status.FAILED:
        return _(
            "That one has failed and waits for a person. Look at it: this one goes on once it has succeeded, or was "
            "marked as handled or discarded."
        )
    if head.status == Status.STARTED:
        return _("Nothing to do: a worker is at work on that one.")
    if head.not_before > now:
        text = _("Nothing to do here: that one is tried at %(at)s. If it cannot succeed, look at that one.")
        return text % {"at": format_datetime(head.not_before)}
    return _("Nothing to do here: it is taken up when that one has succeeded or was seen to. Look at that one.")


def _is_paused(state: ConsumerState, now: datetime) -> bool:
    return state.paused_at is not None and (state.paused_until is None or state.paused_until > now)
