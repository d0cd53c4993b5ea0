"""Forwards: every message of a topic goes to an exchange of a broker, and is a success when the broker confirms it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from kombu import Exchange

from outbox import options, registry
from outbox.closings import Hook
from outbox.conf import conf
from outbox.declared import Consumer
from outbox.errors import ConsumerError
from outbox.external import brokers, envelopes
from outbox.external.parcels import Parcel
from outbox.external.sending import send_parcels
from outbox.external.sequences.explaining import numbers_of
from outbox.external.sequences.signs import Numbered
from outbox.policy import Backoff
from outbox.sources import RECEIPTS, RECEIPTS_HEADER, RECEIVER_HEADER, SOURCE, expect_receipts
from outbox.topics import NAME_LENGTH

if TYPE_CHECKING:
    from decimal import Decimal

    from outbox.drafts import Draft
    from outbox.models import Message

CHUNK = 500
ROUTING_KEY_BYTES = 255
ALL_OR_NONE = ("direct", "topic", "fanout")
"""Types of exchanges that give a queue all messages of a routing key or none of them."""


def forward(
    name: str,
    pattern: str,
    *,
    exchange: Exchange,
    routing_key: str = "",
    broker: str = "",
    format: str = envelopes.JSON,
    receipt: timedelta | None = None,
    receiver: str = "",
    sequence: bool = False,
    retry: Backoff | None = None,
    timeout: timedelta = timedelta(seconds=15),
    chunk: int = CHUNK,
    deadline: timedelta = timedelta(days=7),
    overdue: str = "fail",
    high_water: int | None = None,
    value: "bool | Callable[[Draft], tuple[Decimal | int, str] | None]" = True,
    on_handled: Hook | None = None,
    on_discarded: Hook | None = None,
    on_reopened: Hook | None = None,
    on_withdrawn: Hook | None = None,
    on_exhausted: Hook | None = None,
) -> None:
    """Send every message of the topics that match ``pattern`` to an exchange, for systems outside to consume.

    A forward is a consumer: each message has a row for it, with its own status, attempts and place at the desk. The row
    is a success when the broker has confirmed the message: it is in every queue that was bound to the exchange for it
    at that moment. At least once, always under the same ``message_id``; of one ordering key in order.

    - ``name``: its identity in the table, and the name of the queue of its hints. Never change it.
    - ``exchange``: kombu's ``Exchange``. It is declared here, unless ``passive=True``; queues belong to the receivers.
    - ``routing_key``: by default the topic of each message.
    - ``broker``: a name in ``OUTBOX["BROKERS"]``; by default Celery's broker.
    - ``format``: ``"json"``: the body is the payload; ``"cloudevents"``: a CloudEvents 1.0 event (structured JSON).
    - ``receipt``: how long ``receiver`` has to say that it has consumed a message. The broker's confirm is no success
      then: the row stays started until the receipt comes. Without one it is sent again, and an attempt is spent. Of an
      ordering key the next is sent when the receipt for the one before has come.
    - ``receiver``: who sends the receipts: one receiver, which has a secret in ``OUTBOX["RECEIVERS"]``, or a queue of
      receipts that is its own.
    - ``sequence``: number the messages of each routing key, so that receivers find out when one is missing. For few
      routing keys: each is a stream of its own, with a heartbeat. No exchange of headers.
    - ``chunk``: how many messages are sent together; 500.
    - ``timeout``: how long a chunk may take; 15 s.
    - ``retry``, ``deadline``, ``overdue``, ``high_water``, ``value`` and the hooks are those of ``consumer``.

    A message for which no queue is bound comes back: that is a failed attempt (*unroutable*). So is one over which the
    broker closes its channel (*refused*). A broker that is away, does not confirm in time or takes nothing spends no
    attempt.

    Raises ``ConsumerError`` at start-up for a wrong option, and for a name taken twice.
    """
    _check(name, exchange=exchange, routing_key=routing_key, broker=broker)
    _check_receipt(name, receipt=receipt, receiver=receiver, deadline=deadline)
    envelopes.check_format(name, format)
    _check_sequence(name, sequence, exchange)
    options.check_pattern(pattern)
    options.check_each(
        pattern,
        switches={},
        spans={"timeout": timeout, "deadline": deadline},
        counts={"chunk": chunk, "high_water": high_water},
        hooks={
            "on_handled": on_handled,
            "on_discarded": on_discarded,
            "on_reopened": on_reopened,
            "on_withdrawn": on_withdrawn,
            "on_exhausted": on_exhausted,
        },
    )
    options.check_kinds(pattern, retry=retry, sort=None, overdue=overdue, value=value, locked=(), ask=None)
    relay = Forward(exchange, broker, format, routing_key, receipt, receiver, sequence)
    entry = Consumer(
        name=name,
        pattern=pattern,
        handler=relay.send,
        retry=retry or Backoff(),
        timeout=timeout,
        chunk=chunk,
        run=chunk,
        atomic=False,
        bulk=True,
        deadline=deadline,
        high_water=high_water,
        overdue=overdue,
        value=value,
        on_handled=on_handled,
        on_discarded=on_discarded,
        on_reopened=on_reopened,
        on_withdrawn=on_withdrawn,
        relay=relay,
    )
    registry.add(entry, on_exhausted=on_exhausted)
    if receipt is not None:
        secret = receiver in conf().receivers
        expect_receipts(relay.receipts_queue, broker=broker, receiver="" if secret else receiver)


def _check(name: object, *, exchange: object, routing_key: object, broker: object) -> None:
    if not isinstance(name, str) or not name:
        raise ConsumerError(f'forward({name!r:.100}): its name comes first, as in forward("shop.orders", "order.#", …)')
    if not isinstance(exchange, Exchange):
        raise ConsumerError(
            f"forward {name}: exchange={exchange!r:.100} is no kombu.Exchange; write "
            'exchange=Exchange("orders", type="topic")'
        )
    if not isinstance(routing_key, str) or len(routing_key.encode()) > ROUTING_KEY_BYTES:
        raise ConsumerError(
            f"forward {name}: routing_key={routing_key!r:.100} is no text of up to {ROUTING_KEY_BYTES} bytes"
        )
    if not isinstance(broker, str) or not brokers.is_known(broker):
        raise ConsumerError(
            f'forward {name}: OUTBOX["BROKERS"] has no {broker!r:.100}; it has {sorted(conf().brokers)}'
        )


def _check_receipt(name: str, *, receipt: object, receiver: object, deadline: timedelta) -> None:
    if receipt is None and receiver == "":
        return
    if not isinstance(receipt, timedelta) or not timedelta(seconds=1) <= receipt < deadline:
        raise ConsumerError(
            f"forward {name}: receipt={receipt!r:.100} is no timedelta from a second up to the deadline, {deadline}"
        )
    if not isinstance(receiver, str) or not SOURCE.fullmatch(receiver):
        raise ConsumerError(
            f"forward {name}: receiver={receiver!r:.100} names nobody; with receipt= it is the one receiver that sends "
            "them, in letters, digits, “.”, “-” and “_”"
        )


def _check_sequence(name: str, sequence: object, exchange: Exchange) -> None:
    if not isinstance(sequence, bool):
        raise ConsumerError(f"forward {name}: sequence={sequence!r:.100} is neither True nor False")
    if sequence and exchange.type not in ALL_OR_NONE:
        raise ConsumerError(
            f"forward {name}: sequence=True needs an exchange of the type {', '.join(ALL_OR_NONE)}, not "
            f"{exchange.type!r:.50}: a queue would have some messages of a routing key and not the others, and every "
            "other number would be missing there"
        )
    if sequence and len(name) > NAME_LENGTH:
        raise ConsumerError(f"forward {name:.100}: its name is longer than {NAME_LENGTH} characters")


@dataclass(frozen=True)
class Forward:
    """Where the messages of a forward go, and in which form."""

    exchange: Exchange
    broker: str = ""
    format: str = envelopes.JSON
    routing_key: str = ""
    """Empty: the topic of each message."""
    receipt: timedelta | None = None
    receiver: str = ""
    sequence: bool = False

    @property
    def receipts_queue(self) -> str:
        """Where the receipts are waited for. A receiver without a secret has a queue that only it may write to."""
        queue = f"{conf().prefix}.{RECEIPTS}"
        return queue if self.receiver in conf().receivers else f"{queue}:{self.receiver}"

    @property
    def destination(self) -> str:
        """Where the messages go, as operators know it."""
        exchange = f"exchange {self.exchange.name or '(default)'}"
        return f"{exchange}, broker {self.broker}" if self.broker else exchange

    def send(self, messages: "Sequence[Message]", *, until: float) -> list[BaseException | None]:
        """Send the messages, up to a time of the monotonic clock; return of each what is wrong, None if confirmed."""
        numbers = numbers_of(messages) if self.sequence else {}
        parcels = [self._parcel_of(message, numbers.get(message.pk)) for message in messages]
        return self.publish(parcels, until=until)

    def publish(self, parcels: Sequence[Parcel], *, until: float) -> list[BaseException | None]:
        """Send parcels, up to a time of the monotonic clock; return of each what is wrong, None if confirmed."""
        return send_parcels(parcels, self.exchange, broker=self.broker, until=until)

    def _parcel_of(self, message: "Message", numbered: Numbered | None) -> Parcel:
        # What has a number goes where its stream goes, though the code may say something else by now.
        routing_key = numbered.routing_key if numbered else self.routing_key or message.topic
        try:
            envelope, error = envelopes.envelope_of(message, self.format), None
            if self.receipt is not None:
                envelope.headers.update({RECEIPTS_HEADER: self.receipts_queue, RECEIVER_HEADER: self.receiver})
            if self.sequence:
                envelope.headers.update(_number_of(numbered).headers)
        except Exception as raised:
            # One that cannot be put into its form is no harm to the others.
            envelope, error = envelopes.NOTHING, raised
        return Parcel(envelope, routing_key, message.ordering_key, error=error)


def _number_of(numbered: Numbered | None) -> Numbered:
    if numbered is None:
        raise RuntimeError("it has no number; a worker with the code before has started it")
    return numbered
