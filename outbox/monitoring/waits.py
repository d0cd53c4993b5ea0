"""Why what has waited for long waits, where workers are there: what it said when it was tried last."""

from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Exists
from django.db.models.functions import Now

from outbox.models import Message, Status
from outbox.models.queryset import MessageQuerySet

UNTAKEN = timedelta(minutes=1)
"""How long a message may be due and not started before it looks as if nobody takes it."""


def tried_next(consumers: Sequence[str]) -> list[MessageQuerySet]:
    """Return for each consumer the message that is tried next, if it has said something when it was tried last.

    Nothing is told of a consumer with a message that nobody takes: there a worker is missing, or has too much to do.
    """
    found = []
    for name in consumers:
        pending = Message.objects.filter(consumer=name).unfinished().filter(status=Status.PENDING)
        untaken = pending.filter(due_at__lt=Now() - UNTAKEN)
        again = pending.filter(~Exists(untaken), attempts__gt=0, not_before__gt=Now()).exclude(last_error="")
        found.append(Message.objects.filter(pk__in=again.order_by("due_at", "id").values("pk")[:1]))
    return found
