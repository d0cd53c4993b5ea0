"""While one batch is written the next is read, by a second thread that has the feed alone for as long."""

import threading
import time
from typing import Any

import pytest

from outbox.errors import BrokerAway
from outbox.external.ingest import receiver
from outbox.external.ingest.feed import Delivery, Feed
from outbox.external.ingest.receiver import BUSY, Receiver
from outbox.models import Message, SourceState

pytestmark = pytest.mark.django_db(transaction=True)


class HandedOver(Feed):
    """A feed without a broker: what its test has put into it is delivered, and what is asked of it is noted."""

    def __init__(self, source: Any, stopping: threading.Event) -> None:
        super().__init__(source)
        self.coming: list[Delivery] = []
        self.asked: list[Any] = []
        self.wrong: list[BaseException] = []
        self.has_it: list[int] = []
        self._stopping = stopping
        self._nothing_more = threading.Event()

    def deliver(self, *incoming: Any) -> None:
        """Have these come, in this order."""
        first = len(self.coming) + 1
        self.coming += [Delivery(first + number, one) for number, one in enumerate(incoming)]

    def open(self) -> None:
        self.asked.append("open")

    def consume(self, *, prefetch: int = 0) -> None:
        """Whatever prefetch is asked for."""

    def stop_consuming(self) -> None:
        """There is no broker."""

    def close(self) -> None:
        self.asked.append("close")
        self._waiting.clear()

    def ack(self, deliveries: Any, *, all_before: bool) -> None:
        assert self.has_it == [], "acknowledged while the other thread has the feed"
        assert Message.objects.count() >= deliveries[-1].tag, "acknowledged before it was committed"
        self.asked.append(("ack", deliveries[-1].tag))

    def read_ahead(self, read: Any, *, most: int, may_go_on: Any) -> None:
        self.has_it.append(threading.get_ident())
        self.asked.append("ahead")
        if self.wrong:
            self.has_it.clear()
            raise self.wrong.pop()
        super().read_ahead(read, most=most, may_go_on=lambda: not self._nothing_more.is_set())
        while may_go_on():
            time.sleep(0.001)
        time.sleep(0.05)
        self.has_it.clear()

    def _drain(self, seconds: float, *, most: int = 1) -> bool:
        if not self.coming:
            self._nothing_more.set()
            self._stopping.wait(min(seconds, 0.01))
            return False
        self._bytes += len(self.coming[0].incoming.body)
        self._waiting.append(self.coming.pop(0))
        return True

    def _is_more_there(self) -> bool:
        if not self.coming and not self._waiting and self.asked.count("ahead"):
            self._stopping.set()
        return bool(self.coming)


@pytest.fixture
def hand_over(source):
    """Make a receiver of a source whose topics are told by ``topic``, with its feed, and run it to the end."""

    def make(topic: Any = "test.sold") -> tuple[HandedOver, Any]:
        stopping = threading.Event()
        declared = source(topic=topic)
        feed = HandedOver(declared, stopping)
        under_test = Receiver(declared, stopping)
        under_test._feed = feed

        def run() -> None:
            guard = threading.Timer(30, stopping.set)
            guard.start()
            under_test.run()
            guard.cancel()

        return feed, run

    return make


def test_the_next_batch_is_read_while_this_one_is_written_and_each_message_once(hand_over, came, monkeypatch):
    monkeypatch.setattr(receiver, "BATCH", BUSY)
    read_by: list[tuple[str, bool]] = []

    def topic(message):
        read_by.append((message.properties["message_id"], threading.current_thread().name.endswith(".ahead")))
        return "test.sold"

    feed, run = hand_over(topic)
    ids = [str(number) for number in range(3 * BUSY)]
    feed.deliver(*map(came, ids))

    run()

    assert [id for id, _ahead in read_by] == ids
    assert {ahead for id, ahead in read_by if int(id) < BUSY} == {False}
    assert {ahead for id, ahead in read_by if int(id) >= BUSY} == {True}
    assert Message.objects.count() == 3 * BUSY
    assert SourceState.objects.values_list("taken", "known").get() == (3 * BUSY, 0)


def test_what_was_delivered_before_is_not_read_ahead(hand_over, came, monkeypatch):
    monkeypatch.setattr(receiver, "BATCH", BUSY)
    read_ahead: list[str] = []

    def topic(message):
        if threading.current_thread().name.endswith(".ahead"):
            read_ahead.append(message.properties["message_id"])
        return "test.sold"

    feed, run = hand_over(topic)
    feed.deliver(*(came(str(number)) for number in range(BUSY + 2)), came("again", redelivered=True), came("last"))

    run()

    assert read_ahead == [str(BUSY), str(BUSY + 1)]
    assert Message.objects.count() == BUSY + 4


def test_a_broker_that_goes_away_meanwhile_takes_nothing_along_that_was_committed(hand_over, came, monkeypatch):
    monkeypatch.setattr(receiver, "PAUSE", 0.01)
    feed, run = hand_over()
    feed.deliver(*(came(str(number)) for number in range(BUSY)))
    feed.wrong.append(BrokerAway("connection reset"))

    run()

    assert feed.asked[:4] == ["open", "ahead", "close", "open"]
    assert not any(asked[0] == "ack" for asked in feed.asked)
    assert Message.objects.count() == BUSY
