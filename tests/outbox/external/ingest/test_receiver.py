"""What a receiver does with what its broker sends, step by step, on a feed of the test's own."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import OperationalError

from outbox.delivery.database_errors import Fault
from outbox.errors import BrokerAway
from outbox.external.ingest import holds, in_hand, receiver
from outbox.external.ingest.feed import Delivery
from outbox.external.ingest.reading import whole_digest
from outbox.external.ingest.receiver import PREFETCH, Receiver
from outbox.models import InHand, Message, Quarantined, SourceHold, SourceState
from outbox.sources import Incoming, Source

pytestmark = pytest.mark.django_db(transaction=True)


class ScriptedFeed:
    """Gives batch after batch, then has the receiver stop; notes what was asked of it."""

    def __init__(self, batches: Sequence[Sequence[Incoming]], stopping: threading.Event) -> None:
        self._stopping = stopping
        tags = iter(range(1, 1000))
        self._batches = [[Delivery(next(tags), incoming) for incoming in batch] for batch in batches]
        self.asked: list[Any] = []
        self.acked: list[int] = []
        self.drops_after = ""
        self.on_pump: Callable[[], object] = lambda: None

    def open(self) -> None:
        self.asked.append("open")

    def consume(self, *, prefetch: int) -> None:
        self.asked.append(prefetch)

    def stop_consuming(self) -> None:
        self.asked.append("stop")

    def gather(self, **_how: Any) -> list[Delivery]:
        if self._batches:
            return self._batches.pop(0)
        self._stopping.set()
        return []

    def pump(self, _seconds: float) -> None:
        self.asked.append("pump")
        self.on_pump()

    def ack(self, deliveries: Sequence[Delivery], *, all_before: bool) -> None:
        committed = set(Message.objects.values_list("key", flat=True))
        quarantined = set(Quarantined.objects.values_list("sender_id", flat=True))
        for delivery in deliveries:
            id = delivery.incoming.properties["message_id"]
            assert f"partner:{id}" in committed or id in quarantined, "acknowledged before it was committed"
        self.acked += range(1, deliveries[-1].tag + 1) if all_before else [one.tag for one in deliveries]

    def close(self) -> None:
        self.asked.append("close")


@pytest.fixture
def run() -> Callable[..., ScriptedFeed]:
    """Run a receiver of a source on these batches until they are over; return its feed."""

    def go(source: Source, *batches: Sequence[Incoming], on_pump: Callable[..., object] | None = None) -> ScriptedFeed:
        stopping = threading.Event()
        feed = ScriptedFeed(batches, stopping)
        if on_pump is not None:
            feed.on_pump = lambda: on_pump(feed, stopping)
        under_test = Receiver(source, stopping)
        under_test._feed = feed  # type: ignore[assignment]
        guard = threading.Timer(30, stopping.set)
        guard.start()
        under_test.run()
        guard.cancel()
        return feed

    return go


def hold() -> str:
    return SourceState.objects.values_list("hold", flat=True).get()


def test_what_is_committed_is_acknowledged_and_then_more_is_asked_for(source, came, run):
    feed = run(source(), [came("1"), came("2", b"?")], [came("3")])

    assert sorted(set(feed.acked)) == [1, 2, 3]
    assert feed.asked[:3] == ["open", 1, PREFETCH]
    assert feed.asked[-2:] == ["stop", "close"]
    assert hold() == SourceHold.STOPPED


def test_as_long_as_what_comes_was_delivered_before_it_comes_one_at_a_time(source, came, run):
    feed = run(source(), [came("1", redelivered=True)], [came("2", redelivered=True)], [came("3")])

    assert feed.asked[:5] == ["open", 1, 1, 1, PREFETCH]
    assert not InHand.objects.exists()


def test_over_what_a_receiver_has_ended_three_times_no_function_is_called_any_more(source, came, run):
    calls = []
    partner = source(topic=lambda m: calls.append(1) or "test.sold")
    poison = came("1", redelivered=True)
    for _ in range(in_hand.ENDED_OVER):
        assert in_hand.take_up(whole_digest(poison), ())

    feed = run(partner, [poison])

    assert calls == []
    assert Quarantined.objects.get().reason == "ends_receiver"
    assert feed.acked == [1]
    assert not InHand.objects.exists()


def test_trouble_at_the_database_is_not_held_against_the_message_in_hand(source, came, run, monkeypatch):
    tries = []

    def away(*args, **kwargs):
        tries.append(1)
        if len(tries) < 5:
            raise OperationalError("the server closed the connection unexpectedly")
        return take_in(*args, **kwargs)

    take_in = receiver.take_in
    monkeypatch.setattr(receiver, "take_in", away)
    monkeypatch.setattr(receiver, "judge", lambda _error: Fault.DATABASE)
    feed = run(source(), [came("1", redelivered=True)])

    assert Message.objects.count() == 1
    assert feed.acked == [1]
    assert not Quarantined.objects.exists()


def test_while_the_database_is_away_nothing_is_acknowledged_or_asked_for(source, came, run, monkeypatch):
    seen: list[tuple[list[int], int]] = []
    away = [True]

    def take_in(*args):
        if away[0]:
            raise OperationalError("the server closed the connection unexpectedly")
        return taken_in(*args)

    taken_in = receiver.take_in
    monkeypatch.setattr(receiver, "take_in", take_in)
    monkeypatch.setattr(receiver, "judge", lambda _error: Fault.DATABASE)

    def pumped(feed, _stopping):
        seen.append((list(feed.acked), Message.objects.count()))
        away[0] = len(seen) < 3

    feed = run(source(), [came("1"), came("2")], on_pump=pumped)

    assert seen == [([], 0)] * 3
    assert feed.asked[3:9] == ["stop", "pump", "stop", "pump", "stop", "pump"]
    assert sorted(feed.acked) == [1, 2]
    assert Message.objects.count() == 2


class SaidByDatabase(Exception):
    """A driver's error, as Django keeps it."""

    def __init__(self, sqlstate):
        self.sqlstate = sqlstate


