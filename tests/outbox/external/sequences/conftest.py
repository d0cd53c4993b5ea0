"""A source whose messages have numbers, and its notices, as they would come."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from outbox import receive, sources
from outbox.external.envelopes import Envelope
from outbox.external.sequences.signs import heartbeat_of, void_of
from outbox.models import Gap, SequenceStream
from outbox.sources import Incoming, Source

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
STREAM = SequenceStream(forward="shop.orders", routing_key="order.eu", epoch="e1", since=LONG_AGO)
NAME = "shop.orders/order.eu"


@pytest.fixture
def partner(listen: Any) -> Iterator[Source]:
    """A source, and a consumer of what it sends."""
    listen(name="test.taken")
    receive("partner.events", source="partner", topic="test.sold")
    found = sources.get_source("partner")
    assert found is not None
    yield found
    sources.forget_source("partner")


def numbered(number: int, *, epoch: str = "e1", id: str = "", since: datetime | None = LONG_AGO) -> Incoming:
    """Return a message under this number, of an epoch that began then; None: the sender does not say when."""
    headers = {"x-outbox-stream": NAME, "x-outbox-sequence": number, "x-outbox-epoch": epoch}
    if since is not None:
        headers["x-outbox-epoch-since"] = since.isoformat()
    properties = {"message_id": id or f"{epoch} {number}"}
    return Incoming(source="partner", queue="partner.events", body=b"{}", headers=headers, properties=properties)


def void(number: int) -> Incoming:
    """Return the word that this number will never come."""
    return of(void_of(STREAM, number))


def beat(
    given: int,
    *,
    open: Sequence[int] = (),
    failed: Sequence[int] = (),
    epoch: str = "e1",
    since: datetime = LONG_AGO,
) -> Incoming:
    """Return a heartbeat."""
    stream = SequenceStream(forward="shop.orders", routing_key="order.eu", epoch=epoch, since=since)
    return of(heartbeat_of(stream, given, [(n, n) for n in open], [(n, n) for n in failed]))


def of(envelope: Envelope) -> Incoming:
    """Return what was sent as it comes."""
    return Incoming(
        source="partner",
        queue="partner.events",
        body=envelope.body,
        headers=envelope.headers,
        properties=envelope.properties,
    )


def gaps() -> list[tuple[int, int, str]]:
    """Return the gaps that are open."""
    return list(Gap.objects.open().order_by("first").values_list("first", "last", "said"))
