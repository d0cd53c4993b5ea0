"""The work as a procrastinate task, and the call to the vendor as an asynchronous one."""

from typing import Any

from django.db import transaction
from procrastinate.contrib.django import app

from benchmarks.peers.ordering import order_async
from benchmarks.peers.work.models import Award


@app.task(name="work.issue")
def issue(payload: dict[str, Any]) -> None:
    """Issue the award in a transaction."""
    with transaction.atomic():
        Award.objects.filter(pk=payload["award"]).issue()


@app.task(name="work.order")
async def order(payload: dict[str, Any]) -> None:
    """Call the vendor."""
    await order_async(payload)
