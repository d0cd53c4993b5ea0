"""From one state of an operation to the next: what goes with each, and the entry in the audit."""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox import audit
from outbox.conf import conf
from outbox.errors import NotAllowed
from outbox.models import BulkConsumer, BulkOperation, ConsumerState
from outbox.models.bulk import ACTIVE, ENDED, BulkState, BulkVerb, StoppedBecause
from outbox.operate.actions import BULK_STATE

TOLD_OF = (BulkState.WAITING, BulkState.STOPPED, BulkState.DONE, BulkState.CANCELLED)
"""States that people are told of."""


def entering(state: BulkState) -> dict[str, Any]:
    """Return the columns that change with every change to ``state``."""
    return {
        "state": state,
        "changed_at": Now(),
        "told": state not in TOLD_OF,
        **({"ended_at": Now()} if state in ENDED else {}),
    }


def move(operation: BulkOperation, state: BulkState, **changes: Any) -> None:
    """Let the engine itself change the state of an operation whose row the caller has locked."""
    before = operation.state
    BulkOperation.objects.filter(pk=operation.pk).update(**entering(state), **changes)
    after = {"state": state.value, **{name: value for name, value in changes.items() if isinstance(value, str)}}
    audit.append(
        actor=audit.ENGINE,
        origin="",
        action=BULK_STATE,
        subject=str(operation),
        message_id=None,
        before={"state": before},
        after=after,
        reason="",
    )
    # Behind the audit, whose turn others may have that wait for these rows.
    hold_consumers(operation, state)


def change_if_due(operation: BulkOperation) -> bool:
    """Let an operation whose row is locked go into another state if that is due; tell whether it was."""
    held = held_consumer(operation) if operation.remaining else ""
    if held:
        if operation.state == BulkState.SUSPENDED and operation.held_by == held:
            return False
        move(operation, BulkState.SUSPENDED, held_by=held)
        return True
    if operation.state == BulkState.SUSPENDED:
        move(operation, BulkState.CANARY if operation.is_trying else BulkState.RUNNING, held_by="")
        return True
    if not operation.remaining and not operation.awaited:
        move(operation, BulkState.DONE)
        return True
    if _has_failed_too_often(operation):
        move(operation, BulkState.STOPPED, stopped_because=StoppedBecause.FAILURES.value)
        return True
    return operation.state == BulkState.CANARY and _end_trial(operation)


def _has_failed_too_often(operation: BulkOperation) -> bool:
    if operation.stop_percent is None or operation.is_trying or not operation.remaining:
        return False
    failed = operation.failed_again - operation.failed_before
    return 100 * failed > operation.stop_percent * (operation.done - operation.done_before)


def _end_trial(operation: BulkOperation) -> bool:
    """Go on to the rest if every message of the trial has succeeded, stop if one has not; tell whether it is over."""
    if operation.verb == BulkVerb.EDIT and operation.refused >= operation.canary_size:
        move(operation, BulkState.STOPPED, stopped_because=StoppedBecause.CANARY.value)
        return True
    if operation.awaited or (operation.remaining and operation.done < operation.canary_size):
        return False
    if operation.succeeded < operation.done or not operation.done:
        move(operation, BulkState.STOPPED, stopped_because=StoppedBecause.CANARY.value)
    else:
        move(operation, BulkState.RUNNING, canary_passed_at=Now())
    return True


def hold_consumers(operation: BulkOperation, state: BulkState) -> None:
    """Take the operation's consumers for it alone, or let them go; ``NotAllowed`` if another operation has one."""
    ours = BulkConsumer.objects.filter(operation=operation)
    if state not in ACTIVE:
        ours.filter(runs=True).update(runs=False)
        return
    try:
        with transaction.atomic(using=conf().database):
            ours.filter(runs=False).update(runs=True)
    except IntegrityError as error:
        raise NotAllowed(_taken(operation)) from error


def held_consumer(operation: BulkOperation) -> str:
    """Return a consumer that the operation must wait for, as it is paused or its breaker is open; empty if none is.

    What closes or reopens messages starts none, and waits for nobody.
    """
    if not operation.retries:
        return ""
    names = BulkConsumer.objects.filter(operation=operation).values("consumer")
    states = ConsumerState.objects.filter(consumer__in=names)
    held = (states.paused() | states.open()).order_by("consumer").values_list("consumer", flat=True)
    return held.first() or ""


def first_state(operation: BulkOperation, *, trying: bool) -> tuple[BulkState, str]:
    """Return the state in which an operation is let go, and the consumer that it must wait for."""
    if held := held_consumer(operation):
        return BulkState.SUSPENDED, held
    return (BulkState.CANARY if trying else BulkState.RUNNING), ""


def _taken(operation: BulkOperation) -> str:
    names = BulkConsumer.objects.filter(operation=operation).values("consumer")
    others = BulkConsumer.objects.filter(consumer__in=names, runs=True).exclude(operation=operation)
    other = others.select_related("operation").order_by("operation").first()
    if other is None:
        return _("Another bulk operation has just had one of its consumers. Try again.")
    return _(
        "Bulk operation %(id)d by %(actor)s is at work on %(consumer)s, and only one is at a time. Wait for it, pause "
        "it, or cancel it."
    ) % {"id": other.operation_id, "actor": other.operation.started_by, "consumer": other.consumer}
