"""How messages are handed to procrastinate: ``defer`` on Django's connection, in the caller's transaction."""

from collections.abc import Sequence
from typing import Any

from benchmarks.peers.procrastinate.tasks import issue

TABLES = ("procrastinate_jobs", "procrastinate_events")


def send(payload: dict[str, Any]) -> None:
    """Write the job of one award in the caller's transaction."""
    issue.defer(payload=payload)


def send_many(payloads: Sequence[dict[str, Any]]) -> None:
    """Write the jobs of many awards in the caller's transaction."""
    issue.batch_defer(*({"payload": payload} for payload in payloads))
