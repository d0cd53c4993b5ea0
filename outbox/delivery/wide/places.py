"""Saying how many places a process has and how many are taken: to the rescan, to health and to the desk."""

from itertools import islice
from time import monotonic

from outbox.broker import dispatcher
from outbox.delivery.wide.lanes import Lane
from outbox.models import Places

EVERY = 1.0
"""Seconds between two reports, while anything is under way."""
HINT_EVERY = 0.2
"""Seconds between two hints that go round while all places are taken; so long may a process that begins look on."""


def say(worker: str, lane: Lane) -> None:
    """Say it once a second while any is taken, and once more when none is.

    While all are taken and more is due, a hint goes round, so that a process that has a place takes its part. It names
    what was named here: the rescan has sent hints for it, and for a while it is due to nobody who looks by himself.
    """
    if lane.is_awake and not lane.room and monotonic() - lane.hinted_at >= HINT_EVERY:
        lane.hinted_at = monotonic()
        dispatcher.dispatch({lane.consumer.name: tuple(islice(lane.named, lane.consumer.concurrency))})
    said = len(lane.calls), lane.stuck
    if monotonic() - lane.said_at < EVERY or (said == lane.said == (0, 0)):
        return
    lane.said_at, lane.said = monotonic(), said
    Places.objects.say(lane.consumer.name, worker, width=lane.consumer.concurrency, taken=said[0], stuck=said[1])


def take_back(worker: str) -> None:
    """Take back what a process has said that ends."""
    Places.objects.filter(worker=worker).delete()
