"""How messages are handed to Celery alone: ``delay`` once the caller's transaction has committed."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import transaction

from benchmarks.peers.celery.tasks import issue

TABLES = ()


def send(payload: dict[str, Any]) -> None:
    """Send one award's message after commit."""
    transaction.on_commit(partial(issue.delay, payload))


def send_many(payloads: Sequence[dict[str, Any]]) -> None:
    """Send the messages of many awards after commit; Celery has nothing for many."""
    for payload in payloads:
        send(payload)
