"""The call as a Celery task."""

from typing import Any

from benchmarks.peers import ordering
from benchmarks.peers.celery_outside.project import app


@app.task(name="work.order")
def order(payload: dict[str, Any]) -> None:
    """Call the vendor."""
    ordering.order(payload)
