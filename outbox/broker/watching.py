"""A look at the whole broker: every queue of ours, its alarms, and what the management API knows beside that.

AMQP tells what waits in a queue and how many take from it, and raises its voice (``connection.blocked``) when RabbitMQ
takes nothing. What workers hold, the members of a queue, memory and disk are the management API's to tell.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any
from urllib.parse import urlencode

from amqp import Message as Probe

from outbox.broker.lookout import Lookout
from outbox.broker.management import Management, ManagementSilent, in_path, management_of
from outbox.broker.queues import celery_app
from outbox.conf import conf
from outbox.errors import BrokerAway

SECONDS = 5.0
"""Seconds that AMQP has for all of its part; what it has not told by then is not known this time."""
QUEUES_OF_PAGE, PAGES = 500, 4
NOWHERE = "is there an alarm?"
"""A routing key that leads to no queue, as no queue of ours has blanks in its name."""
QUEUE_FACTS = "name,type,messages_unacknowledged,members,online"
NODE_FACTS = "name,running,mem_used,mem_limit,mem_alarm,disk_free,disk_free_limit,disk_free_alarm"


@dataclass(frozen=True, slots=True)
class QueueSeen:
    """A queue: what is ready in it, how many workers take from it, what they hold, and on how many nodes it lives.

    None where it is not known. ``is_quorum`` queues have ``members``, of which some are ``online``.
    """

    name: str
    ready: int | None = None
    takers: int | None = None
    unacked: int | None = None
    is_quorum: bool = False
    members: int | None = None
    online: int | None = None


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A node of RabbitMQ: memory and disk in bytes, with the limits at which it raises an alarm."""

    name: str
    is_running: bool = True
    memory: int | None = None
    memory_limit: int | None = None
    memory_alarm: bool = False
    disk_free: int | None = None
    disk_limit: int | None = None
    disk_alarm: bool = False


@dataclass(frozen=True, slots=True)
class BrokerLook:
    """What one look has seen. ``away`` is why AMQP told nothing, ``silent`` why the management API did not.

    ``blocked`` is what RabbitMQ says while it takes nothing: "low on memory", "low on disk". ``management`` is the
    API's address, empty where nobody asks. A broker of files, which ``is_amqp`` not, has nothing to be counted.
    """

    is_amqp: bool = True
    version: str = ""
    away: str = ""
    blocked: str = ""
    queues: Sequence[QueueSeen] = ()
    nodes: Sequence[NodeSeen] = ()
    management: str = ""
    silent: str = ""


class BrokerWatch(Lookout):
    """A connection that looks at everything. It stays open from look to look."""

    def __init__(self) -> None:
        super().__init__()
        self._blocked = ""
        self._until = 0.0

    def look(self, names: Collection[str]) -> BrokerLook:
        """Look at the queues ``names`` and at the broker. It never raises for what the broker is or does.

        It takes ten seconds at most and a blink as a rule. No transaction may be open meanwhile.
        """
        broker = celery_app().connection_for_write()
        if broker.transport.driver_type != "amqp":
            return BrokerLook(is_amqp=False)
        seen = self._look_by_amqp(names)
        known = self._connection if self._connection is not None else broker
        management = management_of(conf().broker_management, known)
        if management is None:
            return seen
        return _with_management(seen, management, known.virtual_host or "/", names)

    def _look_by_amqp(self, names: Collection[str]) -> BrokerLook:
        was_open = self._wire is not None
        self._until, self._blocked = monotonic() + SECONDS, ""
        try:
            return self._ask(names)
        except self._errors() as error:
            self.abandon()
            if was_open and not self._blocked:
                # It was cut while nobody looked; a new one tells whether the broker is away.
                return self._look_by_amqp(names)
            return BrokerLook(away=self._why(error), blocked=self._blocked)

    def _ask(self, names: Collection[str]) -> BrokerLook:
        self._open()
        queues = list(self._count_all(names))
        self._await_alarm()
        version = str(self._wire.server_properties.get("version", ""))
        if self._blocked:
            # It reads nothing more of this connection while the alarm lasts.
            self.abandon()
        return BrokerLook(version=version[:20], blocked=self._blocked, queues=queues)

    def _count_all(self, names: Collection[str]) -> Iterator[QueueSeen]:
        connection = self._connection_of()
        channel: Any = connection.transport.create_channel(self._wire)
        for name in names:
            self._hurry()
            try:
                found = channel.queue_declare(queue=name, passive=True)
            except connection.channel_errors:
                # It is not there, or not for us, which the rescan tells of; the channel went with it.
                channel = connection.transport.create_channel(self._wire)
            else:
                yield QueueSeen(name, int(found.message_count), int(found.consumer_count))
        channel.close()

    def _await_alarm(self) -> None:
        """Publish twice to nowhere, as RabbitMQ tells of an alarm whoever publishes: with the first it says so."""
        channel: Any = self._connection_of().transport.create_channel(self._wire)
        confirmed: list[int] = []
        channel.events["basic_ack"].add(lambda tag, multiple: confirmed.append(tag))  # noqa: ARG005  # amqp's names
        channel.confirm_select()
        for times in (1, 2):
            channel.basic_publish(Probe(""), exchange="", routing_key=NOWHERE)
            while len(confirmed) < times and not self._blocked:
                self._wire.blocking_read(self._hurry())
        if not self._blocked:
            channel.close()

    def _on_alarm(self, reason: str) -> None:
        super()._on_alarm(reason)
        self._blocked = str(reason or "no reason given")[:100]

    def _hurry(self) -> float:
        """Return how many seconds are left, and let no answer take longer."""
        left = self._until - monotonic()
        if left <= 0:
            raise BrokerAway(f"it did not answer everything within {SECONDS:g} s")
        self._be_patient_for(left)
        return left


