"""How messages are handed to Celery alone: ``delay`` once the caller's transaction has committed."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import transaction

from benchmarks.peers.celery_outside.tasks import order

TABLES = ()


def send_many(payloads: Sequence[dict[str, Any]]) -> None:
    """Send the messages of many awards after commit; Celery has nothing for many."""
    for payload in payloads:
        transaction.on_commit(partial(order.delay, payload))
