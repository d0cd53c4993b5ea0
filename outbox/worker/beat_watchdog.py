"""What a worker does beside its tasks: it notices when beat is dead, and has the chores done by its own pool.

While the broker is away, no task comes and Celery's main process runs no timers: it waits for a connection. So a thread
of each process that makes calls looks as well, less often. Whoever is to be told that the broker is away is told then.
"""

import logging
import random
import threading
from time import monotonic, sleep
from typing import Any

from celery import bootsteps
from django.db import connections

from outbox.delivery.wide.hints import in_greenlets
from outbox.tasks import run_overdue_jobs
from outbox.worker.broker_watch import watch_the_broker

log = logging.getLogger("outbox.tasks")

LOOK_EVERY = 2.0
"""Seconds between two looks, which take one small query for each chore."""
THREAD_LOOKS_EVERY = 10.0
"""Seconds between two looks of the thread of one process, give or take a fifth; its session ends with each look."""
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
        """Begin to look. A pool of processes has each of its own look; here it would touch the database."""
        if not worker.pool.uses_semaphore:  # as only a pool of processes does
            watch_in_a_thread()
            watch_the_broker()
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


_thread: threading.Thread | None = None


def watch_in_a_thread() -> None:
    """Look from a thread of this process from now on. In greenlets nobody needs it: there timers go on."""
    global _thread
    if _thread is None and not in_greenlets():
        _thread = threading.Thread(target=_watch, name="outbox.watchdog", daemon=True)
        _thread.start()


def _watch() -> None:
    while True:
        sleep(THREAD_LOOKS_EVERY * random.uniform(0.8, 1.2))  # noqa: S311  # so that processes do not look at once
        try:
            run_overdue_jobs()
        except Exception:
            # The thread must go on: nobody else would look while the broker is away.
            log.exception("looking for overdue chores")
        finally:
            connections.close_all()