def _with_management(seen: BrokerLook, management: Management, vhost: str, names: Collection[str]) -> BrokerLook:
    """Add what the management API knows; where it is silent, what AMQP has told stands."""
    seen = replace(seen, management=management.address)
    try:
        known = {one.name: one for one in _queues_known(management, vhost) if one.name in names}
        seen = replace(seen, queues=_joined(seen.queues, known))
        return replace(seen, nodes=list(_nodes_known(management)))
    except ManagementSilent as error:
        return replace(seen, silent=str(error))


def _queues_known(management: Management, vhost: str) -> Iterator[QueueSeen]:
    wanted = {"name": rf"^{conf().prefix}\.", "use_regex": "true", "columns": QUEUE_FACTS}
    for page in range(1, PAGES + 1):
        query = urlencode({**wanted, "page": page, "page_size": QUEUES_OF_PAGE})
        answer = management.ask(f"queues/{in_path(vhost)}?{query}")
        for fact in _rows(answer.get("items") if isinstance(answer, dict) else None):
            members, online = _length(fact.get("members")), _length(fact.get("online"))
            unacked = _count(fact.get("messages_unacknowledged"))
            is_quorum = fact.get("type") == "quorum"
            yield QueueSeen(_text(fact.get("name")), None, None, unacked, is_quorum, members, online)
        if page >= (_count(answer.get("page_count")) or 0):
            return


def _nodes_known(management: Management) -> Iterator[NodeSeen]:
    for fact in _rows(management.ask(f"nodes?columns={NODE_FACTS}")):
        yield NodeSeen(
            _text(fact.get("name")),
            is_running=fact.get("running") is True,
            memory=_count(fact.get("mem_used")),
            memory_limit=_count(fact.get("mem_limit")),
            memory_alarm=fact.get("mem_alarm") is True,
            disk_free=_count(fact.get("disk_free")),
            disk_limit=_count(fact.get("disk_free_limit")),
            disk_alarm=fact.get("disk_free_alarm") is True,
        )


def _joined(counted: Sequence[QueueSeen], known: Mapping[str, QueueSeen]) -> list[QueueSeen]:
    """Return what AMQP has counted a moment ago, with what the management API, some seconds behind, knows beside it."""
    by_name = {one.name: one for one in counted}
    none = QueueSeen("")
    return [
        replace(known.get(name, none), name=name, ready=by_name[name].ready, takers=by_name[name].takers)
        if name in by_name
        else known[name]
        for name in dict.fromkeys([*by_name, *known])
    ]


def _rows(answer: object) -> list[Mapping[str, Any]]:
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        raise ManagementSilent("what answers there is not RabbitMQ's management API")
    return answer


def _count(value: object) -> int | None:
    """Return a number that can be one; before its first statistics RabbitMQ gives none."""
    return value if type(value) is int and 0 <= value < 2**63 else None


def _length(value: object) -> int | None:
    return len(value) if isinstance(value, list) else None


def _text(value: object) -> str:
    return value[:255] if isinstance(value, str) else ""
