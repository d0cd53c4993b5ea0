"""The broker's figures as Prometheus reads them: those of the last look, and nothing once that is old."""

from collections.abc import Iterator
from math import inf

from prometheus_client.core import GaugeMetricFamily, Metric

from outbox.broker.watching import BrokerLook
from outbox.monitoring.measurements import BrokerMeasurements


def broker_metrics(seen: BrokerMeasurements | None) -> Iterator[Metric]:
    """Return the figures of the broker; what is not known has none."""
    if seen is None:
        return
    age = inf if seen.looked is None else seen.looked.total_seconds()
    yield GaugeMetricFamily("outbox_broker_look_age_seconds", "Seconds since a worker looked at the broker.", age)
    dead = GaugeMetricFamily(
        "outbox_dead_letters", "Dead letters that nobody has discarded, up to 100.", labels=["queue", "reason"]
    )
    for group in seen.dead:
        dead.add_metric([group.queue, group.reason], group.letters)
    yield dead
    if seen.is_known and seen.look.is_amqp:
        yield from _alarms(seen.look)
        yield from _queues(seen.look)
        yield from _nodes(seen.look)


def _alarms(look: BrokerLook) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "outbox_broker_blocked", "1 while RabbitMQ takes nothing, by a memory or disk alarm.", int(bool(look.blocked))
    )
    if look.management:
        yield GaugeMetricFamily(
            "outbox_broker_management_up", "1 if RabbitMQ's management API has answered.", int(not look.silent)
        )


def _queues(look: BrokerLook) -> Iterator[Metric]:
    messages = GaugeMetricFamily(
        "outbox_queue_messages", "Hints in a queue: ready, or unacked with a worker.", labels=["queue", "state"]
    )
    takers = GaugeMetricFamily("outbox_queue_consumers", "Workers that take from a queue.", labels=["queue"])
    members = GaugeMetricFamily(
        "outbox_queue_members", "Nodes that a quorum queue lives on.", labels=["queue", "state"]
    )
    for queue in look.queues:
        for state, value in (("ready", queue.ready), ("unacked", queue.unacked)):
            if value is not None:
                messages.add_metric([queue.name, state], value)
        if queue.takers is not None:
            takers.add_metric([queue.name], queue.takers)
        if queue.is_quorum:
            for state, value in (("all", queue.members), ("online", queue.online)):
                if value is not None:
                    members.add_metric([queue.name, state], value)
    yield from (messages, takers, members)


def _nodes(look: BrokerLook) -> Iterator[Metric]:
    running = GaugeMetricFamily("outbox_broker_node_running", "1 while RabbitMQ's node runs.", labels=["node"])
    alarm = GaugeMetricFamily("outbox_broker_alarm", "1 while the node raises an alarm.", labels=["node", "resource"])
    sizes = GaugeMetricFamily(
        "outbox_broker_bytes", "Memory in use and disk free, with their limits.", labels=["node", "what"]
    )
    for node in look.nodes:
        running.add_metric([node.name], int(node.is_running))
        alarm.add_metric([node.name, "memory"], int(node.memory_alarm))
        alarm.add_metric([node.name, "disk"], int(node.disk_alarm))
        for what in ("memory", "memory_limit", "disk_free", "disk_limit"):
            value = getattr(node, what)
            if value is not None:
                sizes.add_metric([node.name, what], value)
    yield from (running, alarm, sizes)
