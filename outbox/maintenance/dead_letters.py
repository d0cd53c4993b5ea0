"""Keeping the table of dead letters like their queue: what the rescan has read stands there, what is gone goes."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from outbox.broker.dead_letters import DeadLetter as Letter
from outbox.broker.dead_letters import Letters
from outbox.conf import conf
from outbox.models import DeadLetter

FORGOTTEN_AFTER = timedelta(minutes=2)
"""How long a letter that was discarded is kept in mind after it was not found: another rescan may hold it just then."""


class Reader(Protocol):
    """The connection of a rescan, as far as dead letters go."""

    def read_dead_letters(self, *, discarded: Collection[str] = (), known: int = 0) -> Letters | None:
        """Return what there is, if it has changed."""


def follow(reader: Reader) -> None:
    """Have the letters read, and those taken off that somebody has discarded; note what there is now."""
    noted = dict(DeadLetter.objects.values_list("digest", "discarded_at"))
    discarded = [digest for digest, at in noted.items() if at is not None]
    letters = reader.read_dead_letters(discarded=discarded, known=len(noted))
    if letters is None:
        return
    found = {letter.digest for letter in letters.kept}
    with transaction.atomic(using=conf().database):
        new = [_row_of(letter) for letter in letters.kept if letter.digest not in noted]
        DeadLetter.objects.bulk_create(new, ignore_conflicts=True)
        lost = [digest for digest in noted if digest not in found]
        forgotten = Q(discarded_at__isnull=True) | Q(discarded_at__lt=Now() - FORGOTTEN_AFTER)
        DeadLetter.objects.filter(Q(digest__in=letters.discarded) | (Q(digest__in=lost) & forgotten)).delete()


def _row_of(letter: Letter) -> DeadLetter:
    return DeadLetter(
        digest=letter.digest,
        queue=letter.queue,
        reason=letter.reason,
        died_at=_storable(letter.died_at),
        task_id=letter.task_id,
        consumer=letter.consumer,
        ids=list(letter.ids),
        text=letter.text,
    )


def _storable(at: datetime | None) -> datetime | None:
    """Return a moment as the host stores moments."""
    return at if at is None or settings.USE_TZ else timezone.make_naive(at)
