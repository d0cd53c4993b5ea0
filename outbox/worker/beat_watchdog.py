"""What a worker does beside its tasks: it notices when beat is dead, and has the chores done by its own pool."""

from time import monotonic
from typing import Any

from celery import bootsteps

from outbox.tasks import run_overdue_jobs

LOOK_EVERY = 2.0
"""Seconds between two looks, which take one small query for each chore."""
ANSWER_TIMEOUT = 60.0
"""Seconds after which an answer from the pool is not waited for any more (its process was killed)."""


class BeatWatchdog(bootsteps.StartStopStep):
    """Has the pool look every two seconds whether a chore is overdue; the main process touches no database."""

    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._entry: Any = None
        self._asked_at: float | None = None

    def start(self, worker: Any) -> None:
        """Begin to look."""
        self._entry = worker.timer.call_repeatedly(LOOK_EVERY, self._look, (worker,))

    def stop(self, worker: Any) -> None:  # noqa: ARG002  # Celery's signature
        """Stop looking, before the pool goes away."""
        if self._entry is not None:
            self._entry.cancel()
            self._entry = None

    def _look(self, worker: Any) -> None:
        if self._asked_at is not None and monotonic() - self._asked_at < ANSWER_TIMEOUT:
            return
        self._asked_at = monotonic()
        worker.pool.apply_async(run_overdue_jobs, callback=self._answered, error_callback=self._answered)

    def _answered(self, _result: Any) -> None:
        self._asked_at = None
