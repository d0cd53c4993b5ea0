"""Telling the project what the machine has closed: by a message, published in the transaction that closes."""

from collections.abc import Collection

from django.db.models import Q
from django.db.models.functions import Now

from outbox import registry
from outbox.broker import dispatcher, receipts
from outbox.models import Message, Resolution, Status

ENDED = Q(status=Status.FAILED) & (Q(exhausted_at__isnull=False) | Q(resolution=Resolution.OVERDUE))


def publish_ends(consumer: str, ids: Collection[int]) -> None:
    """Publish for ``on_exhausted`` of ``consumer`` which of these messages the machine has just closed, if it is given.

    Each end is one message, however often this is called: an operator's retry moves the revision in its key.
    """
    receipts.publish_receipts_of(ids)
    teller = registry.teller_of(consumer)
    if teller is None or not ids:
        return
    ended = Message.objects.filter(ENDED, pk__in=ids).order_by("pk").values_list("pk", "revision")
    told = [
        Message(
            topic=teller.pattern,
            consumer=teller.name,
            key=f"{pk}.{revision}",
            payload={"message": pk, "revision": revision},
            attempt_limit=teller.retry.limit,
            created_at=Now(),
            not_before=Now(),
            due_at=Now(),
            expires_at=Now() + teller.deadline,
        )
        for pk, revision in ended
    ]
    if told:
        Message.objects.bulk_create(told, ignore_conflicts=True)
        dispatcher.dispatch_on_commit({teller.name: []})
