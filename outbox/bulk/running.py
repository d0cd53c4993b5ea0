"""The chore: go on with every operation that runs, a little of each in turn, and see what became of the retried.

A thread of the control worker does it, one pass after another; workers do it if nobody else does. Any number of them
may be at it: one at a time goes on with an operation, whose row it locks for the length of a chunk.
"""

import logging
from datetime import timedelta
from time import monotonic, sleep

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from outbox.bulk import chunks, outcomes
from outbox.bulk.chunks import Step
from outbox.bulk.progress import HEARTBEAT
from outbox.models import BulkOperation, Heartbeat
from outbox.models.bulk import ACTIVE, RETRIES, BulkState
from outbox.monitoring.planned import must_take_over

log = logging.getLogger("outbox.bulk")

TAKEOVER = "bulk by a worker"
OVERDUE = timedelta(seconds=5)
"""Age of the last pass at which workers go on with operations themselves."""
BUDGET = timedelta(seconds=0.6)
"""How long one pass goes on. Between two it is looked what operations there are."""
COVER_BUDGET = timedelta(seconds=1)
"""The same for a worker that takes over, which looks every two seconds: it keeps up half of a rate."""
A_MOMENT = 0.02
"""Seconds to wait where every operation has to."""
LOOK_EVERY = 0.1
"""Seconds between two looks for the outcomes of one operation, which cost as much as a chunk."""
OUTCOMES_AWAITED = timedelta(days=1)
"""How long after its end it is looked what became of what a cancelled operation has retried."""


def go_on(*, budget: timedelta = BUDGET) -> int:
    """Go on with the operations for about ``budget``; return how many there are. One query if none is."""
    until = monotonic() + budget.total_seconds()
    running = _find_operations()
    if not running:
        return 0
    turns = dict(running)
    looked_at: dict[int, float] = {}
    while turns and monotonic() < until:
        steps = {id: _take_turn(id, looked_at, active=active) for id, active in turns.items()}
        turns = {id: turns[id] for id, step in steps.items() if step is not Step.REST}
        if turns and not any(steps[id] is Step.MORE for id in turns):
            sleep(A_MOMENT)
    Heartbeat.objects.record(HEARTBEAT, operations=len(running))
    return len(running)


def are_there_any() -> bool:
    """Tell whether a pass would have anything to do."""
    return _operations().exists()


def go_on_if_overdue() -> bool:
    """Go on if there is an operation and nobody has for five seconds; tell whether it was us."""
    if not BulkOperation.objects.active().exists() or not must_take_over(HEARTBEAT, after=OVERDUE, turn=TAKEOVER):
        return False
    go_on(budget=COVER_BUDGET)
    return True


def _find_operations() -> list[tuple[int, bool]]:
    """Return the operations to go on with, oldest first, and of each whether more than its outcomes is left."""
    return [(id, state in ACTIVE) for id, state in _operations().order_by("pk").values_list("pk", "state")]


def _operations() -> QuerySet[BulkOperation]:
    known = F("succeeded") + F("failed_again") + F("not_ready") + F("overtaken")
    held_up = Q(state__in=[BulkState.PAUSED, BulkState.STOPPED])
    over = Q(state=BulkState.CANCELLED, ended_at__gt=Now() - OUTCOMES_AWAITED)
    awaited = Q(held_up | over, verb__in=RETRIES, done__gt=known)
    return BulkOperation.objects.filter(Q(state__in=ACTIVE) | awaited)


def _take_turn(operation_id: int, looked_at: dict[int, float], *, active: bool) -> Step:
    """See what came of an operation, then do a chunk of it. What goes wrong with one is noted, and the others go on."""
    try:
        if monotonic() - looked_at.get(operation_id, float("-inf")) > LOOK_EVERY:
            looked_at[operation_id] = monotonic()
            outcomes.watch(operation_id)
        return chunks.advance(operation_id) if active else Step.REST
    except Exception:
        # Whatever it is, it is no reason to leave the other operations; this one is tried again in the next pass.
        log.exception("bulk operation %d could not go on", operation_id)
        return Step.REST
