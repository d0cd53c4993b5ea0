"""Who sends to us: the sources of a project, declared in each app's ``consumers.py`` by ``receive``."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from outbox.errors import ConsumerError
from outbox.topics import QUEUE_LENGTH, SOURCE_LENGTH, is_topic

SOURCE = re.compile(rf"[A-Za-z0-9_.-]{{1,{SOURCE_LENGTH}}}")
SOURCE_HEADER = "x-outbox-source"
"""The header of what was taken in that names its source."""
ID_HEADER = "x-outbox-message-id"
"""The header of what was taken in that has the sender's id."""
ATTEMPT_HEADER = "x-outbox-attempt"
RECEIPTS_HEADER, RECEIVER_HEADER = "x-outbox-receipts", "x-outbox-receiver"
"""Headers by which a sender says in which queue it waits for a receipt, and of whom."""
RECEIPTS = "receipts"
RECEIPTS_QUEUE = re.compile(rf"[\w-]+\.{RECEIPTS}(:[A-Za-z0-9_.-]+)?")
"""What such a queue is called, whoever the sender is: a stranger's header must not name any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A message as its sender has given it to the broker.

    ``properties`` are AMQP's, of those that were set: ``message_id``, ``type``, ``timestamp``, ``app_id`` and so on.
    ``headers`` are the sender's own. ``payload`` is what the body says as JSON.
    """

    source: str
    queue: str
    body: bytes = field(repr=False)
    payload: Any = field(default=None, repr=False)
    properties: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    exchange: str = ""
    routing_key: str = ""
    redelivered: bool = False


Told = str | Callable[[Incoming], str]
"""A text that holds for every message of a source, or a function of one that returns it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A queue at a broker, and how its messages become ours."""

    name: str
    queue: str
    broker: str
    topic: Told = field(repr=False)
    message_id: Callable[[Incoming], str] | None = field(repr=False)
    ordering_key: Callable[[Incoming], str] | None = field(repr=False)
    bindings: tuple[tuple[str, str], ...]
    high_water: int | None
    receipts: bool = False
    """Whether its sender is told what became of its messages here."""
    receipts_of: str | None = None
    """Not None: receipts for our own forwards come here, of this receiver alone; empty: of all who sign them."""

    def topic_of(self, incoming: Incoming) -> str:
        """Return the topic under which a message is published here; the project's function may raise anything."""
        return self.topic(incoming) if callable(self.topic) else self.topic

    def id_of(self, incoming: Incoming) -> object:
        """Return the sender's id of a message; the project's function may raise anything, and return anything."""
        return self.message_id(incoming) if self.message_id else incoming.properties.get("message_id")

    def ordering_key_of(self, incoming: Incoming) -> str:
        """Return the ordering key of a message; empty if it has none."""
        return self.ordering_key(incoming) if self.ordering_key else ""


_sources: dict[str, Source] = {}


def receive(
    queue: str,
    *,
    topic: Told,
    source: str,
    broker: str = "",
    message_id: Callable[[Incoming], str] | None = None,
    ordering_key: Callable[[Incoming], str] | None = None,
    bindings: Sequence[tuple[str, str]] = (),
    high_water: int | None = None,
    receipts: bool = False,
) -> None:
    """Take in what comes to a queue: each message is published here exactly once, by ``manage.py outbox_receiver``.

    - ``topic``: under which it is published, or a function of an ``Incoming`` that returns that.
    - ``source``: who sends. Source and the sender's message id are the key here, so one sender's ids are not another's.
      Once messages have come, the name stays: under another they would be new.
    - ``broker``: a name of ``OUTBOX["BROKERS"]``; by default it is Celery's own.
    - ``message_id``: a function that returns the sender's id, by default AMQP's property ``message_id``.
    - ``ordering_key``: a function that returns the ordering key. Order holds for one receiver alone: give the queue a
      single active consumer if several run.
    - ``bindings``: exchange and routing key of what the queue is bound to. The exchanges are the sender's.
    - ``high_water``: unfinished messages of the source at which no more are taken in; ``OUTBOX["RECEIVE_HIGH_WATER"]``.

    - ``receipts``: tell a sender that waits for it, as ``forward(receipt=)`` does, what became of each message.

    What cannot be taken in goes into quarantine with its reason: no id, no JSON, an unknown topic, too large, a known
    id with other content.

    Raises ``ConsumerError`` at start-up for what is wrong with it, and for a source that is declared twice.
    """
    where = f"receive({queue!r:.100})"
    if not isinstance(queue, str) or not 0 < len(queue.encode()) <= QUEUE_LENGTH:
        raise ConsumerError(f"{where}: the name of a queue comes first, of 1 to {QUEUE_LENGTH} bytes")
    if not isinstance(source, str) or not SOURCE.fullmatch(source):
        raise ConsumerError(
            f"{where}: source={source!r:.100} is no name: 1 to {SOURCE_LENGTH} letters, digits, “.”, “-” and “_”"
        )
    if not callable(topic) and not is_topic(topic):
        raise ConsumerError(
            f"{where}: topic={topic!r:.100} is neither a topic nor a function of a message; write "
            "topic=lambda m: f\"partner.{m.properties['type']}\""
        )
    for option, function in {"message_id": message_id, "ordering_key": ordering_key}.items():
        if function is not None and not callable(function):
            raise ConsumerError(f"{where}: {option}={function!r:.100} is no function of a message")
    if high_water is not None and (type(high_water) is not int or high_water < 1):
        raise ConsumerError(f"{where}: high_water={high_water!r} is no whole number from 1 on")
    if not isinstance(broker, str):
        raise ConsumerError(f'{where}: broker={broker!r:.100} is no name of OUTBOX["BROKERS"]')
    if not isinstance(receipts, bool):
        raise ConsumerError(f"{where}: receipts={receipts!r:.100} is neither True nor False")
    if receipts and not is_topic(receipts_consumer(source)):
        raise ConsumerError(f"{where}: with receipts=True the source is words of letters, digits, _ and - with dots")
    _check_bindings(where, bindings)
    entry = Source(
        name=source,
        queue=queue,
        broker=broker,
        topic=topic,
        message_id=message_id,
        ordering_key=ordering_key,
        bindings=tuple((exchange, routing_key) for exchange, routing_key in bindings),
        high_water=high_water,
        receipts=receipts,
    )
    _add(where, entry)


