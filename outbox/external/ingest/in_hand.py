"""Which message a receiver ends over: what is redelivered is written down before it is taken up, alone.

A receiver that was killed leaves its note. A message that several have ended over is called by none any more, or it
would end each that comes after, for ever.
"""

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.models import InHand

ENDED_OVER = 3
"""Receivers that a message may end before it goes into quarantine."""


def take_up(id: UUID, mine: Collection[UUID]) -> bool:
    """Write down that a message is taken up alone; False if too many receivers have ended over it.

    ``mine`` are those that this receiver has written down before, and has not ended over.
    """
    with transaction.atomic(using=conf().database):
        noted = InHand.objects.filter(pk=id)
        if not noted.update(times=F("times") + (0 if id in mine else 1), at=Now()):
            InHand.objects.bulk_create([InHand(pk=id)], ignore_conflicts=True)
        return noted.filter(times__lte=ENDED_OVER).exists()


def put_down(id: UUID) -> None:
    """Forget the note, in the transaction that settles the message."""
    InHand.objects.filter(pk=id).delete()
