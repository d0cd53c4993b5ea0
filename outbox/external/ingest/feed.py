"""The queue of a source at its broker: one connection, one channel, what was delivered and is not acknowledged yet.

A delivery belongs to its channel. When that is gone, so are its numbers: everything is delivered again, on another.
"""

import logging
import select
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from time import monotonic
from typing import Any

from kombu import Connection

from outbox.broker.opening import refusal_of
from outbox.conf import conf
from outbox.errors import BrokerAway
from outbox.external.ingest.faithful import as_seconds
from outbox.external.ingest.reading import Readable, Refused
from outbox.external.ingest.source_queue import find_trap, see_to_queue
from outbox.external.ingest.wire import connect
from outbox.sources import Incoming, Source

log = logging.getLogger("outbox.ingest")

PREFETCH = 500
"""Messages that the broker sends ahead of their acknowledgement."""
HEARTBEAT = 30
"""Seconds of silence, twice over, after which either side takes the other for gone."""
BEATS = 6
"""How often in that time we say that we live, at least."""
BEAT_EVERY = HEARTBEAT / BEATS
"""Seconds between two looks at whether it is time to say that we live."""
LONGEST_GATHERING = 0.2
"""Seconds for which a batch is gathered at most while more of it is there."""
GATHERED_BYTES = 8 * 1024 * 1024
"""Bytes of bodies at which a batch is full."""
SHORTEST = 0.001
"""Seconds that are waited at least: none at all would mean for ever, or not to look."""
LOOK = 0.002
"""Seconds that whoever reads ahead waits for more before they look whether they are to stop."""
PROPERTIES = frozenset(
    {
        *("message_id", "type", "timestamp", "app_id", "content_type", "content_encoding", "correlation_id"),
        *("reply_to", "expiration", "user_id", "priority", "delivery_mode", "cluster_id"),
    }
)


_consumers = count(1)


@dataclass(slots=True)
class Delivery:
    """A message as it was delivered, with the number by which it is acknowledged on its channel."""

    tag: int
    incoming: Incoming
    found: Readable | Refused | None = None
    """What was read of it ahead."""


