"""What an operator can do to a message: retry, settle by hand, discard, reopen, acknowledge, replay, reveal."""

from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox import registry
from outbox.closings import Closing
from outbox.conf import conf
from outbox.declared import Consumer
from outbox.errors import NotAllowed
from outbox.models import Evidence, EvidenceKind, HandledAs, Message, Resolution
from outbox.models.queryset import CLOSED_BY_HAND, EXHAUSTED, UNSETTLED
from outbox.models.sql.replay import Source, write_replays
from outbox.operate.actions import Action, why_not
from outbox.operate.changes import discarded, handled, reopened, retried
from outbox.operate.denials import noted_if_refused
from outbox.operate.evidence import (
    check_evidence,
    draft_evidence,
    issued_already,
    issued_by,
    keep_evidence,
    latest_evidence,
)
from outbox.operate.hooks import hook_of
from outbox.operate.message_row import (
    change_message,
    conflict_over,
    consumer_of,
    hint,
    note_and_hint,
    read_seen,
    tell_and_go_on,
)
from outbox.operate.operator_action import Actor, OperatorAction
from outbox.operate.suspects import may_have_acted


@noted_if_refused(Action.RETRY)
def retry(
    message_id: int,
    *,
    revision: int,
    actor: Actor,
    reason: str,
    asked_other_side: bool = False,
    despite_evidence: bool = False,
    origin: str = "",
) -> Message:
    """Failed → pending: a fresh set of tries and a fresh deadline, the same idempotency key, due now.

    Only what the machine has given up on can be retried; a message that is under way would otherwise run twice. Where
    evidence says that it was issued, that is refused without ``despite_evidence``: the actor knows of it, and that it
    may be issued a second time. Where there is none and the other side may have acted, it is refused without
    ``asked_other_side``: the actor has asked it, and it has not. Neither word stands for the other.
    """
    action = OperatorAction(Action.RETRY, actor, reason, origin)
    action.check()
    message = read_seen(message_id, revision)
    consumer = consumer_of(message)
    if proof := issued_by(message.pk):
        if not despite_evidence:
            raise issued_already(proof)
    elif not asked_other_side and message.exhausted_at is not None and may_have_acted(message):
        raise NotAllowed(
            _("The other side may have acted. Ask it; if it has not, say so with the retry (asked_other_side).")
        )
    return change_message(
        message,
        action,
        only=EXHAUSTED,
        also=partial(note_and_hint, message),
        **retried(consumer),
    )


@noted_if_refused(Action.HANDLE)
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
    message = read_seen(message_id, revision)
    row = draft_evidence(message, text=proof, kind=EvidenceKind(kind), outcome=outcome, actor=action.actor_name)
    return change_message(
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


@noted_if_refused(Action.DISCARD)
def discard(message_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Message:
    """Failed → failed and closed: no consumer acts on the message, and nobody is asked about it again."""
    action = OperatorAction(Action.DISCARD, actor, reason, origin)
    action.check()
    message = read_seen(message_id, revision)
    return change_message(
        message,
        action,
        only=EXHAUSTED,
        tells=hook_of(message, "on_discarded"),
        closing=Closing(message=message, outcome=Resolution.DISCARDED, reason=reason.strip(), actor=action.actor_name),
        also=partial(tell_and_go_on, message),
        **discarded(),
    )


@noted_if_refused(Action.REOPEN)
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
    message = read_seen(message_id, revision)
    proof = latest_evidence(message.pk)
    was_handled = proof is not None and message.resolution == Resolution.HANDLED
    return change_message(
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


@noted_if_refused(Action.ACKNOWLEDGE)
def acknowledge(message_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Message:
    """Say that the double issue of a message is known and seen to: no alarm speaks of it any more."""
    action = OperatorAction(Action.ACKNOWLEDGE, actor, reason, origin)
    action.check()
    message = read_seen(message_id, revision)
    doubled = Evidence.objects.doubled().filter(message=message)
    if not doubled.exists():
        raise NotAllowed(_("There is no double issue of this message that nobody has acknowledged."))
    return change_message(message, action, only=Q(), also=lambda: doubled.update(acknowledged_at=Now()))


@noted_if_refused(Action.REPLAY)
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
    message = read_seen(message_id, revision)
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
            raise conflict_over(message.pk)
        [made] = written
        same = same_key and receiver.name == message.consumer
        after = {"replayed_as": made.id, "consumer": receiver.name, "idempotency_key": "same" if same else "new"}
        action.record(str(message), message_id=message.pk, before={}, after=after)
        if not made.asleep:
            hint(receiver.name, made.id)
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


@noted_if_refused(Action.REVEAL)
def reveal(message_id: int, *, actor: Actor, origin: str = "", reason: str = "") -> Any:
    """Return the payload unmasked, and note in the audit who has seen it."""
    action = OperatorAction(Action.REVEAL, actor, reason, origin)
    action.check()
    with transaction.atomic(using=conf().database):
        message = read_seen(message_id)
        action.record(str(message), message_id=message.pk, before={}, after={})
    return message.payload


def _keep_and_go_on(row: Evidence) -> None:
    """Write what proves it, and let the next message of the ordering key go."""
    keep_evidence(row)
    tell_and_go_on(row.message)


def _retract(message_id: int) -> None:
    """Call wrong whatever was said to prove something of the message."""
    Evidence.objects.standing().filter(message_id=message_id).update(retracted_at=Now())


def _note_reopened(proof: Evidence | None, *, wrong: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Return what the audit keeps of the evidence, before and after."""
    if proof is None:
        return {}, {}
    return {"evidence": proof.seal}, {"evidence": "" if wrong else proof.seal}
