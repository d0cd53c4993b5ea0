"""Our receipts: a forward for each source with ``receipts=True`` that tells its sender what became of its messages.

What is sent is looked up when it is sent, so it is what all consumers here have committed by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kombu import Exchange

from outbox import registry, sources
from outbox.conf import conf
from outbox.declared import Consumer
from outbox.external.envelopes import PERSISTENT, Envelope
from outbox.external.forwarding import CHUNK, Forward
from outbox.external.parcels import Parcel
from outbox.external.receipts.receipt import CONSUMED, FAILED, REJECTED, Receipt
from outbox.models import Message, Resolution
from outbox.policy import Reason
from outbox.sources import Source, receipts_consumer

Event = tuple[str, str]
"""Topic and key."""
DEADLINE = timedelta(days=7)


@dataclass(frozen=True)
class ReceiptRelay(Forward):
    """Sends receipts to the queue that each message names, at the broker from which it came."""

    source: str = ""

    @property
    def destination(self) -> str:
        """Where the receipts go, as operators know it."""
        return f"the queue of receipts of {self.source}" + (f", broker {self.broker}" if self.broker else "")

    def send(self, messages: Sequence[Message], *, until: float) -> list[BaseException | None]:
        """Send what there is to tell. Where a consumer is still at work there is nothing yet; its own end tells it."""
        ends = ends_of([(message.payload["topic"], message.payload["key"]) for message in messages])
        parcels: dict[int, Parcel] = {}
        for message in messages:
            end = ends.get((message.payload["topic"], message.payload["key"]))
            if end is not None:
                parcels[message.pk] = self._parcel(message, *end)
        errors = self.publish(list(parcels.values()), until=until) if parcels else []
        told = dict(zip(parcels, errors, strict=True))
        return [told.get(message.pk) for message in messages]

    def _parcel(self, message: Message, outcome: str, detail: str) -> Parcel:
        wanted = message.payload
        receipt = Receipt(wanted["message_id"], wanted["attempt"], wanted["receiver"], outcome, detail)
        properties = {
            "message_id": message.idempotency_key,
            "type": "receipt",
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "delivery_mode": PERSISTENT,
        }
        body = receipt.as_json(conf().receipt_secrets.get(self.source, ""))
        return Parcel(Envelope(body, properties, {}), wanted["queue"])


def ends_of(events: Sequence[Event]) -> dict[Event, tuple[str, str]]:
    """Return of each event what became of it here, with a detail; nothing of one that is not over.

    *consumed* when all its consumers are done. *rejected* as soon as one has refused it for good, or a person has
    closed it otherwise; *failed* as soon as one was given up. Of a replayed event the newest replay counts.
    """
    rows = Message.objects.filter(key__in={key for _topic, key in events})
    columns = ("topic", "key", "consumer", "finished_at", "exhausted_at", "reason", "resolution")
    newest = {
        (row["topic"], row["key"], row["consumer"]): row
        for row in rows.filter(topic__in={topic for topic, _key in events}).order_by("replay").values(*columns)
    }
    of_event: dict[Event, list[dict[str, Any]]] = {}
    for (topic, key, _consumer), row in newest.items():
        of_event.setdefault((topic, key), []).append(row)
    found = {event: _end(of_event[event]) for event in events if event in of_event}
    return {event: end for event, end in found.items() if end is not None}


def _end(rows: Sequence[dict[str, Any]]) -> tuple[str, str] | None:
    told = [_told(row) for row in rows]
    for outcome in (REJECTED, FAILED):
        if bad := [detail for word, detail in told if word == outcome]:
            return outcome, bad[0]
    return (CONSUMED, "") if all(word == CONSUMED for word, _detail in told) else None


def _told(row: dict[str, Any]) -> tuple[str, str]:
    """Return what to tell of one consumer's row; no error is told, which may have what is not for others."""
    consumer = row["consumer"]
    if row["exhausted_at"] is not None:
        refused = row["reason"] == Reason.REJECTED
        return REJECTED if refused else FAILED, f"{consumer}: {row['reason'] or 'failed'}"
    if row["resolution"] not in (Resolution.NONE, Resolution.HANDLED):
        return REJECTED, f"{consumer}: {row['resolution']}"
    return (CONSUMED, "") if row["finished_at"] is not None else ("", "")


def add_receipt_consumers() -> None:
    """Make the consumer that sends receipts for each source whose sender is told."""
    for source in sources.all_sources():
        if source.receipts:
            registry.add(_consumer(source))


def _consumer(source: Source) -> Consumer:
    name = receipts_consumer(source.name)
    relay = ReceiptRelay(Exchange(""), source.broker, source=source.name)
    return Consumer(
        name=name,
        pattern=name,
        handler=relay.send,
        chunk=CHUNK,
        run=CHUNK,
        atomic=False,
        bulk=True,
        deadline=DEADLINE,
        overdue="discard",
        value=False,
        relay=relay,
    )
