"""Starting rows for places that are free, or will be in a moment: no row is started and waits while others could."""

from collections.abc import Sequence
from datetime import timedelta
from functools import cache, partial
from typing import Any

from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery import starting
from outbox.memory import Memory
from outbox.models import ConsumerState, Message, Status
from outbox.models.sql.calls import AHEAD, NoState, StartCalls, StartedCalls
from outbox.models.sql.conditions import Named
from outbox.models.sql.low_water import LowWater
from outbox.policy import ZERO

_low_water = Memory(LowWater)


def start_named(consumer: Consumer, ids: Sequence[int], *, places: int, worker: str) -> StartedCalls:
    """Start what may be started of ``ids``, but for what workers were lost over."""
    return _start(_named(consumer.name, suspects=False), consumer, places, worker, ids=ids)


def start_suspects(consumer: Consumer, ids: Sequence[int], *, worker: str) -> StartedCalls:
    """Start rows that workers were lost over, as many as may run beside each other after so many losses."""
    lost = suspects_among(ids)
    if not lost:
        return StartedCalls([], [], 0)
    places = consumer.suspects_together(max(lost.values()))
    return _start(_named(consumer.name, suspects=True), consumer, places, worker, ids=list(lost))


def suspects_among(ids: Sequence[int]) -> dict[int, int]:
    """Return those of the rows that workers were lost over and that are not started, with how many in a row."""
    waiting = Message.objects.filter(pk__in=ids, lost__gt=0, status=Status.PENDING)
    return dict(waiting.order_by("pk").values_list("pk", "lost"))


def start_due(consumer: Consumer, *, places: int, worker: str) -> StartedCalls:
    """Start what else is due soon, the oldest first: also what the rescan has just sent a hint for.

    That may wait at a process that has no place for it.
    """
    search = _low_water.value.begin(consumer.name)
    within = max(conf().grace, conf().resend_after)
    started = _start(_due(consumer.name, within), consumer, places, worker, since=search.since)
    times = [message.due_at for message in started.messages]
    _low_water.value.learn(search, times, full=len(times) == started.allowed * consumer.rows_in_call)
    return started


def _start(statement: StartCalls, consumer: Consumer, places: int, worker: str, **which: Any) -> StartedCalls:
    start = partial(
        statement.run,
        consumer.name,
        calls=places,
        rows_in_call=consumer.rows_in_call,
        worker=worker,
        lease=conf().lease,
        rate=consumer.rate,
        ahead=ZERO if consumer.at_most_once else AHEAD,
        **which,
    )
    try:
        return start()
    except NoState:
        ConsumerState.objects.get_or_create(consumer=consumer.name)
        return start()


@cache
def _named(consumer_name: str, *, suspects: bool) -> StartCalls:
    ready = starting.ready(consumer_name, canary=True).filter(Named())
    return StartCalls(ready.filter(lost__gt=0) if suspects else ready.filter(lost=0))


@cache
def _due(consumer_name: str, grace: timedelta) -> StartCalls:
    return StartCalls(starting.ready(consumer_name, canary=False).filter(lost=0).due(within=grace).due_since())