class Feed:
    """The deliveries of one source. One thread at a time has it.

    Every method raises ``BrokerAway`` if the connection, the channel or the queue is gone; then ``close`` it, forget
    what was delivered, and open it again.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._connection: Connection | None = None
        self._wire: Any = None
        self._channel: Any = None
        self._waiting: deque[Delivery] = deque()
        self._bytes = 0
        self._tag = ""
        self._prefetch = 0
        self._beat_at = 0.0
        self.drops_after = ""
        """After how many deliveries the queue, which is another's, drops a message for good."""

    @property
    def is_open(self) -> bool:
        """Tell whether there is a connection."""
        return self._wire is not None

    @property
    def is_consuming(self) -> bool:
        """Tell whether the broker sends us messages."""
        return bool(self._tag)

    @property
    def is_one_at_a_time(self) -> bool:
        """Tell whether the broker sends a message only when the one before it is acknowledged."""
        return self._prefetch == 1

    def open(self) -> None:
        """Connect, and see to the queue; nothing is consumed yet. Raises ``BrokerRefuses`` if it is not for us."""
        with self._asking(refusals=True):
            self._connection, self._wire = connect(self._source.broker, heartbeat=HEARTBEAT)
            self._channel = see_to_queue(self._connection, self._wire, self._source)
            self.drops_after = find_trap(self._connection, self._wire, self._source)

    def consume(self, *, prefetch: int = PREFETCH) -> None:
        """Have the broker send messages, so many ahead; what was delivered already stays in hand."""
        if self.is_consuming and self._prefetch == prefetch:
            return
        with self._asking():
            self._cancel()
            self._channel.basic_qos(0, prefetch, False)
            self._prefetch = prefetch
            tag = f"outbox-{next(_consumers)}"
            self._channel.callbacks[tag] = self._on_delivery
            self._channel.basic_consume(self._source.queue, consumer_tag=tag, callback=self._on_delivery)
            self._tag = tag

    def stop_consuming(self) -> None:
        """Have the broker send nothing more. What was delivered stays ours until the channel is closed.

        What is on its way at this moment a quorum queue takes back, and delivers again later.
        """
        with self._asking():
            self._cancel()

    def gather(self, *, most: int, patience: float, wait: float) -> list[Delivery]:
        """Return what was delivered, up to ``most``, waiting ``patience`` s for the first and ``wait`` s for more.

        What the broker has delivered before stands alone, for it may have ended the receiver that had it.
        """
        self._fill(1, patience)
        if not self._waiting:
            return []
        if self._waiting[0].incoming.redelivered:
            return [self._next()]
        self._fill(most, wait)
        batch: list[Delivery] = []
        while self._waiting and len(batch) < most and not self._waiting[0].incoming.redelivered:
            batch.append(self._next())
        return batch

    def read_ahead(
        self, read: Callable[[Incoming], Readable | Refused | None], *, most: int, may_go_on: Callable[[], bool]
    ) -> None:
        """Take what the broker sends and ``read`` it, up to ``most`` messages; ``gather`` returns them later.

        What the broker has delivered before is not read: that is done with a note, as it may end its receiver.
        """
        many = 0
        while may_go_on():
            if many < len(self._waiting):
                delivery = self._waiting[many]
                if delivery.incoming.redelivered:
                    return
                delivery.found = delivery.found or read(delivery.incoming)
                many += 1
            elif many >= most or self._bytes >= GATHERED_BYTES:
                return
            else:
                self._drain(LOOK, most=most)

    def pump(self, seconds: float) -> None:
        """Do nothing for so long but keep the connection; what was sent before consuming stopped still comes in."""
        until = monotonic() + seconds
        while (rest := until - monotonic()) > 0:
            self._drain(rest)

    def ack(self, deliveries: Sequence[Delivery], *, all_before: bool) -> None:
        """Acknowledge deliveries. ``all_before`` says that everything delivered before the last is settled as well."""
        if not deliveries:
            return
        with self._asking():
            if all_before:
                self._channel.basic_ack(deliveries[-1].tag, multiple=True)
                return
            for delivery in deliveries:
                self._channel.basic_ack(delivery.tag)

    def close(self) -> None:
        """Close the connection; the broker delivers again what was not acknowledged."""
        connection, wire = self._connection, self._wire
        self._connection = self._wire = self._channel = None
        self._waiting.clear()
        self._bytes = 0
        self._tag, self._prefetch = "", 0
        if connection is None or wire is None:
            return
        # Whatever a dying connection says on its way out, there is nothing left to do with it.
        with suppress(Exception):
            wire.transport.sock.settimeout(conf().confirm_timeout.total_seconds())
            connection.transport.close_connection(wire)

    def _fill(self, most: int, seconds: float) -> None:
        """Read until so many deliveries wait, or too many bytes, or so long was waited for more.

        What is there already is read whatever the time: a machine that is busy needs large batches most.
        """
        until, latest = monotonic() + seconds, monotonic() + max(seconds, LONGEST_GATHERING)
        while len(self._waiting) < most and self._bytes < GATHERED_BYTES:
            rest = latest - monotonic() if self._is_more_there() else until - monotonic()
            if rest <= 0 or not self._drain(rest, most=most):
                return

    def _is_more_there(self) -> bool:
        """Tell whether the broker has sent something that was not read yet."""
        transport = self._wire.transport
        if transport._read_buffer:
            return True
        pending = getattr(transport.sock, "pending", None)  # TLS may have taken it from the socket already
        if pending and pending():
            return True
        looking = select.poll()
        looking.register(transport.sock, select.POLLIN)
        return bool(looking.poll(0))

    def _next(self) -> Delivery:
        delivery = self._waiting.popleft()
        self._bytes -= len(delivery.incoming.body)
        return delivery

    def _drain(self, seconds: float, *, most: int = 1) -> bool:
        """Read what the broker says next, and what came with it, up to ``most``; False if it says nothing so long."""
        self._say_that_we_live()
        with self._asking():
            transport = self._wire.transport
            try:
                # What was taken ahead needs no time, and setting one costs two calls of the system.
                self._wire.drain_events(timeout=None if transport._read_buffer else max(seconds, SHORTEST))
                while transport._read_buffer and len(self._waiting) < most and self._bytes < GATHERED_BYTES:
                    self._wire.on_inbound_frame(transport.read_frame())
            except TimeoutError:
                return False
        return True

    def _say_that_we_live(self) -> None:
        if monotonic() - self._beat_at < BEAT_EVERY:
            return
        self._beat_at = monotonic()
        with self._asking():
            self._connection_of().transport.heartbeat_check(self._wire, rate=BEATS)

    def _on_delivery(self, message: Any) -> None:
        body = message.body if isinstance(message.body, bytes) else str(message.body).encode("utf-8", "surrogatepass")
        info, given = message.delivery_info, message.properties
        properties = {name: value for name, value in given.items() if name in PROPERTIES and value is not None}
        if "timestamp" in properties:
            properties["timestamp"] = as_seconds(properties["timestamp"])
        incoming = Incoming(
            source=self._source.name,
            queue=self._source.queue,
            body=body,
            properties=properties,
            headers=given.get("application_headers") or {},
            exchange=info["exchange"],
            routing_key=info["routing_key"],
            redelivered=bool(info["redelivered"]),
        )
        self._bytes += len(body)
        self._waiting.append(Delivery(message.delivery_tag, incoming))

    def _cancel(self) -> None:
        if self._tag:
            tag, self._tag = self._tag, ""
            self._channel.basic_cancel(tag)
            # A quorum queue may deliver after it has agreed to stop. The client would reject what nobody waits for.
            self._channel.callbacks[tag] = self._on_delivery

    @contextmanager
    def _asking(self, *, refusals: bool = False) -> Iterator[None]:
        """Turn what the broker raises into ``BrokerAway``, and with ``refusals`` what it refuses into that."""
        try:
            yield
        except BrokerAway:
            raise
        except Exception as error:
            connection = self._connection
            if connection is None:
                raise
            code = getattr(error, "reply_code", None)
            if refusals and code and isinstance(error, connection.channel_errors):
                raise refusal_of(self._source.queue, connection, error) from error
            away: tuple[type[BaseException], ...] = (
                *connection.connection_errors,
                *connection.channel_errors,
                OSError,
            )
            if isinstance(error, away):
                raise BrokerAway(f"{type(error).__name__}: {error}") from error
            raise

    def _connection_of(self) -> Connection:
        if self._connection is None:
            raise BrokerAway(f"the connection for {self._source.name} is closed")
        return self._connection
