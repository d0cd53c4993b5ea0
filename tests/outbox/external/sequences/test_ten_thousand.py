"""Ten thousand messages from a sender to a receiver, with RabbitMQ between them and a hole in the line."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pika
import pytest
from django.db.models.functions import Now

from outbox import receive, sources
from outbox.delivery import chunks
from outbox.external import heartbeats
from outbox.external.ingest.taking_in import take_in
from outbox.external.sequences.explaining import explain
from outbox.models import Gap, Message, SequenceStream, WatchedStream
from outbox.sources import Incoming
from tests.harness.messages import publish_messages
from tests.harness.subscribers import parameters_of
from tests.outbox.external.conftest import NAME
from tests.outbox.external.sequences.conftest import gaps

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched", "rabbit")]

MANY = 10_000
STREAM = f"{NAME}/test.sold"
LIMIT = timedelta(milliseconds=300)


class Line:
    """A queue at the broker, and the way from there to the receiver, on which a message may be lost."""

    def __init__(self, url: str, exchange: str) -> None:
        self._connection = pika.BlockingConnection(parameters_of(url))
        self._channel = self._connection.channel()
        self._channel.exchange_declare(exchange, "topic", durable=True)
        self._queue = self._channel.queue_declare("", exclusive=True).method.queue
        self._channel.queue_bind(self._queue, exchange, "test.#")
        self.lost: list[Incoming] = []

    def pass_on(self, *, but: int = 0) -> None:
        """Give the receiver what is there, two hundred at a time, but for the message of this number."""
        source, batch = sources.get_source("partner"), []
        while (got := self._channel.basic_get(self._queue, auto_ack=True))[0] is not None:
            _method, properties, body = got
            known = {"message_id": properties.message_id, "type": properties.type}
            came = Incoming(source="partner", queue="q", body=body, properties=known, headers=properties.headers)
            if came.headers["x-outbox-sequence"] == but and "x-outbox-notice" not in came.headers:
                self.lost.append(came)
            else:
                batch.append(came)
        for at in range(0, len(batch), 200):
            take_in(source, batch[at : at + 200])

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def line(lead, exchange, broker_url, listen, configure) -> Iterator[Line]:
    configure(GAP_LIMIT=LIMIT)
    listen(topic="test.taken", name="test.taken")
    receive("partner.events", source="partner", topic="test.taken")
    lead(sequence=True)
    line = Line(broker_url, exchange.name)
    yield line
    line.close()
    sources.forget_source("partner")


def tell() -> None:
    SequenceStream.objects.update(due_at=Now())
    heartbeats.make_pass()


def send(many: int) -> list[int]:
    ids = publish_messages(many)
    while Message.objects.filter(consumer=NAME, finished_at__isnull=True).exists():
        chunks.deliver(NAME, ids[:500])
    return ids


@pytest.mark.parametrize("dropped", [4_711, MANY])
def test_one_of_ten_thousand_is_named_within_the_limit_and_a_late_one_closes_it(line, dropped):
    ids = send(MANY)
    tell()

    line.pass_on(but=dropped)
    tell()
    line.pass_on()
    at_once = gaps()
    time.sleep(LIMIT.total_seconds())
    tell()
    line.pass_on()
    named = gaps()
    [explained] = explain(STREAM, dropped)
    take_in(sources.get_source("partner"), line.lost)

    assert at_once == []
    assert named == [(dropped, dropped, "sent")]
    assert (explained.word, explained.message.pk) == ("sent", ids[dropped - 1])
    assert gaps() == []
    assert Gap.objects.get().end == "came"
    assert Message.objects.filter(topic="test.taken").count() == MANY
    assert WatchedStream.objects.get().high == MANY
