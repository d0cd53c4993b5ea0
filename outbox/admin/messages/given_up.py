"""The verdict on a message that waits for a person: why the machine has given it up, and what to do."""

from django.utils.translation import gettext as _

from outbox.admin import formats
from outbox.admin.messages.case import Case, Diagnosis, other_side_may_have_acted
from outbox.admin.tones import Tone
from outbox.operate.wording import format_datetime
from outbox.policy import Reason


def diagnose_failed(case: Case) -> Diagnosis:
    """Say why the machine has given a message up, what that means, and what a person does about it."""
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
    if case.message.reason == Reason.EFFECT_UNKNOWN:
        return Diagnosis(
            Tone.BAD,
            happened,
            means,
            _(
                "Find out whether its effect is there. If it is, mark the message as handled; if not, retry: then the "
                "effect is made once more. See first that the worker of the earlier call is gone."
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
        case Reason.UNROUTABLE:
            return (
                _("In %(attempts)d attempts its exchange had no queue for it.") % {"attempts": message.attempts},
                _("Nobody has received it. Queues belong to the receivers: theirs is gone, or bound by another key."),
            )
        case Reason.REFUSED:
            return (
                _("The broker closes the channel over this message, and over no other."),
                _("It is too large for the broker, or something in its headers is not allowed there."),
            )
        case Reason.NO_RECEIPT:
            return (
                _("It was sent in %(attempts)d attempts, and for the last one no receipt came in time.")
                % {"attempts": message.attempts},
                _("The receiver may be slow, gone, or have lost its receipt: it may have acted all the same."),
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
        case Reason.EFFECT_UNKNOWN:
            return (
                _("An earlier call began its effect and did not say how that ended."),
                _("Nobody knows whether the other side has acted. The machine does not call it again by itself."),
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
        case Reason.UNROUTABLE:
            return _("Have a receiver bind a queue, then retry: that is safe. If nobody wants it any more, discard it.")
        case Reason.REFUSED:
            return _("The last error has the broker's words. Once its cause is mended, retry: that is safe.")
        case _:
            return _("Read the last error. Once its cause is mended, retry: that is safe.")