def expect_receipts(queue: str, *, broker: str, receiver: str) -> None:
    """Read receipts from a queue: of one receiver, to whom it belongs, or of all who sign theirs."""
    name = RECEIPTS + (f"-of-{receiver}" if receiver else "") + (f"-at-{broker}" if broker else "")
    entry = Source(
        name=name[:SOURCE_LENGTH],
        queue=queue,
        broker=broker,
        topic="",
        message_id=None,
        ordering_key=None,
        bindings=(),
        high_water=None,
        receipts_of=receiver,
    )
    _add(f"receipts of {receiver or 'those who sign them'}", entry)


def _add(where: str, entry: Source) -> None:
    source, queue, broker = entry.name, entry.queue, entry.broker
    known = _sources.get(source)
    if known is not None and (known.queue, known.broker) != (queue, broker):
        raise ConsumerError(
            f"{where}: {source!r} is the source of the queue {known.queue!r} already; one source is one queue, so give "
            "this one another name"
        )
    _sources[source] = entry


def _check_bindings(where: str, bindings: object) -> None:
    pairs = isinstance(bindings, list | tuple) and all(
        isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
        for pair in bindings
    )
    if not pairs:
        raise ConsumerError(
            f'{where}: bindings={bindings!r:.100} is no list of exchange and routing key; write [("orders", "order.#")]'
        )


def all_sources() -> Sequence[Source]:
    """Return every source, by name."""
    return [_sources[name] for name in sorted(_sources)]


def get_source(name: str) -> Source | None:
    """Return the source of that name, or None if the code has none."""
    return _sources.get(name)


def any_sends_receipts() -> bool:
    """Tell whether there is a source whose sender is told what became of its messages."""
    return any(source.receipts for source in _sources.values())


def receipts_consumer(source: str) -> str:
    """Return the name of the consumer that sends the receipts to a source."""
    return f"{source}.{RECEIPTS}"


class ReceiptWanted(NamedTuple):
    """What a sender waits for: a receipt for the attempt of a message, by a receiver, in a queue."""

    message_id: str
    attempt: int
    receiver: str
    queue: str


def receipt_wanted(sender_id: object, headers: Mapping[str, Any]) -> ReceiptWanted | None:
    """Return what the sender waits for by the headers of its message; None for nothing, or what makes no sense."""
    queue, receiver, attempt = (headers.get(name) for name in (RECEIPTS_HEADER, RECEIVER_HEADER, ATTEMPT_HEADER))
    if not (isinstance(sender_id, str) and isinstance(queue, str) and isinstance(receiver, str)):
        return None
    named = RECEIPTS_QUEUE.fullmatch(queue) and len(queue) <= QUEUE_LENGTH and SOURCE.fullmatch(receiver)
    if not named or type(attempt) is not int or attempt < 1:
        return None
    return ReceiptWanted(sender_id, attempt, receiver, queue)


def forget_source(name: str) -> None:
    """Take a source out again; for tests and for code that is unloaded."""
    _sources.pop(name, None)
