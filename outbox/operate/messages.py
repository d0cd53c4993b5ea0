"""What an operator can do to a message: retry, settle by hand, discard, reopen, withdraw, hurry, replay, reveal."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox import audit, registry
from outbox.broker import dispatcher
from outbox.broker.waking import wake_and_hint
from outbox.closings import Closing, Hook
from outbox.conf import conf
from outbox.errors import Conflict, NotAllowed
from outbox.models import Evidence, EvidenceKind, HandledAs, Message, Resolution, Status
from outbox.models.queryset import CLOSED_BY_HAND, EXHAUSTED, UNSETTLED, MessageQuerySet, made_due
from outbox.models.sql.order import OrderOfKey
from outbox.models.sql.replay import Source, write_replays
from outbox.operate.actions import Action, why_not
from outbox.operate.changes import discarded, handled, reopened, retried
from outbox.operate.evidence import (
    check_evidence,
    draft_evidence,
    keep_evidence,
    latest_evidence,
    refuse_second_issue,
)
from outbox.operate.hooks import again_if_met, call_hook, hook_of, waiting_briefly
from outbox.operate.operator_action import Actor, OperatorAction, overtaken_by
from outbox.registry import Consumer

WAITING = Q(status=Status.PENDING)

AUDITED_MESSAGE = (
    "status",
    "resolution",
    "attempts",
    "attempt_limit",
    "revision",
    "expires_at",
    "not_before",
)
"""What an act can change, as the audit keeps it."""


def retry(
    message_id: int,
    *,
    revision: int,
    actor: Actor,
    reason: str,
    despite_evidence: bool = False,
    origin: str = "",
) -> Message:
    """Failed → pending: a fresh set of tries and a fresh deadline, the same idempotency key, due now.

    Only what the machine has given up on can be retried; a message that is under way would otherwise run twice.
    ``despite_evidence`` says that the actor knows of evidence that it was issued already; without, that is refused.
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
    if not despite_evidence:
        refuse_second_issue(message.pk)
    return _change_message(
        message,
        action,
        only=EXHAUSTED,
        also=partial(_note_and_hint, message),
        **retried(consumer),
    )


def mark_handled(
    message_id: int,
    *,
    revision: int,
    actor: Actor,
    reason: str,
    outcome: HandledAs,
    evidence: str,
    kind: EvidenceKind = EvidenceKind.ORDER,
    origin: str = "",
) -> Message:
    """Failed → success, handled by hand; ``evidence`` proves the outcome (an order number, a link, a note).

    It stays when the message is reopened. An order number or a link proves only one message as issued: for another
    it raises ``EvidenceTaken``.
    """
    action = OperatorAction(Action.HANDLE, actor, reason, origin)
    action.check()
    proof, outcome = check_evidence(evidence, EvidenceKind(kind)), HandledAs(outcome)
    message = _look(message_id, revision)
    row = draft_evidence(message, text=proof, kind=EvidenceKind(kind), outcome=outcome, actor=action.actor_name)
    return _change_message(
        message,
        action,
        only=EXHAUSTED,
        tells=hook_of(message, "on_handled"),
        closing=Closing(
            message=message, outcome=outcome, evidence=proof, reason=reason.strip(), actor=action.actor_name
        ),
        also=partial(_keep_and_go_on, row),
        noted=({"handled_as": "", "evidence": ""}, {"handled_as": outcome, "evidence": row.seal}),
        **handled(),
    )


