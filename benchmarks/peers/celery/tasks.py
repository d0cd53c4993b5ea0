"""The work as a Celery task."""

from typing import Any

from django.db import transaction

from benchmarks.peers.celery.project import app
from benchmarks.peers.work.models import Award


@app.task(name="work.issue")
def issue(payload: dict[str, Any]) -> None:
    """Issue the award in a transaction."""
    with transaction.atomic():
        Award.objects.filter(pk=payload["award"]).issue()
