"""The work as a procrastinate task."""

from typing import Any

from django.db import transaction
from procrastinate.contrib.django import app

from benchmarks.peers.work.models import Award


@app.task(name="work.issue")
def issue(payload: dict[str, Any]) -> None:
    """Issue the award in a transaction."""
    with transaction.atomic():
        Award.objects.filter(pk=payload["award"]).issue()
