"""``outbox.testing`` for what is forwarded, and for the receipts of either side, without a broker."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from outbox import Message, Reject, receive, registry, sources
from outbox.declared import Consumer
from outbox.errors import OutboxError
from outbox.external.receipts import sending
from outbox.models import ReceiptCount
from outbox.testing import Delivery, Forwarded, captured_forwards, deliver_pending, deliver_receipt, receive_from
from tests.harness.messages import publish_message, state_of
from tests.outbox.conftest import Listen
from tests.outbox.external.receipts.conftest import NAME

pytestmark = pytest.mark.django_db

NOBODY = "amqp://guest:guest@127.0.0.1:1//"
"""A broker at a port where nobody listens."""

Invoice = Callable[..., Consumer]


@pytest.fixture
def invoice(awaiting: Callable[..., Consumer], configure: Callable[..., None]) -> Invoice:
    """Make a forward to a broker that is away, whose receiver has a secret."""
    configure(BROKERS={"partner": NOBODY})

    def make(**options: Any) -> Consumer:
        return awaiting(broker="partner", **options)

    return make


@pytest.fixture
def shop(configure: Callable[..., None]) -> Iterator[None]:
    """A source whose sender is told what becomes of its messages."""
    configure(RECEIPT_SECRETS={"shop": "the secret of us and the shop"})
    receive("shop.events", source="shop", topic="test.sold", receipts=True)
    sending.add_receipt_consumers()
    yield
    registry.forget_consumer("shop.receipts")
    sources.forget_source("shop")


def send(**options: Any) -> tuple[list[Delivery], list[Forwarded]]:
    with captured_forwards() as forwarded:
        deliveries = deliver_pending(NAME, **options)
    return deliveries, forwarded


def test_what_is_forwarded_is_confirmed_and_collected_though_its_broker_is_away(invoice):
    invoice(receipt=None, receiver="")
    id = publish_message(key="17", order=17)
    assert [delivery.outcomes for delivery in deliver_pending(NAME)] == [("unavailable",)]

    [delivery], [forwarded] = send(ignore_waits=True)

    assert delivery.outcomes == ("success",)
    assert (forwarded.broker, forwarded.exchange, forwarded.routing_key) == ("partner", "test.nowhere", "test.sold")
    assert (forwarded.payload, forwarded.headers["x-outbox-key"]) == ({"order": 17}, "17")
    assert forwarded.properties["message_id"] == Message.objects.get(pk=id).idempotency_key


def test_what_waits_for_a_receipt_is_sent_and_a_success_once_it_is_consumed(invoice):
    invoice()
    id = publish_message()

    [delivery], [forwarded] = send()

    assert (delivery.outcomes, state_of(id).status) == (("sent",), "started")
    assert send() == ([], [])

    assert deliver_receipt(forwarded) == "consumed"
    assert state_of(id).status == "success"
    assert deliver_receipt(forwarded) == "settled"


def test_a_receiver_that_failed_is_sent_the_message_again_and_its_first_receipt_is_late(invoice):
    invoice()
    id = publish_message()
    _deliveries, [first] = send()

    assert deliver_receipt(first, "failed", detail="no such account") == "failed"
    assert (state_of(id).status, "no such account" in state_of(id).last_error) == ("pending", True)

    [delivery], [second] = send(ignore_waits=True)

    assert delivery.outcomes == ("sent",)
    assert [one.headers["x-outbox-attempt"] for one in (first, second)] == [1, 2]
    assert first.properties["message_id"] == second.properties["message_id"]
    assert deliver_receipt(first, "failed") == "late"
    assert deliver_receipt(second, "rejected", detail="no customer of ours") == "rejected"
    assert (state_of(id).status, state_of(id).reason) == ("failed", "rejected")


def test_a_receipt_is_signed_with_the_receivers_secret_or_it_does_nothing(invoice):
    invoice()
    id = publish_message()
    _deliveries, [forwarded] = send()

    assert deliver_receipt(forwarded, secret="another") == "signature"
    assert deliver_receipt(forwarded, secret="") == "signature"
    assert state_of(id).status == "started"
    assert dict(ReceiptCount.objects.values_list("kind", "many")) == {"signature": 2}


def test_a_receiver_with_a_queue_of_its_own_signs_nothing(invoice):
    invoice(receiver="courier")
    id = publish_message()
    _deliveries, [forwarded] = send()

    assert deliver_receipt(forwarded) == "consumed"
    assert state_of(id).status == "success"


def test_nobody_waits_for_the_receipt_of_a_forward_that_has_none(invoice):
    invoice(receipt=None, receiver="")
    publish_message()
    _deliveries, [forwarded] = send()

    with pytest.raises(OutboxError, match="nobody waits for a receipt of this"):
        deliver_receipt(forwarded)


@pytest.mark.parametrize(("raises", "outcome"), [(None, "consumed"), (Reject("never"), "rejected")])
def test_what_we_tell_a_sender_can_be_seen_without_a_broker(listen: Listen, shop: None, raises, outcome):
    def take(_message: Message) -> None:
        if raises:
            raise raises

    listen(take)
    wants = {"x-outbox-receipts": "theirs.receipts", "x-outbox-receiver": "us", "x-outbox-attempt": 3}
    assert receive_from("shop", {"order": 7}, message_id="17", headers=wants) == "taken"

    with captured_forwards() as forwarded:
        deliver_pending()

    [receipt] = forwarded
    assert (receipt.broker, receipt.exchange, receipt.routing_key) == ("", "", "theirs.receipts")
    said = {name: receipt.payload[name] for name in ("message_id", "attempt", "receiver", "outcome")}
    assert said == {"message_id": "17", "attempt": 3, "receiver": "us", "outcome": outcome}
