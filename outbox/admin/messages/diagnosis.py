"""The verdict on a message in plain words: what happened, what it means, what to do. Pure: nothing is read here."""

from dataclasses import replace

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from outbox.admin.messages.case import Case, Diagnosis, other_side_may_have_acted
from outbox.admin.messages.given_up import diagnose_failed
from outbox.admin.messages.unfinished import diagnose_pending, diagnose_started
from outbox.admin.tones import Tone
from outbox.models import AwaitedReceipt, Evidence, Resolution, Status
from outbox.monitoring.findings import many

__all__ = ["Case", "Diagnosis", "diagnose", "other_side_may_have_acted"]


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
        case Status.SUCCESS, _resolution if case.awaited is not None:
            return _consumed(case.awaited)
        case Status.SUCCESS, _resolution if case.consumer is not None and case.consumer.relay is not None:
            return _confirmed(case, case.consumer.relay.destination)
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
            return diagnose_failed(case)
        case Status.STARTED, _resolution:
            return diagnose_started(case)
        case _:
            return diagnose_pending(case)


def _confirmed(case: Case, destination: str) -> Diagnosis:
    return Diagnosis(
        Tone.GOOD,
        _("Confirmed by the broker in attempt %(number)d.") % {"number": case.message.attempts},
        _(
            "It is in every queue that was bound for it at that moment (%(destination)s). What the receivers make of "
            "it is not known here."
        )
        % {"destination": destination},
        _("Nothing to do."),
    )


def _consumed(awaited: AwaitedReceipt) -> Diagnosis:
    return Diagnosis(
        Tone.GOOD,
        _("Consumed: %(receiver)s has said so by a receipt.") % {"receiver": awaited.receiver},
        _("The receiver has finished with it, and is the one that this forward waits for."),
        _("Nothing to do."),
    )


def _doubled(case: Case, proof: Evidence) -> Diagnosis:
    words = {"evidence": proof.text or "…", "actor": proof.actor, "number": case.message.attempts}
    if case.message.status == Status.FAILED and case.message.resolution:
        closed = Resolution(case.message.resolution).label
        return Diagnosis(
            Tone.BAD,
            _("It was closed here (%(closed)s), and %(actor)s has consumed it all the same (%(evidence)s).")
            % {**words, "closed": closed},
            _("What nobody wanted any more may have been done. Nobody has acknowledged that yet."),
            _("Ask the other side by the idempotency key %(key)s, have it taken back there, then acknowledge it here.")
            % {"key": case.message.idempotency_key},
        )
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
