"""A forward that waits for the receipts of a partner, and receipts as they come."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now
from kombu import Exchange

from outbox import registry, sources
from outbox.declared import Consumer
from outbox.external.forwarding import forward
from outbox.external.receipts.taking_in import take_in
from outbox.models import AwaitedReceipt, Message, ReceiptCount
from outbox.sources import Incoming
from tests.harness.messages import publish_message, set_message
from tests.harness.remote import SECRET, sign
from tests.outbox.conftest import SLOW

NAME = "test.partner"
RECEIPT = timedelta(minutes=5)
EXHAUSTED = {"status": "failed", "exhausted_at": Now(), "finished_at": Now(), "lease_until": None, "holds_key": False}


@pytest.fixture
def awaiting(configure: Any) -> Iterator[Callable[..., Consumer]]:
    """Make forwards that wait for receipts, and are gone after the test; the partner has a secret."""
    configure(RECEIVERS={"partner": SECRET})
    known = {source.name for source in sources.all_sources()}
    names: list[str] = []

    def make(name: str = NAME, *, receiver: str = "partner", **options: Any) -> Consumer:
        registry.forget_consumer(name)
        usual = {"exchange": Exchange("test.nowhere", type="topic"), "retry": SLOW, "receipt": RECEIPT}
        forward(name, "test.sold", receiver=receiver, **{**usual, **options})
        names.append(name)
        entry = registry.get(name)
        assert entry is not None
        return entry

    yield make
    for name in names:
        registry.forget_consumer(name)
    for source in sources.all_sources():
        if source.name not in known:
            sources.forget_source(source.name)


@pytest.fixture
def sent(awaiting: Callable[..., Consumer]) -> Callable[..., Message]:
    """Publish a message that was sent to the partner, in its first attempt, as the delivery loop leaves it."""

    def make(*, confirmed: bool = True, **options: Any) -> Message:
        if registry.get(NAME) is None:
            awaiting()
        id = publish_message(**options)
        start(id)
        AwaitedReceipt.objects.expect([Message.objects.get(pk=id)], "partner")
        if confirmed:
            confirm(id)
        return Message.objects.get(pk=id)

    return make


def start(id: int) -> None:
    """Start the message."""
    Message.objects.filter(pk=id).update(
        status="started",
        attempts=F("attempts") + 1,
        started_at=Now(),
        lease_until=Now() + timedelta(seconds=25),
        worker="worker",
    )


def confirm(id: int) -> None:
    """Note that the broker has it."""
    fence = Message.objects.get(pk=id).fence
    AwaitedReceipt.objects.note_sent([fence])
    Message.objects.held([fence]).mark_sent(RECEIPT)


def receipt_of(message: Message, outcome: str = "consumed", *, secret: str = SECRET, **other: Any) -> dict[str, Any]:
    """Return a receipt for the message, signed."""
    said = {"message_id": message.idempotency_key, "attempt": message.attempts, "receiver": "partner"}
    return sign({**said, "outcome": outcome, "detail": "", **other}, secret)


def come(*receipts: Any, source: str = "receipts") -> tuple[int, int]:
    """Apply receipts that have come to a queue."""
    declared = sources.get_source(source)
    assert declared is not None, [one.name for one in sources.all_sources()]
    bodies = [said if isinstance(said, bytes) else json.dumps(said).encode() for said in receipts]
    return take_in(declared, [Incoming(source=source, queue=declared.queue, body=body) for body in bodies])


def counts() -> dict[str, int]:
    """Return how many receipts of which kind have come."""
    return dict(ReceiptCount.objects.values_list("kind", "many"))


def exhaust(message: Message) -> Message:
    """Give it up, as the machine does after the last attempt that nobody answered."""
    set_message(message.pk, attempt_limit=F("attempts"), reason="no_receipt", last_error="silent", **EXHAUSTED)
    return Message.objects.get(pk=message.pk)
