"""Which message is tried next of what has waited for long, if its consumer was not ready for it."""

from collections.abc import Sequence
from datetime import timedelta
from functools import reduce
from operator import or_

from django.db.models import Exists, Q
from django.db.models.functions import Now

from outbox.models import Message, Status
from outbox.models.queryset import MessageQuerySet
from outbox.models.said import SIGNALS

UNTAKEN = timedelta(minutes=1)
"""How long a message may be due and not started before it looks as if nobody takes it."""
NOT_READY = reduce(or_, (Q(last_error__startswith=signal) for signal in SIGNALS))


def tried_next(consumers: Sequence[str]) -> list[MessageQuerySet]:
    """Return for each consumer the message that is tried next, if its consumer was not ready when it was tried last.

    Nothing is told of a consumer with a message that nobody takes: there a worker is missing, or has too much to do.
    What the consumer has said may name a person, and stays on the message's page: findings are logged and mailed.
    """
    found = []
    for name in consumers:
        pending = Message.objects.filter(consumer=name).unfinished().filter(status=Status.PENDING)
        untaken = pending.filter(due_at__lt=Now() - UNTAKEN)
        again = pending.filter(~Exists(untaken), NOT_READY, attempts__gt=0, not_before__gt=Now())
        found.append(Message.objects.filter(pk__in=again.order_by("due_at", "id").values("pk")[:1]))
    return found
