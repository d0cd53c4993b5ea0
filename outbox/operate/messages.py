"""What an operator can do to a message: retry, settle by hand, discard, reopen, look at the payload."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest, Least, Now
from django.utils.translation import gettext as _

from outbox import audit, registry
from outbox.broker import dispatcher
from outbox.conf import conf
from outbox.errors import Conflict, NotAllowed
from outbox.models import HandledAs, Message, Resolution, Status
from outbox.models.sql.order import OrderOfKey, wake_heads
from outbox.operate import text_checks
from outbox.operate.actions import EVIDENCE_LENGTH, Action, why_not
from outbox.operate.operator_action import Actor, OperatorAction, overtaken_by

FAILED = Q(exhausted_at__isnull=False)
CLOSED_BY_HAND = Q(resolution__in=[Resolution.HANDLED, Resolution.DISCARDED])

AUDITED_MESSAGE = (
    "status",
    "resolution",
    "handled_as",
    "evidence",
    "attempts",
    "attempt_limit",
    "revision",
    "expires_at",
)
"""What an act can change, as the audit keeps it."""


def retry(message_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Message:
    """Failed → pending: a fresh set of tries and a fresh deadline, the same idempotency key, due now.

    Only what the machine has given up on can be retried; a message that is under way would otherwise run twice.
    """
    action = OperatorAction(Action.RETRY, actor, reason, origin)
    action.check()
    message = _look(message_id, revision)
    consumer = registry.get(message.consumer)
    if consumer is None:
        raise NotAllowed(
            _(
                "The running code has no consumer named “%(consumer)s”, so nobody would act on the message. Deploy "
                "the consumer again, or mark the message as handled."
            )
            % {"consumer": message.consumer}
        )
    return _change_message(
        message,
        action,
        only=FAILED,
        also=partial(_hint, message.consumer, message.pk),
        status=Status.PENDING,
        finished_at=None,
        exhausted_at=None,
        attempt_limit=F("attempts") + consumer.retry.limit,
        sends=0,
        reason="",
        # Later than now if a call that was given up still runs: see ``hold_back``.
        due_at=Greatest(Least(F("not_before"), Now() + conf().lease), Now()),
        not_before=Greatest(Least(F("not_before"), Now() + conf().lease), Now()),
        retried_at=Now(),
        expires_at=Now() + consumer.deadline,
    )


def mark_handled(
    message_id: int,
    *,
    revision: int,
    actor: Actor,
    reason: str,
    outcome: HandledAs,
    evidence: str,
    origin: str = "",
) -> Message:
    """Failed → success, handled by hand; ``evidence`` proves the outcome (an order number, a link, a note)."""
    action = OperatorAction(Action.HANDLE, actor, reason, origin)
    action.check()
    proof = text_checks.check_text(evidence, limit=EVIDENCE_LENGTH)
    if not proof:
        raise NotAllowed(
            _("Say what proves it, in 1 to %(limit)d characters: an order number, a link or a note.")
            % {"limit": EVIDENCE_LENGTH}
        )
    message = _look(message_id, revision)
    return _change_message(
        message,
        action,
        only=FAILED,
        also=partial(_hint_next, message),
        status=Status.SUCCESS,
        resolution=Resolution.HANDLED,
        handled_as=HandledAs(outcome),
        evidence=proof,
        finished_at=Now(),
        exhausted_at=None,
    )


def discard(message_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Message:
    """Failed → failed and closed: the promise will not be kept, and nobody is asked about it again."""
    action = OperatorAction(Action.DISCARD, actor, reason, origin)
    action.check()
    message = _look(message_id, revision)
    return _change_message(
        message,
        action,
        only=FAILED,
        also=partial(_hint_next, message),
        resolution=Resolution.DISCARDED,
        finished_at=Now(),
        exhausted_at=None,
    )


def reopen(message_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Message:
    """Handled or discarded → failed, waiting for a person again. The machine's own success is never reopened."""
    action = OperatorAction(Action.REOPEN, actor, reason, origin)
    action.check()
    message = _look(message_id, revision)
    return _change_message(
        message,
        action,
        only=CLOSED_BY_HAND,
        status=Status.FAILED,
        resolution=Resolution.NONE,
        handled_as="",
        evidence="",
        finished_at=Now(),
        exhausted_at=Now(),
    )


def reveal(message_id: int, *, actor: Actor, origin: str = "", reason: str = "") -> Any:
    """Return the payload unmasked, and note in the audit who has seen it."""
    action = OperatorAction(Action.REVEAL, actor, reason, origin)
    action.check()
    with transaction.atomic(using=conf().database):
        message = _look(message_id)
        action.record(str(message), message_id=message.pk, before={}, after={})
    return message.payload


def _look(message_id: int, revision: int | None = None) -> Message:
    """Read the message, and make sure that no operator has changed it since it was shown."""
    message = Message.objects.filter(pk=message_id).first()
    if message is None:
        raise Conflict(
            _("Message %(id)s is no longer there; finished messages are removed in time.") % {"id": message_id}
        )
    if revision is not None and message.revision != revision:
        raise _message_conflict(message_id)
    return message


def _change_message(
    message: Message, action: OperatorAction, *, only: Q, also: Callable[[], None] | None = None, **changes: Any
) -> Message:
    """Change the row if it is still as the operator saw it and in one of the states ``only`` names."""
    if refusal := why_not(action.verb, message):
        raise NotAllowed(refusal)
    return action.change(
        message,
        Message.objects.filter(only, pk=message.pk, revision=message.revision),
        audited=AUDITED_MESSAGE,
        subject=str(message),
        conflict=partial(_message_conflict, message.pk),
        message_id=message.pk,
        also=also,
        revision=F("revision") + 1,
        **changes,
    )


def _message_conflict(message_id: int) -> Conflict:
    """Tell what has become of the message meanwhile, and by whom if the audit knows."""
    entry = audit.last_act_on(message_id)
    if entry is None:
        message = Message.objects.filter(pk=message_id).first()
        state = message.get_status_display() if message else _("gone")
        return Conflict(
            _("The message has changed since you looked; now it is %(state)s. Look again, then decide.")
            % {"state": state}
        )
    return overtaken_by(entry)


def _hint(consumer: str, message_id: int) -> None:
    """Let the dispatcher tell a worker once the act has committed; without it the rescan finds the row."""
    dispatcher.dispatch_on_commit({consumer: [message_id]})


def _hint_next(message: Message) -> None:
    """Let the next message of the ordering key go, which this one has held up."""
    if message.ordering_key:
        for woken in wake_heads([OrderOfKey(message.consumer, message.ordering_key)]):
            _hint(message.consumer, woken.id)
