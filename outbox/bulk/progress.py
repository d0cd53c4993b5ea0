"""How far an operation has come: what is left, when it may be over, and what it waits for, in figures and in words."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from outbox.models import BulkOperation, Heartbeat
from outbox.models.bulk import ACTIVE, BulkState, StoppedBecause
from outbox.operate import why_held_back

HEARTBEAT = "bulk"
"""Under which name it is noted that workers went on with operations."""
NOBODY_AFTER = timedelta(seconds=15)
"""How long nobody has gone on with operations when it is said that nobody does."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The figures of one operation. ``percent`` is of what is to do; ``eta_seconds`` None if nobody can tell."""

    todo: int
    done: int
    refused: int
    remaining: int
    awaited: int
    percent: int
    per_second: float | None
    eta_seconds: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON can carry them."""
        return asdict(self)


def measure(operation: BulkOperation, *, now: datetime) -> Progress:
    """Return how far the operation has come; ``now`` is the database's time, or near it."""
    todo = operation.total - operation.left_out
    had_turn = operation.done + operation.refused
    per_second = _per_second(operation, had_turn, now)
    runs = operation.state in (BulkState.CANARY, BulkState.RUNNING)
    return Progress(
        todo=todo,
        done=operation.done,
        refused=operation.refused,
        remaining=operation.remaining,
        awaited=operation.awaited,
        percent=100 * had_turn // todo if todo else 100,
        per_second=per_second,
        eta_seconds=operation.remaining / per_second if runs and per_second and operation.remaining else None,
    )


def _per_second(operation: BulkOperation, had_turn: int, now: datetime) -> float | None:
    """Return how fast it gets on: as measured since it was started, no faster than its rate."""
    if operation.started_at is None or not had_turn:
        return float(operation.rate) if operation.rate else None
    elapsed = max(((operation.ended_at or now) - (operation.approved_at or operation.started_at)).total_seconds(), 0.1)
    measured = had_turn / elapsed
    return min(measured, operation.rate) if operation.rate else measured


def waits_for(operation: BulkOperation) -> str:
    """Return what the operation waits for, in words; empty if it gets on or is over."""
    match operation.state:
        case BulkState.WAITING:
            return _("It waits for a second person to approve it: anybody but %(actor)s who may.") % {
                "actor": operation.started_by
            }
        case BulkState.SUSPENDED:
            return why_held_back(operation.held_by) or _("It goes on in a moment: %(consumer)s flows again.") % {
                "consumer": operation.held_by
            }
        case BulkState.PAUSED:
            return _("It is paused: it goes on when somebody lets it.")
        case BulkState.STOPPED:
            return _why_stopped(operation)
    if operation.state in ACTIVE and not Heartbeat.objects.ran_within(HEARTBEAT, NOBODY_AFTER):
        return _("No worker goes on with bulk operations: start workers, and look at Operations for the cause.")
    if operation.state == BulkState.CANARY and operation.awaited:
        return _("It waits for the outcome of the trial: %(count)d are not done.") % {"count": operation.awaited}
    if operation.state == BulkState.RUNNING and operation.awaited and not operation.remaining:
        return _("All had their turn; it waits for the outcome of %(count)d.") % {"count": operation.awaited}
    return ""


def _why_stopped(operation: BulkOperation) -> str:
    if operation.stopped_because == StoppedBecause.CANARY:
        return _("It stopped: of the %(tried)d tried first, %(succeeded)d succeeded. Look at those, then decide.") % {
            "tried": operation.done,
            "succeeded": operation.succeeded,
        }
    return _("It stopped: more than %(percent)d %% failed again (%(failed)d of %(done)d).") % {
        "percent": operation.stop_percent or 0,
        "failed": operation.failed_again - operation.failed_before,
        "done": operation.done - operation.done_before,
    }
