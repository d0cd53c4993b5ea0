"""A worker told to stop waits for what its processes were handed last; Celery alone may stop half a minute late.

Celery forgets a job that a process was handed and has not begun by its word, and reads that process no more. The
process does the job, and waits up to 30 s for its result to be read (billiard's pull request 279, Celery's 6863). So a
stop took 31 s whenever the signal came between the two, and whoever gives a worker 30 s killed it.
"""

import logging
from time import monotonic
from typing import Any

from celery import bootsteps

log = logging.getLogger("outbox.worker")

BEGUN_WITHIN = 5.0
"""Seconds that a process has to begin; it takes a millisecond, unless the process is frozen."""


class HandedJobsStep(bootsteps.StartStopStep):
    """Has a job that was handed to a process begun before Celery sorts out which jobs are; those it waits for."""

    requires = ("celery.worker.components:Pool",)

    def close(self, worker: Any) -> None:
        """Read what the processes say until each has begun what it was handed. No job is handed to them any more."""
        if not (worker.pool.uses_semaphore and worker.pool.flush):  # no other pool forgets jobs
            return
        pool = worker.pool._pool
        deadline = monotonic() + BEGUN_WITHIN
        while handed := [job for job in list(pool._cache.values()) if is_handed(job)]:
            if monotonic() > deadline:
                log.warning("%d jobs were not begun within %g s; the worker may stop late", len(handed), BEGUN_WITHIN)
                return
            for process in {job._write_to for job in handed}:
                pool.process_flush_queues(process)  # waits for 10 ms where there is nothing to read


def is_handed(job: Any) -> bool:
    """Tell whether a process that lives was handed a job, and has not said yet that it has begun."""
    return job._write_to is not None and not job._accepted and job._write_to._is_alive()