def discard(message_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Message:
    """Failed → failed and closed: no consumer acts on the message, and nobody is asked about it again."""
    action = OperatorAction(Action.DISCARD, actor, reason, origin)
    action.check()
    message = _look(message_id, revision)
    return _change_message(
        message,
        action,
        only=EXHAUSTED,
        tells=hook_of(message, "on_discarded"),
        closing=Closing(message=message, outcome=Resolution.DISCARDED, reason=reason.strip(), actor=action.actor_name),
        also=partial(_hint_next, message),
        **discarded(),
    )


def reopen(
    message_id: int,
    *,
    revision: int,
    actor: Actor,
    reason: str,
    evidence_wrong: bool = False,
    origin: str = "",
) -> Message:
    """Handled or discarded → failed, waiting for a person again. The machine's own success is never reopened.

    What proved that it was handled is kept. ``evidence_wrong`` says that it proves nothing of this message, so that it
    may prove another, and nobody is asked about it before a retry.
    """
    action = OperatorAction(Action.REOPEN, actor, reason, origin)
    action.check()
    message = _look(message_id, revision)
    proof = latest_evidence(message.pk)
    was_handled = proof is not None and message.resolution == Resolution.HANDLED
    return _change_message(
        message,
        action,
        only=CLOSED_BY_HAND,
        tells=hook_of(message, "on_reopened"),
        closing=Closing(
            message=message,
            outcome=proof.outcome if proof and was_handled else message.resolution,
            evidence=proof.text if proof and was_handled else "",
            reason=reason.strip(),
            actor=action.actor_name,
        ),
        also=partial(_retract, message.pk) if evidence_wrong else None,
        noted=_note_reopened(proof, wrong=evidence_wrong),
        **reopened(),
    )


def acknowledge(message_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Message:
    """Say that the double issue of a message is known and seen to: no alarm speaks of it any more."""
    action = OperatorAction(Action.ACKNOWLEDGE, actor, reason, origin)
    action.check()
    message = _look(message_id, revision)
    doubled = Evidence.objects.doubled().filter(message=message)
    if not doubled.exists():
        raise NotAllowed(_("There is no double issue of this message that nobody has acknowledged."))
    return _change_message(message, action, only=Q(), also=lambda: doubled.update(acknowledged_at=Now()))


def withdraw(message_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Message:
    """Pending → withdrawn: taken back before it was done. It is over, and no work for anybody.

    Nothing waits for a worker: what one is just taking up is a ``Conflict``.
    """
    action = OperatorAction(Action.WITHDRAW, actor, reason, origin)
    action.check()
    message = _look(message_id, revision)
    return _change_waiting(
        message,
        action,
        only=WAITING,
        also=partial(_hint_next, message),
        status=Status.FAILED,
        resolution=Resolution.WITHDRAWN,
        finished_at=Now(),
    )


def hurry(message_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Message:
    """Let a message that waits for its own time, delayed or between two attempts, be due now.

    It stays behind others of its ordering key, and a pause, a breaker or a rate holds it as before. One that was called
    before is due after a lease at the latest: a call that was given up may still run.
    """
    action = OperatorAction(Action.HURRY, actor, reason, origin)
    action.check()
    message = _look(message_id, revision)
    next_of_key = partial(_hint_next, message)
    return _change_waiting(
        message,
        action,
        only=WAITING & Q(not_before__gt=Now()),
        also=next_of_key if message.ordering_key else partial(_hint, message.consumer, message.pk),
        **made_due(conf().lease),
    )


def replay(
    message_id: int,
    *,
    revision: int,
    actor: Actor,
    reason: str,
    consumer: str = "",
    same_key: bool = False,
    origin: str = "",
) -> Message:
    """Write a message that is over once more, to its own consumer or to another of its topic; return the new one.

    The new one stands at the end of its ordering key and has a fresh set of tries. With ``same_key`` it has the old
    idempotency key, so that the other side takes it for the same order; without, it is a new order. Another consumer
    has a key of its own anyway. What the machine calls at most once is never replayed.
    """
    action = OperatorAction(Action.REPLAY, actor, reason, origin)
    action.check()
    message = _look(message_id, revision)
    if refusal := why_not(Action.REPLAY, message):
        raise NotAllowed(refusal)
    receiver = receiver_of_replays(consumer or message.consumer, message.topic)
    with transaction.atomic(using=conf().database):
        own = Message.objects.filter(key=message.key, topic=message.topic, consumer=receiver.name)
        if (open_one := own.filter(UNSETTLED).values_list("pk", flat=True).first()) is not None:
            raise NotAllowed(
                _("Message %(id)d of the same event to %(consumer)s is not over yet. Look at that one.")
                % {"id": open_one, "consumer": receiver.name}
            )
        sources = [Source(message.pk, message.ordering_key)]
        written = write_replays(
            sources,
            consumer=receiver.name,
            attempt_limit=receiver.retry.limit,
            deadline=receiver.deadline,
            same_key=same_key,
        )
        if not written:
            raise _message_conflict(message.pk)
        [made] = written
        same = same_key and receiver.name == message.consumer
        after = {"replayed_as": made.id, "consumer": receiver.name, "idempotency_key": "same" if same else "new"}
        action.record(str(message), message_id=message.pk, before={}, after=after)
        if not made.asleep:
            _hint(receiver.name, made.id)
    return Message.objects.get(pk=made.id)


def receiver_of_replays(name: str, topic: str) -> Consumer:
    """Return the consumer to which events of ``topic`` can be replayed, or raise ``NotAllowed``."""
    consumer = registry.get(name)
    if consumer is None:
        raise NotAllowed(_("The running code has no consumer named “%(consumer)s”.") % {"consumer": name})
    if consumer not in registry.consumers_of(topic):
        raise NotAllowed(
            _("%(consumer)s does not listen to %(topic)s: its pattern is %(pattern)s.")
            % {"consumer": name, "topic": topic, "pattern": consumer.pattern}
        )
    if consumer.at_most_once:
        raise NotAllowed(
            _("%(consumer)s is called at most once for an event (at_most_once), so nothing is replayed to it.")
            % {"consumer": name}
        )
    return consumer


def receivers_of_replays(topic: str) -> list[str]:
    """Return the names of the consumers to which events of ``topic`` can be replayed."""
    return sorted(consumer.name for consumer in registry.consumers_of(topic) if not consumer.at_most_once)


def reveal(message_id: int, *, actor: Actor, origin: str = "", reason: str = "") -> Any:
    """Return the payload unmasked, and note in the audit who has seen it."""
    action = OperatorAction(Action.REVEAL, actor, reason, origin)
    action.check()
    with transaction.atomic(using=conf().database):
        message = _look(message_id)
        action.record(str(message), message_id=message.pk, before={}, after={})
    return message.payload


def _note_and_hint(message: Message) -> None:
    """Watch out for a second issue if evidence speaks of a first, and let a worker know."""
    Evidence.objects.issued().filter(message=message).update(retried_at=Now(), acknowledged_at=None)
    _hint(message.consumer, message.pk)


def _keep_and_go_on(row: Evidence) -> None:
    """Write what proves it, and let the next message of the ordering key go."""
    keep_evidence(row)
    _hint_next(row.message)


def _retract(message_id: int) -> None:
    """Call wrong whatever was said to prove something of the message."""
    Evidence.objects.standing().filter(message_id=message_id).update(retracted_at=Now())


def _note_reopened(proof: Evidence | None, *, wrong: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Return what the audit keeps of the evidence, before and after."""
    if proof is None:
        return {}, {}
    return {"evidence": proof.seal}, {"evidence": "" if wrong else proof.seal}


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
    message: Message,
    action: OperatorAction,
    *,
    only: Q,
    tells: Hook | None = None,
    closing: Closing | None = None,
    also: Callable[[], object] | None = None,
    noted: tuple[dict[str, str], dict[str, str]] = ({}, {}),
    **changes: Any,
) -> Message:
    """Change the row if it is still as the operator saw it and in one of the states ``only`` names.

    In the same transaction the hook ``tells`` is given ``closing``. It may refuse, and then nothing is changed.
    """
    if refusal := why_not(action.verb, message):
        raise NotAllowed(refusal)
    seen = Message.objects.filter(only, pk=message.pk, revision=message.revision)
    change = partial(
        action.change,
        message,
        seen,
        audited=AUDITED_MESSAGE,
        subject=str(message),
        conflict=partial(_message_conflict, message.pk),
        message_id=message.pk,
        also=also,
        noted=noted,
        revision=F("revision") + 1,
        **changes,
    )
    if tells is None or closing is None:
        return change()
    return again_if_met(partial(change, first=partial(_tell_business, tells, closing, seen)))


def _tell_business(hook: Hook, closing: Closing, seen: MessageQuerySet) -> None:
    """Lock the message, as handlers do before they touch the business, then call the hook with a copy of it."""
    with waiting_briefly():
        message = seen.select_for_update(no_key=True).first()
        if message is None:
            raise _message_conflict(closing.message.pk)
        call_hook(hook, [replace(closing, message=message)])


def _change_waiting(
    message: Message, action: OperatorAction, *, only: Q, also: Callable[[], None], **changes: Any
) -> Message:
    """Do the same to a message that waits, unless a worker is just taking it up: then wait for nobody."""
    if refusal := why_not(action.verb, message):
        raise NotAllowed(refusal)
    with transaction.atomic(using=conf().database):
        free = Message.objects.filter(only, pk=message.pk).select_for_update(skip_locked=True, no_key=True)
        if not list(free.values_list("pk")):
            raise Conflict(_("A worker is just taking the message up, or has taken it up. Look again, then decide."))
        return _change_message(message, action, only=only, also=also, **changes)


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
        wake_and_hint([OrderOfKey(message.consumer, message.ordering_key)])
