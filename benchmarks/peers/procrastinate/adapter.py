"""How messages are handed to procrastinate: ``defer`` on Django's connection, in the caller's transaction."""

import os
from collections.abc import Sequence
from typing import Any

from benchmarks.peers.procrastinate.tasks import issue, order

TABLES = ("procrastinate_jobs", "procrastinate_events")
task = order if os.environ.get("BENCH_OUTSIDE") else issue


def send(payload: dict[str, Any]) -> None:
    """Write the job of one award in the caller's transaction."""
    task.defer(payload=payload)


def send_many(payloads: Sequence[dict[str, Any]]) -> None:
    """Write the jobs of many awards in the caller's transaction."""
    task.batch_defer(*({"payload": payload} for payload in payloads))
