"""How messages are handed to django-celery-outbox: ``delay`` in the transaction, which writes a row."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from benchmarks.peers.django_celery_outbox.tasks import issue

TABLES = ("celery_outbox", "celery_outbox_dead_letter")


def send(payload: dict[str, Any]) -> None:
    """Write the row of one award in the caller's transaction."""
    issue.delay(payload)


def send_many(payloads: Sequence[dict[str, Any]]) -> None:
    """Write the rows of many awards; the package has nothing for many."""
    for payload in payloads:
        send(payload)


def count_unsent() -> int:
    """Return how many rows the relay has not handed to the broker yet; it deletes those that are confirmed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM celery_outbox")
        return int(cursor.fetchone()[0])
