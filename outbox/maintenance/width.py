"""How many calls may begin now, of a consumer whose calls are made beside each other.

What waits for a place or for its rate is neither claimed, sent nor counted: workers that are awake go on by themselves,
and a hint that finds no room would be for nothing.
"""

from typing import NamedTuple

from django.db.models import F
from django.db.models.functions import Now

from outbox.declared import Consumer
from outbox.models import ConsumerState, Places
from outbox.policy import Rate


class Width(NamedTuple):
    """How many more calls may begin (None: nobody knows), and whether a worker has said so lately."""

    calls: int | None
    is_known: bool


def width_of(consumer: Consumer) -> Width:
    """Return what rate and places leave open."""
    if not consumer.wide:
        return Width(None, is_known=False)
    said = Places.objects.filter(consumer=consumer.name).per_consumer().get(consumer.name)
    free = said["places"] - said["taken"] if said else None
    allowed = None if consumer.rate is None else _allowed(consumer.name, consumer.rate)
    limits = [limit for limit in (free, allowed) if limit is not None]
    return Width(max(0, min(limits)) if limits else None, is_known=free is not None)


def _allowed(name: str, rate: Rate) -> int:
    """Return how many calls the rate allows at this moment."""
    state = ConsumerState.objects.filter(consumer=name).annotate(behind=Now() - F("next_call"))
    behind = state.values_list("behind", flat=True).first()
    if behind is None:
        return rate.burst
    return min(rate.burst, int(behind / rate.interval) + 1) if behind.total_seconds() >= 0 else 0