@pytest.mark.parametrize("code", ["55P03", "57014", "40P01", "40001", "", "table "])
def test_what_others_hold_up_is_waited_for_and_never_put_into_quarantine(code, source, came, run, monkeypatch):
    tries, sizes, held = [], set(), []

    def hold_up(declared, batch, *rest):
        tries.append(1)
        if len(tries) <= 4 * receiver.TRIES:
            sizes.add(len(batch))
            raise OperationalError(f"database {code}is locked") from SaidByDatabase(code if code.isalnum() else None)
        return taken_in(declared, batch, *rest)

    taken_in = receiver.take_in
    monkeypatch.setattr(receiver, "take_in", hold_up)
    feed = run(
        source(), [came("1"), came("2")], on_pump=lambda feed, _stopping: held.append((hold(), list(feed.acked)))
    )

    assert (Message.objects.count(), Quarantined.objects.count(), sorted(set(feed.acked))) == (2, 0, [1, 2])
    assert held == [(SourceHold.DATABASE, [])] * 4 * receiver.TRIES
    assert sizes == ({1, 2} if code == "57014" else {2})


def test_what_is_in_hand_for_too_long_goes_back_once_and_is_not_asked_for_again(source, came, run, monkeypatch):
    monkeypatch.setattr(receiver, "HELD_FOR", receiver.timedelta(seconds=-1))
    monkeypatch.setattr(receiver, "PAUSE", 0.01)
    monkeypatch.setattr(receiver, "judge", lambda _error: Fault.DATABASE)
    tries = []

    def away(self):
        tries.append(1)
        if 2 < len(tries) < 6:
            raise OperationalError("away")
        return SourceHold.NONE

    monkeypatch.setattr(holds.Room, "why_none", away)
    feed = run(source(), [came("1")], [])

    assert feed.asked.count("close") == 2
    assert feed.asked.count("open") == 2


def test_what_the_database_refuses_alone_is_quarantined_and_its_neighbours_are_taken_in(source, came, run, monkeypatch):
    def refuse(declared, batch, *rest):
        if any(one.properties["message_id"] == "bad" for one in batch):
            raise OperationalError("index row size 2800 exceeds maximum 2704")
        return taken_in(declared, batch, *rest)

    taken_in = receiver.take_in
    monkeypatch.setattr(receiver, "take_in", refuse)
    monkeypatch.setattr(receiver, "judge", lambda _error: Fault.HANDLER)
    feed = run(source(), [came("1"), came("bad"), came("2")])

    assert sorted(Message.objects.values_list("key", flat=True)) == ["partner:1", "partner:2"]
    assert Quarantined.objects.values_list("sender_id", "reason").get() == ("bad", "not_storable")
    assert sorted(set(feed.acked)) == [1, 2, 3]


def test_at_high_water_nothing_is_asked_for_until_consumers_have_caught_up(source, came, run):
    def pumped(_feed, _stopping):
        assert hold() == SourceHold.HIGH_WATER
        Message.objects.update(finished_at="2026-01-01T00:00Z", status="success")

    feed = run(source(high_water=2), [came("1"), came("2")], [came("3")], on_pump=pumped)

    assert feed.asked[:5] == ["open", 1, PREFETCH, "stop", "pump"]
    assert PREFETCH in feed.asked[5:]
    assert Message.objects.count() == 3


def test_messages_of_others_are_not_counted(source, came, run):
    from tests.harness.messages import publish_messages

    publish_messages(5)

    feed = run(source(high_water=2), [came("1")])

    assert "pump" not in feed.asked


def test_what_the_quarantine_has_no_room_for_is_kept_in_hand_and_its_neighbours_are_acknowledged(
    source, came, run, configure
):
    configure(QUARANTINE_LIMIT=2500)
    seen = []

    def pumped(feed, _stopping):
        seen.append(sorted(feed.acked))
        assert hold() == SourceHold.QUARANTINE
        Quarantined.objects.filter(sender_id="a").update(state="discarded")

    bad = {id: came(id, b"?" * 1000) for id in "abc"}
    feed = run(source(), [bad["a"], bad["b"], bad["c"], came("good")], on_pump=pumped)

    assert seen == [[1, 2, 4]]
    assert sorted(set(feed.acked)) == [1, 2, 3, 4]
    assert Quarantined.objects.count() == 3


def test_a_broker_that_goes_away_takes_along_what_was_in_hand(source, came, run, monkeypatch):
    monkeypatch.setattr(receiver, "PAUSE", 0.01)
    lost = []

    def ack(self, deliveries, *, all_before):
        if not lost:
            lost.append(deliveries)
            raise BrokerAway("connection reset")
        self.acked += [one.tag for one in deliveries]

    monkeypatch.setattr(ScriptedFeed, "ack", ack)
    feed = run(source(), [came("1")], [came("1", redelivered=True)])

    assert feed.asked.count("open") == 2
    assert feed.acked == [2]
    assert SourceState.objects.values_list("taken", "known").get() == (1, 1)
