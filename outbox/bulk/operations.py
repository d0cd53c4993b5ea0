"""What an operator can do with a bulk operation: prepare, start, approve, pause, let go on, cancel.

An operation is prepared first: its set is frozen and counted, and nothing is done. Then it is started, with a reason.
Whoever may act on many messages may pause or cancel anybody's operation.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox import audit
from outbox.bulk import editing, freezing, preview, transitions
from outbox.bulk.selection import Selection
from outbox.conf import conf
from outbox.errors import Conflict, NotAllowed
from outbox.models import BulkOperation, EvidenceKind, HandledAs
from outbox.models.bulk import ACTIVE, ENDED, BulkState, BulkVerb, StoppedBecause
from outbox.operate.actions import BULK_ACTIONS, BULK_STATE, Action
from outbox.operate.approval import is_worth_more
from outbox.operate.denials import noted_if_refused
from outbox.operate.edits import KEYS_LENGTH
from outbox.operate.evidence import check_evidence
from outbox.operate.operator_action import Actor, OperatorAction, overtaken_by
from outbox.operate.patch import NO_PATCH, Patch

AUDITED_OPERATION = (
    "verb",
    "state",
    "digest",
    "total",
    "left_out",
    "done",
    "refused",
    "rate",
    "canary_size",
    "stop_percent",
    "handled_as",
    "evidence",
)
"""What the audit keeps of an operation with each act."""
FASTEST = 100_000
"""Messages per second that a rate may say."""


@noted_if_refused(Action.BULK_START, name="set of messages to {}".format)
def prepare(
    verb: BulkVerb, selection: Selection, *, actor: Actor, patch: Patch = NO_PATCH, origin: str = ""
) -> BulkOperation:
    """Freeze the selection and count it; nothing is done to a message before ``start``.

    ``patch`` is what an edit changes in every payload. Raises ``NotAllowed`` without the permissions, if the selection
    is empty, and if the patch changes nothing or what a consumer has locked.
    """
    # Whether a patch fits a sample says what its payload has.
    for action in (Action.BULK_START, Action(verb), *([Action.REVEAL] if verb == BulkVerb.EDIT else [])):
        OperatorAction(action, actor, "", origin).check_permission()
    by = OperatorAction(Action.BULK_START, actor, "", origin).actor_name
    if verb == BulkVerb.EDIT:
        editing.check_patch(patch)
    with transaction.atomic(using=conf().database):
        operation = BulkOperation(verb=verb, created_by=by, origin=origin[:100], patch=patch.as_json() if patch else {})
        operation.save(force_insert=True, using=conf().database)
        freezing.freeze(operation, selection)
        if not operation.total:
            raise NotAllowed(_("Nothing matches: there is no such message, or somebody was faster."))
        if verb == BulkVerb.EDIT:
            editing.check_locked(patch, list(operation.preview["consumers"]))
        operation.save(using=conf().database)
    operation.refresh_from_db()
    return operation


@noted_if_refused(Action.BULK_START, name="bulk operation {}".format)
def start(
    operation_id: int,
    *,
    revision: int,
    actor: Actor,
    reason: str,
    rate: int | None = None,
    canary: int = 0,
    stop_percent: int | None = None,
    include_suspects: bool = False,
    outcome: HandledAs | None = None,
    evidence: str = "",
    origin: str = "",
) -> BulkOperation:
    """Let workers begin, or have a second person approve it first: a discard, or more than ``BULK_APPROVAL_ABOVE``
    messages, or more than ``APPROVAL_ABOVE_VALUE``.

    ``rate`` is in messages per second, None for as fast as it goes. ``canary`` messages are retried first; the rest
    follows if all of them succeed. With ``stop_percent`` it stops when more than that of the retried fail again.
    ``include_suspects`` takes in what was left out as the other side may have acted. ``outcome`` and ``evidence`` say
    how messages were handled.
    """
    action = OperatorAction(Action.BULK_START, actor, reason, origin)
    action.check()
    operation = _look(operation_id, revision, action.verb)
    OperatorAction(Action(operation.verb), actor, reason, origin).check_permission()
    _check_options(operation, rate=rate, canary=canary, stop_percent=stop_percent)
    if operation.verb == BulkVerb.EDIT and include_suspects:
        raise NotAllowed(
            _(
                "Where the other side may have acted on the old payload, it would answer with the old order. Edit "
                "those one by one, as new orders."
            )
        )
    handling: dict[str, Any] = {}
    if operation.verb == BulkVerb.HANDLE:
        if outcome is None:
            raise NotAllowed(_("Say how the messages were handled."))
        handling = {"handled_as": HandledAs(outcome), "evidence": check_evidence(evidence, EvidenceKind.NOTE)}
    with transaction.atomic(using=conf().database):
        taken_in = freezing.include_suspects(operation) if include_suspects else 0
        if not operation.remaining + taken_in:
            raise NotAllowed(_("Nothing is left to do: every message of the set is left out."))
        counted = preview.count(operation) if taken_in else operation.preview
        if _needs_approval(operation, operation.remaining + taken_in, preview.worth(counted)):
            state, held = BulkState.WAITING, ""
        else:
            state, held = transitions.first_state(operation, trying=canary > 0)
        return _change(
            operation,
            action,
            state,
            started_by=action.actor_name,
            started_at=Now(),
            reason=reason.strip(),
            rate=rate,
            canary_size=canary,
            stop_percent=stop_percent,
            held_by=held,
            left_out=F("left_out") - taken_in,
            preview=counted,
            **handling,
        )


@noted_if_refused(Action.BULK_APPROVE, name="bulk operation {}".format)
def approve(operation_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> BulkOperation:
    """Let an operation begin that somebody else has started."""
    action = OperatorAction(Action.BULK_APPROVE, actor, reason, origin)
    action.check()
    operation = _look(operation_id, revision, action.verb)
    if action.actor_name == operation.started_by:
        raise NotAllowed(_("You have started it yourself. It takes a second person to approve it."))
    state, held = transitions.first_state(operation, trying=operation.is_trying)
    return _change(operation, action, state, approved_by=action.actor_name, approved_at=Now(), held_by=held)


@noted_if_refused(Action.BULK_PAUSE, name="bulk operation {}".format)
def pause(operation_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> BulkOperation:
    """Do nothing more to any message until somebody lets it go on. What was retried goes its way."""
    action = OperatorAction(Action.BULK_PAUSE, actor, reason, origin)
    action.check()
    operation = _look(operation_id, revision, action.verb)
    return _change(operation, action, BulkState.PAUSED, held_by="")


@noted_if_refused(Action.BULK_RESUME, name="bulk operation {}".format)
def resume(operation_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> BulkOperation:
    """Let an operation go on that was paused, or that stopped itself; then its stop rule counts anew."""
    action = OperatorAction(Action.BULK_RESUME, actor, reason, origin)
    action.check()
    operation = _look(operation_id, revision, action.verb)
    changes: dict[str, Any] = {}
    if operation.state == BulkState.STOPPED:
        changes = {"stopped_because": "", "done_before": F("done"), "failed_before": F("failed_again")}
        if operation.stopped_because == StoppedBecause.CANARY:
            changes["canary_passed_at"] = Now()
    trying = operation.is_trying and "canary_passed_at" not in changes
    state, held = transitions.first_state(operation, trying=trying)
    return _change(operation, action, state, held_by=held, **changes)


@noted_if_refused(Action.BULK_CANCEL, name="bulk operation {}".format)
def cancel(operation_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> BulkOperation:
    """End an operation: what has not had its turn stays as it is."""
    action = OperatorAction(Action.BULK_CANCEL, actor, reason, origin)
    action.check()
    operation = _look(operation_id, revision, action.verb)
    return _change(operation, action, BulkState.CANCELLED, held_by="")


POSSIBLE = {
    Action.BULK_START: (BulkState.DRAFT,),
    Action.BULK_APPROVE: (BulkState.WAITING,),
    Action.BULK_PAUSE: ACTIVE,
    Action.BULK_RESUME: (BulkState.PAUSED, BulkState.STOPPED),
    Action.BULK_CANCEL: tuple(state for state in BulkState if state not in ENDED),
}
"""The states in which each act is open."""


def why_not(action: Action, operation: BulkOperation) -> str:
    """Return why the operation's state does not permit the act, in words; empty if it does."""
    if operation.state in POSSIBLE[action]:
        return ""
    return _("The operation is in the state “%(state)s”, which does not permit this.") % {
        "state": operation.get_state_display()
    }


