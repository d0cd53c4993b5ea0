"""The Celery tasks: deliver a hint, and the maintenance jobs that beat calls."""

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any

from celery import Task, shared_task

from outbox import registry
from outbox.books import running as books
from outbox.broker.queues import DELIVER_TASK, queue_name
from outbox.bulk import running, telling
from outbox.bulk.runner import runner
from outbox.delivery import chunks, sessions
from outbox.delivery.wide import hints
from outbox.external import heartbeats
from outbox.external.halves import running as halves
from outbox.maintenance import chain, pruning, rescan, rollup, schedule
from outbox.maintenance.schedule import (
    ALERT_TASK,
    AUDIT_TASK,
    BOOKS_TASK,
    BULK_TASK,
    HALVES_TASK,
    PRUNE_TASK,
    RESCAN_TASK,
    ROLL_UP_TASK,
    SEQUENCES_TASK,
)
from outbox.models.row_ids import BIGGEST_ID
from outbox.monitoring import alerts, causes
from outbox.policy import ZERO
from outbox.rehearsal import background

log = logging.getLogger("outbox.tasks")

HINT_LENGTH = 10_000
START_TAKES = 20.0
"""Seconds within which beat, started together with this process, may call its first chores."""
STARTED_AT = monotonic()
"""Of the children of a pool it is when their parent was started."""


class MaintenanceTask(Task):  # type: ignore[type-arg]  # generic for the type checker only
    """A task for the control worker, unless its caller (or its row in beat's table) names another queue."""

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:  # type: ignore[override]
        """Send the task as Celery does, to the control queue."""
        return super().apply_async(args, kwargs, **{"queue": queue_name("control"), **options})


@shared_task(name=DELIVER_TASK, bind=True, acks_late=True, reject_on_worker_lost=True, ignore_result=True)
def run_deliver(self: Task, consumer: str, ids: list[int]) -> None:  # type: ignore[type-arg]  # as above
    """Deliver the rows a hint names. A hint that is no hint is dropped with a log line; the table has the work."""
    if not _is_hint(consumer, ids):
        log.error("dropped what is no hint: %.200r for %.200r", ids, consumer)
        return
    entry = registry.get(consumer)
    if entry is not None and entry.wide and not self.request.is_eager:
        hints.deliver(entry, ids)
    else:
        chunks.deliver(consumer, ids)


@shared_task(name=RESCAN_TASK, base=MaintenanceTask, ignore_result=True)
def run_rescan() -> None:
    """Make one pass of the rescan; celery-beat calls this every second."""
    with sessions.in_known_state(), causes.noting_failure():
        rescan.rescan()


@shared_task(name=PRUNE_TASK, base=MaintenanceTask, ignore_result=True)
def run_prune() -> None:
    """Delete finished messages that are old enough; celery-beat calls this every ten seconds."""
    with sessions.in_known_state():
        pruning.prune()


@shared_task(name=ROLL_UP_TASK, base=MaintenanceTask, ignore_result=True)
def run_roll_up() -> None:
    """Count the last minutes for charts and metrics; celery-beat calls this every minute."""
    with sessions.in_known_state():
        rollup.roll_up()


@shared_task(name=ALERT_TASK, base=MaintenanceTask, ignore_result=True)
def run_alerts() -> None:
    """Send alerts on what is newly wrong, and on what is over; celery-beat calls this every 30 s."""
    with sessions.in_known_state():
        alerts.watch()
        telling.tell()


@shared_task(name=BULK_TASK, bind=True, base=MaintenanceTask, ignore_result=True)
def run_bulk(self: Task) -> None:  # type: ignore[type-arg]  # as above
    """See to it that bulk operations and rehearsals go on; celery-beat calls this every second."""
    with sessions.in_known_state():
        if self.request.called_directly or self.request.is_eager:
            running.go_on()
        else:
            runner.see_to_it()
        background.go_on()


@shared_task(name=HALVES_TASK, base=MaintenanceTask, ignore_result=True)
def run_check_back() -> None:
    """Ask the checks of the half messages that are due; celery-beat calls this every second."""
    with sessions.in_known_state():
        halves.go_on()


@shared_task(name=AUDIT_TASK, base=MaintenanceTask, ignore_result=True)
def run_audit_check() -> None:
    """Check the next part of the audit's chain, if it is due; celery-beat calls this every ten seconds."""
    with sessions.in_known_state():
        chain.check()


@shared_task(name=BOOKS_TASK, base=MaintenanceTask, ignore_result=True)
def run_books() -> None:
    """Read the books that are due; celery-beat calls this every minute."""
    with sessions.in_known_state():
        books.go_on()


@shared_task(name=SEQUENCES_TASK, base=MaintenanceTask, ignore_result=True)
def run_sequences() -> None:
    """Tell the receivers of numbered streams how far they are; celery-beat calls this every five seconds."""
    with sessions.in_known_state():
        heartbeats.go_on()


def run_overdue_jobs() -> None:
    """Do what beat has not had done for too long. Runs in a worker's pool and must not take it down."""
    # The alerts come early: when the control worker is gone, somebody must say so.
    _take_over("rescan", _rescan_for_beat)
    _take_over("alerts", _watch_for_beat)
    _take_over("bulk", running.go_on_if_overdue)
    _take_over("rehearsal", background.go_on_if_overdue)
    _take_over("half messages", halves.go_on_if_overdue)
    _take_over("rollup", rollup.roll_up_if_overdue)
    _take_over("prune", pruning.prune_if_overdue)
    _take_over("audit", chain.check_if_overdue)
    _take_over("books", books.go_on_if_overdue)
    _take_over("sequences", heartbeats.go_on_if_overdue)


def _rescan_for_beat() -> bool:
    with causes.noting_failure():
        overdue = rescan.rescan_if_overdue()
    if overdue:
        schedule.wake_beat()
    return overdue


def _watch_for_beat() -> bool:
    if not alerts.watch_if_overdue():
        return False
    telling.tell()
    return True


def _take_over(name: str, do_if_overdue: Callable[[], bool]) -> None:
    try:
        with sessions.in_known_state():
            if do_if_overdue() and monotonic() - STARTED_AT > START_TAKES:
                because = causes.sentence(causes.look(ZERO))
                log.info("the chore %s was overdue and was done by a worker: %s", name, because)
    except Exception:
        # The worker has other work to do, and this one comes round again in a moment.
        log.exception("covering for the chore %s", name)


def _is_hint(consumer: Any, ids: Any) -> bool:
    return (
        isinstance(consumer, str)
        and isinstance(ids, list)
        and len(ids) <= HINT_LENGTH
        and all(type(id) is int and 0 < id <= BIGGEST_ID for id in ids)
    )
