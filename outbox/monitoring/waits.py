"""Why what has waited for long waits, where workers are there: what it said when it was tried last."""

from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Exists
from django.db.models.functions import Now

from outbox.models import Message, Status
from outbox.models.said import in_short
from outbox.models.sql.beside import read_beside

UNTAKEN = timedelta(minutes=1)
"""How long a message may be due and not started before it looks as if nobody takes it."""


def read_said(consumers: Sequence[str]) -> dict[str, str]:
    """Return what the message said last time that is tried next, by consumer.

    Nothing is told of a consumer with a message that nobody takes: there a worker is missing, or has too much to do.
    """
    selects = []
    for name in consumers:
        pending = Message.objects.filter(consumer=name).unfinished().filter(status=Status.PENDING)
        untaken = pending.filter(due_at__lt=Now() - UNTAKEN)
        again = pending.filter(~Exists(untaken), attempts__gt=0, not_before__gt=Now()).exclude(last_error="")
        selects.append(again.order_by("due_at", "id").values("consumer", "last_error")[:1])
    return {name: in_short(error) for name, error in read_beside(selects)}