def history(operation: BulkOperation) -> Any:
    """Return the entries of the audit about an operation, newest first, rehearsals of its set among them."""
    return audit.acts_about(str(operation), *BULK_ACTIONS, BULK_STATE, Action.REHEARSE)


def _look(operation_id: int, revision: int, action: Action) -> BulkOperation:
    operation = BulkOperation.objects.filter(pk=operation_id).first()
    if operation is None:
        raise Conflict(
            _("Bulk operation %(id)s is not there; a preview is removed after a day.") % {"id": operation_id}
        )
    if operation.revision != revision:
        raise _conflict(operation)
    if refusal := why_not(action, operation):
        raise NotAllowed(refusal)
    return operation


def _change(operation: BulkOperation, action: OperatorAction, state: BulkState, **changes: Any) -> BulkOperation:
    seen = BulkOperation.objects.filter(pk=operation.pk, revision=operation.revision, state__in=POSSIBLE[action.verb])
    return action.change(
        operation,
        seen,
        audited=AUDITED_OPERATION,
        subject=str(operation),
        conflict=partial(_conflict, operation),
        also=partial(transitions.hold_consumers, operation, state),
        noted=({}, {"changed_keys": ", ".join(Patch.from_json(operation.patch).paths)[:KEYS_LENGTH]})
        if operation.patch
        else ({}, {}),
        revision=F("revision") + 1,
        **transitions.entering(state),
        **changes,
    )


def _conflict(operation: BulkOperation) -> Conflict:
    entry = audit.last_act_about(str(operation), *BULK_ACTIONS, BULK_STATE)
    if entry is None or entry.actor == audit.ENGINE:
        now = BulkOperation.objects.filter(pk=operation.pk).first()
        state = now.get_state_display() if now else _("gone")
        return Conflict(
            _("The operation has gone on since you looked; now it is “%(state)s”. Look again, then decide.")
            % {"state": state}
        )
    return overtaken_by(entry)


def _check_options(operation: BulkOperation, *, rate: int | None, canary: int, stop_percent: int | None) -> None:
    if rate is not None and not 1 <= rate <= FASTEST:
        raise NotAllowed(_("A rate is from 1 to %(most)d messages per second.") % {"most": FASTEST})
    if not operation.retries and (canary or stop_percent is not None):
        raise NotAllowed(_("Only a retry has outcomes to wait for: leave the trial and the stop rule out."))
    if canary < 0 or canary > 1000:
        raise NotAllowed(_("Try from 1 to 1000 messages first."))
    if stop_percent is not None and not 0 <= stop_percent < 100:
        raise NotAllowed(_("The stop rule is from 0 to 99 percent."))


def _needs_approval(operation: BulkOperation, messages: int, worth: Mapping[str, Decimal]) -> bool:
    limit = conf().bulk_approval_above
    return operation.verb == BulkVerb.DISCARD or 0 < limit < messages or is_worth_more(worth)
