"""A connection on which messages are published to others: mandatory, and each confirmed by its own tag.

Confirms are pipelined: many messages are under way on one channel at once. Of those with one ordering key only one is,
for the broker may confirm a later one and refuse an earlier one.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from time import monotonic
from typing import Any

import amqp
from kombu import Connection, Exchange

from outbox.broker.confirming import ALARM, ConfirmingConnection, tags_of
from outbox.conf import conf
from outbox.errors import BrokerAway, BrokerRefuses, Unavailable, Unroutable
from outbox.external import brokers
from outbox.external.frames import frames_of
from outbox.external.parcels import Parcel, UnderWay

log = logging.getLogger("outbox.external")

WRITTEN_AT_ONCE = 64 * 1024
"""Bytes after which what was gathered is written."""
FORCED = 320
"""What a broker says as it closes a connection because it ends itself, or because an operator says so."""

NO_ROUTE = (
    "{exchange} has no queue for the routing key {routing_key!r}; whoever receives the message binds one, and this one "
    "then succeeds when it is tried again"
)


class ClosedByBroker(Exception):
    """The broker has closed the channel, or the connection, over something that was published; ``said`` is why."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"{code} {said}")


class ConnectionGone(Unavailable):
    """The connection broke after it had been opened; a new one may do."""


class OutOfTime(Exception):
    """The broker has not answered in time."""


