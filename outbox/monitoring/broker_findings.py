"""Judging what was last seen of the broker: alarms, queues that grow, dead letters, queues that live on one node."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from django.template.defaultfilters import filesizeformat
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox.broker.queues import dead_letter_queue
from outbox.broker.watching import BrokerLook, NodeSeen, QueueSeen
from outbox.monitoring.finding import Finding, Level, What, in_words
from outbox.monitoring.measurements import OUTDATED_AFTER, BrokerMeasurements

EXPECTED_WITHIN = timedelta(minutes=2)
"""How long after the first rescan a look at the broker is expected."""
NAMED = 5
"""Queues that are named in a sentence at most."""


def judge_broker(seen: BrokerMeasurements, *, known_for: timedelta) -> Iterator[Finding]:
    """Return what there is to say of the broker, in order or not."""
    yield from _dead_letters(seen)
    if seen.looked is None or seen.looked > OUTDATED_AFTER:
        yield from _not_looked_at(seen, known_for)
        return
    look = seen.look
    if not look.is_amqp:
        return
    if look.away:
        text = _("The last look at the broker found nothing out (%(said)s): its queues are not known.")
        yield Finding(Level.WARNING, What.WATCH, text % {"said": look.away})
    yield from alarms(look)
    for node in look.nodes:
        if not node.is_running:
            text = _("RabbitMQ's node %(node)s does not run: start it, or take it out of the cluster.")
            yield Finding(Level.WARNING, What.NODE, text % {"node": node.name}, node.name)
    for queue in look.queues:
        yield from _backlog(queue, seen.growing.get(queue.name))
    yield from _members(look)
    yield from _watched(seen, look)


def alarms(look: BrokerLook) -> Iterator[Finding]:
    """Say which node has run out of what; where only AMQP has told of the alarm, just what it has run out of."""
    found = False
    for node in look.nodes:
        words = {"node": node.name, **_sizes(node)}
        if node.memory_alarm:
            text = _(
                "RabbitMQ's node %(node)s uses %(memory)s of memory, limit %(memory_limit)s, and so it takes nothing: "
                "messages wait in the table, none is lost. See what fills it: rabbitmq-diagnostics -n %(node)s "
                "memory_breakdown; then give it more, or raise vm_memory_high_watermark."
            )
            found = True
            figures = (node.memory, node.memory_limit)
            yield Finding(Level.CRITICAL, What.ALARM, text % words, f"memory {node.name}", *figures)
        if node.disk_alarm:
            text = _(
                "RabbitMQ's node %(node)s has %(disk_free)s of disk left, limit %(disk_limit)s, and so it takes "
                "nothing: messages wait in the table, none is lost. Free some, or give it a larger disk."
            )
            found = True
            figures = (node.disk_free, node.disk_limit)
            yield Finding(Level.CRITICAL, What.ALARM, text % words, f"disk {node.name}", *figures)
    if look.blocked and not found:
        text = _(
            "RabbitMQ takes nothing, as a node's memory or disk is full (“%(said)s”): messages wait in the table, none "
            "is lost. See which: rabbitmq-diagnostics alarms"
        )
        yield Finding(Level.CRITICAL, What.ALARM, text % {"said": look.blocked})


def _sizes(node: NodeSeen) -> dict[str, str]:
    names = ("memory", "memory_limit", "disk_free", "disk_limit")
    known = {name: getattr(node, name) for name in names}
    return {name: "?" if size is None else filesizeformat(size) for name, size in known.items()}


def _not_looked_at(seen: BrokerMeasurements, known_for: timedelta) -> Iterator[Finding]:
    if seen.looked is None:
        if known_for > EXPECTED_WITHIN:
            text = _("Nobody has looked at the broker yet; a worker of this release does, every ten seconds.")
            yield Finding(Level.WARNING, What.WATCH, text)
        return
    words = {"age": in_words(seen.looked), "limit": in_words(OUTDATED_AFTER)}
    text = _(
        "The broker was last looked at %(age)s ago, limit %(limit)s: its queues and alarms are not known. Is a worker "
        "running, and what does its log say (outbox.broker)?"
    )
    seconds = (seen.looked.total_seconds(), OUTDATED_AFTER.total_seconds())
    yield Finding(Level.WARNING, What.WATCH, text % words, "", *seconds)


def _backlog(queue: QueueSeen, before: int | None) -> Iterator[Finding]:
    """Tell of a queue from which nobody takes, and of one that grows though somebody does."""
    if not queue.ready or queue.name == dead_letter_queue().name:
        return
    words = {"queue": queue.name, "ready": _number(queue.ready)}
    if not queue.takers:
        text = ngettext(
            "No worker takes from the queue %(queue)s, in which %(ready)s hint waits: start one, or name the queue "
            "after -Q of one that runs.",
            "No worker takes from the queue %(queue)s, in which %(ready)s hints wait: start one, or name the queue "
            "after -Q of one that runs.",
            queue.ready,
        )
        yield Finding(Level.WARNING, What.BACKLOG, text % words, queue.name, queue.ready, 0)
    elif before is not None:
        text = _(
            "The queue %(queue)s grows: %(before)s hints waited, now %(ready)s, and %(unacked)s are with workers "
            "(%(takers)s). They do not keep up: are their handlers slow, does one hang, or are there too few?"
        )
        unacked = "?" if queue.unacked is None else _number(queue.unacked)
        words |= {"before": _number(before), "unacked": unacked, "takers": _number(queue.takers)}
        yield Finding(Level.WARNING, What.BACKLOG, text % words, queue.name, queue.ready, before)


def _dead_letters(seen: BrokerMeasurements) -> Iterator[Finding]:
    if not seen.dead:
        return
    top = seen.dead[0]
    text = ngettext(
        "%(count)s hint is a dead letter, of the queue %(queue)s: %(why)s. Its messages are in the table and go on "
        "from there. See at the desk what it was, and discard it.",
        "%(count)s hints are dead letters, most of them of the queue %(queue)s: %(why)s. Their messages are in the "
        "table and go on from there. See at the desk what they were, and discard them.",
        seen.dead_letters,
    )
    words = {"count": _number(seen.dead_letters), "queue": top.queue or "?", "why": why_dead(top.reason)}
    yield Finding(Level.WARNING, What.DEAD, text % words, "", seen.dead_letters, 0)


def why_dead(reason: str) -> str:
    """Return why a hint has become a dead letter, in words."""
    match reason:
        case "delivery_limit":
            return _("worker after worker was lost with it")
        case "rejected":
            return _("a worker refused it")
        case "maxlen":
            return _("more of them were waiting than a policy allows")
        case "expired":
            return _("its time was over, as a policy says")
        case "":
            return _("nobody knows why")
        case _:
            return _("RabbitMQ says “%(reason)s”") % {"reason": reason}


def _members(look: BrokerLook) -> Iterator[Finding]:
    """Tell of quorum queues that live on one node alone, and of members that are away."""
    nodes = len(look.nodes)
    alone = [queue for queue in look.queues if queue.is_quorum and queue.members == 1]
    if alone and nodes > 1:
        text = _(
            "Queues that live on one node of %(nodes)d: %(queues)s. While that node is away their messages wait in the "
            "table. Give them members: rabbitmq-queues grow NODE all, for each other node."
        )
        words = {"nodes": nodes, "queues": _names(alone)}
        yield Finding(Level.WARNING, What.MEMBERS, text % words, "", len(alone), 0)
    elif alone:
        text = _(
            "Quorum queues with one member: %(queues)s. RabbitMQ is one node; while it is away messages wait in the "
            "table, none is lost."
        )
        yield Finding(Level.OK, What.MEMBERS, text % {"queues": _names(alone)}, "", len(alone))
    for queue in look.queues:
        if queue.members is not None and queue.online is not None and queue.online < queue.members:
            text = _(
                "The queue %(queue)s has %(members)d members and %(online)d of them online: without more than half "
                "of them it takes nothing. Start the other nodes, or take out what is gone: rabbitmq-queues shrink NODE"
            )
            words = {"queue": queue.name, "members": queue.members, "online": queue.online}
            yield Finding(
                Level.WARNING, What.MEMBERS, text % words, queue.name, float(queue.online), float(queue.members)
            )


def _watched(seen: BrokerMeasurements, look: BrokerLook) -> Iterator[Finding]:
    """Say that somebody has looked, and, once, what cannot be known as the management API is silent."""
    if not look.away:
        ready = sum(queue.ready or 0 for queue in look.queues if queue.name != dead_letter_queue().name)
        text = _("The broker was looked at %(age)s ago; hints that wait: %(ready)s.")
        words = {"age": in_words(seen.looked or timedelta(0)), "ready": _number(ready)}
        yield Finding(Level.OK, What.WATCH, text % words)
    if look.silent:
        text = _(
            "RabbitMQ's management API does not answer at %(address)s (%(said)s). Nothing stops for it: what workers "
            "hold, members, memory and disk are not known; alarms and what waits are. To have them: rabbitmq-plugins "
            'enable rabbitmq_management, or OUTBOX["BROKER_MANAGEMENT"]; "off" there ends the asking.'
        )
        words = {"address": look.management, "said": look.silent}
        yield Finding(Level.OK, What.WATCH, text % words, "management")


def _names(queues: Sequence[QueueSeen]) -> str:
    names = ", ".join(queue.name for queue in queues[:NAMED])
    return (
        names
        if len(queues) <= NAMED
        else _("%(names)s and %(more)d more")
        % {
            "names": names,
            "more": len(queues) - NAMED,
        }
    )


def _number(value: int) -> str:
    return number_format(value, force_grouping=True)
