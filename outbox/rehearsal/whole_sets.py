"""Rehearsals of frozen sets, as operators begin and stop them; workers go on with them in the background."""

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox.conf import conf
from outbox.errors import Conflict, NotAllowed
from outbox.models import BulkItem, BulkOperation, BulkRehearsal, Message
from outbox.models.bulk import ACTIVE, ENDED
from outbox.models.rehearsal import RehearsalState, RehearsalStop
from outbox.models.said import storable
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.operator_action import Actor, OperatorAction
from outbox.operate.patch import Patch
from outbox.operate.rehearsals import note_rehearsal
from outbox.rehearsal import run
from outbox.rehearsal.possible import is_promised
from outbox.rehearsal.results import Summary, count_all


@noted_if_refused(Action.REHEARSE, name="bulk operation {}".format)
def start(operation_id: int, *, actor: Actor, origin: str = "") -> BulkRehearsal:
    """Have workers rehearse every message of an operation's set that waits for its turn: call it, and roll back.

    Messages whose consumers are not ``rehearsable=True`` are left out. Raises

    - ``NotAllowed`` without the permission, if the operation is under way, and if nothing is left to rehearse;
    - ``Conflict`` if the operation is being rehearsed already, or is gone;
    - ``NotRehearsable`` if this installation can rehearse nothing: it is not on PostgreSQL.
    """
    action = OperatorAction(Action.REHEARSE, actor, "", origin)
    action.check()
    operation = BulkOperation.objects.filter(pk=operation_id).first()
    if operation is None:
        raise Conflict(_("The operation is no longer there."))
    if refusal := why_not(operation):
        raise NotAllowed(refusal)
    consumers = rehearsable_of(operation)
    for consumer in consumers:
        run.rehearsable(consumer)
    items = BulkItem.objects.of(operation).todo().filter(message__consumer__in=consumers)
    if not consumers or not (total := items.count()):
        raise NotAllowed(_("Nothing of this set can be rehearsed."))
    rehearsal = BulkRehearsal(
        operation=operation,
        started_by=action.actor_name,
        origin=origin[:100],
        consumers=consumers,
        total=total,
        position=operation.first_item - 1,
    )
    try:
        with transaction.atomic(using=conf().database):
            rehearsal.save(force_insert=True, using=conf().database)
    except IntegrityError as error:
        raise Conflict(_("It is being rehearsed already.")) from error
    return rehearsal


@noted_if_refused(Action.REHEARSE, name="rehearsal {}".format)
def stop(rehearsal_id: int, *, actor: Actor, origin: str = "") -> BulkRehearsal:
    """Stop a rehearsal; what it has found until then is kept. Raises ``Conflict`` if it is over."""
    action = OperatorAction(Action.REHEARSE, actor, "", origin)
    action.check()
    with transaction.atomic(using=conf().database):
        rows = BulkRehearsal.objects.going_on().filter(pk=rehearsal_id).select_related("operation")
        rehearsal = rows.select_for_update(no_key=True, of=("self",)).first()
        if rehearsal is None:
            raise Conflict(_("The rehearsal is over."))
        end(rehearsal, RehearsalState.STOPPED, stopped_by=action.actor_name)
    return rehearsal


def end(
    rehearsal: BulkRehearsal,
    state: RehearsalState,
    *,
    stopped_by: str = "",
    because: RehearsalStop | None = None,
    error: str = "",
) -> None:
    """End a rehearsal whose row is locked, and note in the audit who began it, of what, and what it came to.

    ``stopped_by`` or ``because`` says why it was stopped, ``error`` why it could not be rehearsed.
    """
    error = storable(error)
    rehearsal.state, rehearsal.stopped_by, rehearsal.error = state, stopped_by, error
    BulkRehearsal.objects.filter(pk=rehearsal.pk).update(
        state=state,
        stopped_by=stopped_by,
        stopped_because=because or "",
        error=error,
        ended_at=Now(),
        holder="",
    )
    summaries = [Summary.from_json(found) for found in rehearsal.results.values()]
    patch = rehearsal.operation.patch
    note_rehearsal(
        str(rehearsal.operation),
        counts={outcome.value: many for outcome, many in count_all(summaries).items()},
        kinds=sum(len(summary.groups) for summary in summaries),
        actor=rehearsal.started_by,
        origin=rehearsal.origin,
        changed_keys=Patch.from_json(patch).paths if patch else (),
        how=f"stopped by {stopped_by}" if stopped_by else because.value if because else error.partition("\n")[0],
    )


def has_changed(rehearsal: BulkRehearsal) -> bool:
    """Tell whether somebody has acted on a message of the set that still waits for its turn, or removed it."""
    as_frozen = Message.objects.exhausted().filter(pk=OuterRef("message_id"), revision=OuterRef("revision"))
    items = BulkItem.objects.of(rehearsal.operation).todo()
    return items.filter(~Exists(as_frozen)).exists()


def why_not(operation: BulkOperation) -> str:
    """Return why the operation's state does not permit a rehearsal, in words; empty if it does."""
    if not operation.retries:
        return _("Only what is retried can be rehearsed.")
    if operation.state in ACTIVE:
        return _("The operation is under way. Pause it to rehearse what is left.")
    if operation.state in ENDED or not operation.remaining:
        return _("Nothing of the set waits for its turn.")
    return ""


def rehearsable_of(operation: BulkOperation) -> list[str]:
    """Return the consumers of the set whose authors have promised that they can be rehearsed."""
    return [name for name in sorted(operation.preview.get("consumers", {})) if is_promised(name)]
