"""The verdict on a message that is under way, or waits: for what, and whether anybody must do something."""

from datetime import datetime, timedelta

from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from outbox.admin.messages.case import Case, Diagnosis
from outbox.admin.tones import Tone
from outbox.models import AwaitedReceipt, ConsumerState, Message, Status
from outbox.models.attempt import REPEATED
from outbox.models.said import in_short
from outbox.models.state import Breaker
from outbox.operate.wording import format_datetime

SLOW_START = timedelta(minutes=1)
"""How long after it was due a message may lie before the desk suspects that no worker is there."""
SLOW_RATE = timedelta(seconds=5)
"""How long before the next call of its consumer a message is said to wait for that."""


def _sent(case: Case, awaited: AwaitedReceipt) -> Diagnosis:
    """Say that a message is with its receiver. When its time is over, the rescan takes it back within seconds."""
    message = case.message
    words = {
        "number": message.attempts,
        "receiver": awaited.receiver,
        "until": format_datetime(message.lease_until) if message.lease_until else "?",
    }
    return Diagnosis(
        Tone.BUSY,
        _("Sent to %(receiver)s in attempt %(number)d, waiting for the receipt until %(until)s.") % words,
        _("The broker has it. What the receiver makes of it is not known yet."),
        _("Nothing to do: without a receipt by then it is sent again under the same id, and an attempt is spent."),
    )


def diagnose_started(case: Case) -> Diagnosis:
    """Say who is at work on a message, or who has it."""
    message = case.message
    if case.awaited is not None and case.awaited.sent_attempt == message.attempts:
        return _sent(case, case.awaited)
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


def diagnose_pending(case: Case) -> Diagnosis:
    """Say what a message waits for."""
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
    if message.not_before > case.now and (said := _not_ready(case)):
        return Diagnosis(
            Tone.WAIT,
            happened,
            _("Its consumer was not ready for it, and has said: “%(said)s”.") % {"said": said},
            _("If that asks for something, do it. Otherwise wait: it is tried again by itself at %(at)s.")
            % {"at": format_datetime(message.not_before)},
        )
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


def _not_ready(case: Case) -> str:
    """Return what its consumer said if the last attempt ended as it was not ready, or what it needs is down."""
    last = max(case.attempts, key=lambda attempt: attempt.number, default=None)
    is_last = last is not None and last.number == case.message.attempts and last.outcome in REPEATED
    return in_short(last.error) if last is not None and is_last else ""


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
    if head.not_before > now and head.last_error:
        text = _("That one is tried again at %(at)s, and has said: “%(said)s”. If that asks for something, do it.")
        return text % {"at": format_datetime(head.not_before), "said": in_short(head.last_error)}
    if head.not_before > now:
        text = _("Nothing to do here: that one is tried at %(at)s. If it cannot succeed, look at that one.")
        return text % {"at": format_datetime(head.not_before)}
    return _("Nothing to do here: it is taken up when that one has succeeded or was seen to. Look at that one.")


def _is_paused(state: ConsumerState, now: datetime) -> bool:
    return state.paused_at is not None and (state.paused_until is None or state.paused_until > now)
