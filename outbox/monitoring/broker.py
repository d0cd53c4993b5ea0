"""What was last seen of the broker, as it is kept for everybody who shows or judges it.

A thread of one worker process looks every ten seconds (``outbox.worker.broker_watch``). No page, no metric and no
alert asks the broker itself: they read what was noted, and how long ago.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any, Protocol

from outbox import registry
from outbox.broker.queues import control_queue, dead_letter_queue, queue_name
from outbox.broker.watching import BrokerLook, NodeSeen, QueueSeen
from outbox.conf import conf
from outbox.models import Heartbeat
from outbox.monitoring.measurements import BrokerMeasurements
from outbox.monitoring.notes import HeartbeatNote, Notes

log = logging.getLogger("outbox.broker")

HEARTBEAT = "broker"
"""Under which name it is noted what the last look has seen."""
TURN = "broker by turns"
EVERY = timedelta(seconds=8)
"""Only one process looks in so long."""
TAKEN_OVER_AFTER = timedelta(seconds=16)
"""After so long another process than the last one looks, which would open a connection for it."""


class Watcher(Protocol):
    """What looks at the broker."""

    def look(self, names: Collection[str]) -> BrokerLook:
        """Look, and raise for nothing that the broker does."""


def look_in_turn(watcher: Watcher, *, was_mine: bool) -> bool:
    """Look at the broker and note what was seen, unless another process does; tell whether it was us.

    Whoever ``was_mine`` the last turn of has the next one too, so that one connection is open for it and not many.
    """
    if not Heartbeat.objects.claim(TURN, every=EVERY if was_mine else TAKEN_OVER_AFTER):
        return False
    note(watcher.look(watched_queues()))
    return True


def watched_queues() -> list[str]:
    """Return the names of our queues: each consumer's, that of the chores, and that of the dead letters."""
    consumers = [queue_name(name) for name in registry.consumer_names()]
    return [*consumers, control_queue().name, dead_letter_queue().name]


def note(look: BrokerLook) -> None:
    """Note what was seen, and what has grown since the look before."""
    known = Heartbeat.objects.filter(name=HEARTBEAT).values_list("data", flat=True).first() or {}
    before = _look_of(known)
    if look.silent and not before.silent:
        log.info("RabbitMQ's management API at %s is silent (%s); AMQP alone is asked", look.management, look.silent)
    Heartbeat.objects.record(HEARTBEAT, **asdict(look), growing=_growing(look, before, known.get("growing") or {}))


def measure_broker(notes: Notes) -> BrokerMeasurements:
    """Return what is noted of the broker."""
    heartbeat = notes.heartbeats.get(HEARTBEAT, HeartbeatNote())
    dead = sorted(notes.dead, key=lambda group: (-group.letters, not group.queue, group.queue, group.reason))
    return BrokerMeasurements(
        _look_of(heartbeat.data), heartbeat.age, dict(heartbeat.data.get("growing") or {}), tuple(dead)
    )


def _growing(look: BrokerLook, before: BrokerLook, since: Mapping[str, int]) -> dict[str, int]:
    """Return the queues that fill up or stay full, with what was ready when that began.

    No more hints are sent into a queue than ``high_water``, so a full one grows no further: its backlog does.
    """
    ready = {queue.name: queue.ready for queue in before.queues}
    limits = {queue_name(entry.name): entry.hint_limit for entry in registry.all_consumers()}
    return {
        queue.name: since.get(queue.name, earlier)
        for queue in look.queues
        if queue.name != dead_letter_queue().name
        and (earlier := ready.get(queue.name)) is not None
        and queue.ready is not None
        and _fills_up(earlier, queue.ready, full=limits.get(queue.name, conf().high_water))
    }


def _fills_up(earlier: int, now: int, *, full: int) -> bool:
    return (full // 2 < min(earlier, now) and full <= now) or now > max(earlier, full // 2)


def _look_of(data: Mapping[str, Any]) -> BrokerLook:
    """Return a look as it was noted, by this release or another."""
    known = _known(BrokerLook, data)
    known["queues"] = [QueueSeen(**_known(QueueSeen, one)) for one in data.get("queues") or ()]
    known["nodes"] = [NodeSeen(**_known(NodeSeen, one)) for one in data.get("nodes") or ()]
    return BrokerLook(**known)


def _known(kind: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in data.items() if name in names}
