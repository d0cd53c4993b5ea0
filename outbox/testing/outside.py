"""What other systems send to us, and what we send to them, without a broker."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from kombu import Exchange

from outbox import sources
from outbox.conf import conf
from outbox.errors import OutboxError
from outbox.external.ingest.taking_in import take_in
from outbox.external.parcels import Parcel
from outbox.external.publisher import Publisher
from outbox.external.receipts import taking_in as receipts
from outbox.external.receipts.receipt import CONSUMED, Receipt
from outbox.models import Quarantined, ReceiptCount
from outbox.sources import ATTEMPT_HEADER, RECEIPTS_HEADER, RECEIVER_HEADER, Incoming, Source
from outbox.testing.hints import silenced


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What was given to a broker: by a forward, or as a receipt of ours."""

    broker: str
    """Its name in ``OUTBOX["BROKERS"]``; empty: Celery's."""
    exchange: str
    routing_key: str
    body: bytes = field(repr=False)
    properties: Mapping[str, Any]
    headers: Mapping[str, Any]

    @property
    def payload(self) -> Any:
        """What the body says as JSON."""
        return json.loads(self.body)


@contextmanager
def captured_forwards() -> Iterator[list[Forwarded]]:
    """Confirm at once what is sent to other systems in the block, and collect it in a list; no broker is asked.

    That is what forwards send, and the receipts of sources with ``receipts=True``. Deliver in the block, as by
    ``deliver_pending``. The outcome of a forward that waits for a receipt is "sent"; ``deliver_receipt`` goes on.
    """
    sent: list[Forwarded] = []

    def publish(publisher: Publisher, parcels: Sequence[Parcel], exchange: Exchange, *, until: float) -> None:  # noqa: ARG001
        for parcel in parcels:
            envelope = parcel.envelope
            parts = envelope.body, dict(envelope.properties), dict(envelope.headers)
            sent.append(Forwarded(publisher.broker, exchange.name, parcel.routing_key, *parts))
            parcel.confirmed = True

    with mock.patch.object(Publisher, "publish", publish):
        yield sent


def deliver_receipt(of: Forwarded, outcome: str = CONSUMED, *, detail: str = "", secret: str | None = None) -> str:
    """Take in a receipt as if the receiver of a forward had sent it; return what it came to.

    That is "consumed", "failed" or "rejected", or why it has done nothing, as "late", "settled" or "signature".
    ``outcome`` is one of the first three; ``of`` is what was forwarded, and says of which attempt it is. It is signed
    with the receiver's secret in ``OUTBOX["RECEIVERS"]``, if there is one, or with ``secret``.
    """
    receiver = str(of.headers.get(RECEIVER_HEADER, ""))
    source = _source_of_receipts(of)
    if source is None:
        raise OutboxError("deliver_receipt(): nobody waits for a receipt of this; its forward() has no receipt=")
    known = conf().receivers.get(receiver, "") if secret is None else secret
    said = Receipt(str(of.properties["message_id"]), of.headers[ATTEMPT_HEADER], receiver, outcome, detail)
    before = _receipts_so_far()
    with silenced():
        receipts.take_in(source, [Incoming(source=source.name, queue=source.queue, body=said.as_json(known))])
    [kind] = [kind for kind, many in _receipts_so_far().items() if many != before.get(kind, 0)]
    return kind


def _source_of_receipts(of: Forwarded) -> Source | None:
    queue = of.headers.get(RECEIPTS_HEADER)
    for source in sources.all_sources():
        if source.receipts_of is not None and (source.queue, source.broker) == (queue, of.broker):
            return source
    return None


def _receipts_so_far() -> dict[str, int]:
    return dict(ReceiptCount.objects.values_list("kind", "many"))


def receive_from(
    source: str,
    payload: object,
    *,
    headers: Mapping[str, object] | None = None,
    routing_key: str = "",
    **properties: object,
) -> str:
    """Take in a message as if the source had sent it, without a broker; return what became of it.

    That is "taken", "known", or why it stands in quarantine, as "unknown_topic"; "noted" of a sender's notice about its
    numbers. ``payload`` is sent as JSON, unless it is bytes. ``properties`` are AMQP's: ``message_id``, ``type`` and
    so on.
    """
    declared = sources.get_source(source)
    if declared is None:
        raise OutboxError(f"receive_from({source!r}): no receive() in a consumers.py has this source")
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    came = Incoming(
        source=source,
        queue=declared.queue,
        body=body,
        properties=properties,
        headers=headers or {},
        routing_key=routing_key,
    )
    with silenced():
        outcome = take_in(declared, [came])
    if outcome.taken or outcome.known:
        return "taken" if outcome.taken else "known"
    if not outcome.quarantined and not outcome.left:
        return "noted"
    reason = Quarantined.objects.order_by("-last_at", "-pk").values_list("reason", flat=True).first()
    return str(reason or "quarantine is full")