class Publisher(ConfirmingConnection):
    """The connection of a thread that forwards, to one broker."""

    def __init__(self, broker: str) -> None:
        super().__init__()
        self.broker, self.setting = broker, brokers.setting_of(broker)
        self._blocked = False
        self._declared: set[Exchange] = set()
        self._under_way = UnderWay(Exchange(""))

    def publish(self, parcels: Sequence[Parcel], exchange: Exchange, *, until: float) -> None:
        """Publish the parcels and note on each what became of it.

        Raises ``ClosedByBroker`` if the broker breaks off over one of those that are not settled then, ``Unavailable``
        if it is away, does not answer in time, or takes nothing. Then the connection is gone.
        """
        is_open = False
        try:
            self._open_for(exchange)
            is_open = True
            if self._confirms:
                self._publish_confirmed(parcels, exchange, until)
            else:
                self._publish_to_files(parcels, exchange)
        except Exception as error:
            # Libraries raise anything on a connection that breaks. Nothing is known of what is not settled.
            self.abandon()
            raise self._in_our_words(error, is_open=is_open) from error
        self._used_at = monotonic()

    def _open_for(self, exchange: Exchange) -> None:
        """Open the connection, a new one in place of one that was idle and is gone, and declare the exchange."""
        if self._was_idle and not self._answers():
            self.abandon()
        self._open()
        self._declare(exchange)

    def _candidates(self) -> Iterator[Connection]:
        return brokers.connections_to_send(self.broker, on_blocked=self._on_blocked)

    def _forget(self) -> None:
        super()._forget()
        self._blocked, self._declared = False, set()
        self._under_way = UnderWay(Exchange(""))

    def _answers(self) -> bool:
        """Ask an idle connection for an answer. What was declared is declared again: it may be gone."""
        self._declared = set()
        if not self._confirms:
            return True
        try:
            self._be_patient_with_idle()
            self._channel.flow(True)
            self._be_patient()
        except Exception as error:
            log.info("the idle connection to %s was gone; a new one is opened: %r", self.broker or "the broker", error)
            return False
        return True

    def _declare(self, exchange: Exchange) -> None:
        """Declare the exchange, once for a connection."""
        if exchange in self._declared:
            return
        try:
            exchange(self._channel).declare()
        except amqp.exceptions.ChannelError as error:
            raise Unavailable(_not_declared(exchange, self.broker, error)) from error
        self._declared.add(exchange)

    def _publish_confirmed(self, parcels: Sequence[Parcel], exchange: Exchange, until: float) -> None:
        way = self._under_way = UnderWay(exchange)
        way.line_up(parcels)
        while way.ready or way.by_tag:
            self._write_what_has_its_turn(until)
            if way.by_tag:
                self._read(min(until - monotonic(), conf().confirm_timeout.total_seconds()))

    def _write_what_has_its_turn(self, until: float) -> None:
        """Write as many messages as there is room for, many by one call. Nothing more is begun once time is up."""
        way, written = self._under_way, bytearray()
        if way.ready and monotonic() >= until:
            way.ready.clear()
        while way.ready and way.has_room_for(way.ready[0]):
            parcel = way.ready.popleft()
            try:
                written += frames_of(
                    parcel.envelope,
                    channel=self._channel.channel_id,
                    frame_max=self._wire.frame_max,
                    exchange=way.exchange.name,
                    routing_key=parcel.routing_key,
                )
            except Exception as error:
                # A message that AMQP cannot say has failed, and is no harm to the others.
                parcel.error = error
                continue
            self._tag += 1
            way.begin(self._tag, parcel)
            if len(written) >= WRITTEN_AT_ONCE:
                self._wire.transport.write(bytes(written))
                written.clear()
        if written:
            self._wire.transport.write(bytes(written))

    def _read(self, seconds: float) -> None:
        """Take in what the broker says next."""
        if self._blocked:
            raise Unavailable(ALARM)
        if seconds <= 0:
            raise OutOfTime
        self._wire.blocking_read(seconds)

    def _on_ack(self, tag: int, multiple: bool) -> None:
        for parcel in self._up_to(tag, multiple):
            message_id = parcel.envelope.properties["message_id"]
            if message_id in self._under_way.returned:
                exchange = f"the exchange {self._under_way.exchange.name or '(default)'}"
                parcel.error = Unroutable(NO_ROUTE.format(exchange=exchange, routing_key=parcel.routing_key))
                continue
            parcel.confirmed = True
            if behind := self._under_way.behind.get(parcel.ordering_key):
                self._under_way.ready.append(behind.popleft())

    def _on_nack(self, tag: int, multiple: bool) -> None:
        for parcel in self._up_to(tag, multiple):
            parcel.error = Unavailable("the broker did not take it (nack): a queue is full, or has lost its quorum")

    def _on_return(self, _error: Exception, _exchange: str, _routing_key: str, message: Any) -> None:
        self._under_way.returned.add(message.properties.get("message_id"))

    def _on_blocked(self, _reason: str) -> None:
        self._blocked = True

    def _up_to(self, tag: int, multiple: bool) -> list[Parcel]:
        by_tag = self._under_way.by_tag
        parcels = [by_tag.pop(sent) for sent in tags_of(tag, multiple, by_tag) if sent in by_tag]
        self._under_way.size -= sum(len(parcel.envelope.body) for parcel in parcels)
        for parcel in parcels:
            parcel.sent = False
        return parcels

    def _publish_to_files(self, parcels: Iterable[Parcel], exchange: Exchange) -> None:
        """Publish where there are no confirms: what is written is taken. Who listens is read from the bindings."""
        channel, stopped = self._channel, set()
        for parcel in parcels:
            if parcel.ordering_key and parcel.ordering_key in stopped:
                continue
            if not _has_queue(channel, exchange, parcel.routing_key):
                name = f"the exchange {exchange.name or '(default)'}"
                parcel.error = Unroutable(NO_ROUTE.format(exchange=name, routing_key=parcel.routing_key))
                stopped.add(parcel.ordering_key)
                continue
            envelope, properties = parcel.envelope, dict(parcel.envelope.properties)
            types = properties.pop("content_type"), properties.pop("content_encoding")
            message = channel.prepare_message(
                envelope.body.decode(), None, *types, headers=envelope.headers, properties=properties
            )
            channel.basic_publish(message, exchange=exchange.name, routing_key=parcel.routing_key)
            parcel.confirmed = True

    def _in_our_words(self, error: Exception, *, is_open: bool) -> ClosedByBroker | Unavailable:
        code = getattr(error, "reply_code", None)
        if isinstance(error, Unavailable):
            return error
        if is_open and isinstance(error, amqp.AMQPError) and code not in (None, 0, FORCED):
            return ClosedByBroker(code, str(error.reply_text))
        said = f"{brokers.name_of(self.broker)}: {_describe(error)}"
        if is_open and not isinstance(error, OutOfTime | TimeoutError):
            return ConnectionGone(said)
        return Unavailable(said)


def _has_queue(channel: Any, exchange: Exchange, routing_key: str) -> bool:
    if not exchange.name:
        return bool(channel._has_queue(routing_key))
    table = channel.get_table(exchange.name)
    return bool(channel.typeof(exchange.name).lookup(table, exchange.name, routing_key, None))


def _not_declared(exchange: Exchange, broker: str, error: Any) -> str:
    return (
        f"{brokers.name_of(broker)} refuses the exchange {exchange.name} ({error.reply_code} {error.reply_text}): "
        "correct its declaration, or ask for the rights; passive=True if others declare it"
    )


def _describe(error: BaseException) -> str:
    match error:
        case OutOfTime():
            return "it did not confirm in time"
        case BrokerAway() | BrokerRefuses():
            return str(error)
        case TimeoutError():
            return "it does not answer"
    return repr(error)
