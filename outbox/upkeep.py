"""Keeping the tables small: finished messages are pruned by age, in small batches, by one pruner at a time.

Only what is settled goes: successes, and what a person has closed. The unfinished and the exhausted stay, however old.
With a message goes its place in the unique index, so ``KEEP_FINISHED`` is also how long the same topic and key is known
to have been published.
"""

import logging
import time
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction

from outbox.conf import conf
from outbox.models import Attempt, Message, Pulse

log = logging.getLogger("outbox.upkeep")

PULSE = "prune"
BATCH = 1000
"""Messages deleted by one transaction at most; larger ones hold up those who write."""
REST = 1.0
"""Rest between two batches, as a share of what the last one took, so that pruning has half of the time at most."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many messages went, and whether there are more to go."""

    messages: int
    more: bool


def prune(*, budget: timedelta = timedelta(seconds=3)) -> Pruned:
    """Delete what finished longer ago than ``KEEP_FINISHED``, for at most ``budget``; their attempts go with them.

    Returns at once if another pruner is at work.
    """
    until = time.monotonic() + budget.total_seconds()
    Pulse.objects.get_or_create(name=PULSE)
    total = 0
    while True:
        began = time.monotonic()
        batch = _prune_batch()
        if batch is None:
            return Pruned(total, more=True)
        total += batch
        if batch < BATCH:
            Pulse.objects.beat(PULSE, messages=total)
            return Pruned(total, more=False)
        took = time.monotonic() - began
        if time.monotonic() + took * REST >= until:
            Pulse.objects.beat(PULSE, messages=total)
            return Pruned(total, more=True)
        time.sleep(took * REST)


def _prune_batch() -> int | None:
    """Delete one batch, oldest first, and return its size; None if somebody else is pruning."""
    with transaction.atomic(using=conf().database):
        if not list(Pulse.objects.select_for_update(skip_locked=True).filter(name=PULSE)):
            return None
        settled = Message.objects.prunable(older_than=conf().keep_finished).select_for_update(skip_locked=True)
        ids = list(settled.values_list("pk", flat=True)[:BATCH])
        # Not delete(): that reads every row first, payload included, to look for what hangs on it.
        for rows in (Attempt.objects.filter(message_id__in=ids), Message.objects.filter(pk__in=ids)):
            rows._raw_delete(conf().database)
    if ids:
        log.info("pruned %d messages", len(ids))
    return len(ids)
