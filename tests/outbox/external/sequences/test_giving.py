"""The sender's side: which message has which number, what is said of the others, and when numbers begin anew."""

import threading

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from kombu import Exchange

from outbox import forward, operate
from outbox.delivery import chunks, numbering, starting
from outbox.errors import ConsumerError
from outbox.external import heartbeats
from outbox.external.sequences.acts import begin_epoch
from outbox.external.sequences.explaining import explain, find_by_number
from outbox.models import Message, SequenceNumber, SequenceStream
from tests.harness.clock import SECOND, let_pass
from tests.harness.messages import publish_messages
from tests.harness.program import eventually
from tests.harness.subscribers import pika_subscriber
from tests.outbox.external.conftest import NAME

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched", "rabbit")]

STREAM = f"{NAME}/test.sold"


def given() -> dict[int, int]:
    """Return the number of each message."""
    return dict(SequenceNumber.objects.values_list("message_id", "number"))


def make_due() -> None:
    """Let the next heartbeats be due."""
    SequenceStream.objects.update(due_at=Now())


def test_numbers_run_on_in_the_order_of_publishing_and_travel_in_headers(lead, exchange, broker_url):
    lead(sequence=True)
    with pika_subscriber(broker_url, exchange.name, "test.#") as subscriber:
        ids = publish_messages(700)
        chunks.deliver(NAME, ids[:500])
        eventually(lambda: len(subscriber.ids) >= 700, within=10)

    epoch = SequenceStream.objects.get().epoch
    assert given() == {id: number for number, id in enumerate(ids, start=1)}
    assert {one.headers["x-outbox-sequence"] for one in subscriber.received} == set(range(1, 701))
    assert {(one.headers["x-outbox-stream"], one.headers["x-outbox-epoch"]) for one in subscriber.received} == {
        (STREAM, epoch)
    }


def test_each_routing_key_has_numbers_of_its_own(lead, exchange, broker_url):
    lead(sequence=True, pattern="test.*")
    with pika_subscriber(broker_url, exchange.name, "test.sold") as subscriber:
        ids = [*publish_messages(2), *publish_messages(1, "test.returned"), *publish_messages(1)]
        chunks.deliver(NAME, ids)
        eventually(lambda: len(subscriber.ids) >= 3, within=5)

    assert [one.headers["x-outbox-sequence"] for one in subscriber.received] == [1, 2, 3]
    assert list(SequenceStream.objects.order_by("routing_key").values_list("routing_key", "given")) == [
        ("test.returned", 1),
        ("test.sold", 3),
    ]


def test_a_number_is_kept_over_retries(lead, exchange, broker_url):
    lead(sequence=True)
    ids = publish_messages(2)
    chunks.deliver(NAME, ids)  # no queue is bound: it comes back
    before = given()
    let_pass(1000 * SECOND)

    with pika_subscriber(broker_url, exchange.name, "test.#") as subscriber:
        chunks.deliver(NAME, ids)
        eventually(lambda: len(subscriber.ids) >= 2, within=5)

    assert set(Message.objects.values_list("attempts", "status")) == {(2, "success")}
    assert given() == before == {ids[0]: 1, ids[1]: 2}
    assert sorted(one.headers["x-outbox-sequence"] for one in subscriber.received) == [1, 2]


def test_a_start_whose_numbers_cannot_be_given_starts_nothing(lead, monkeypatch):
    consumer = lead(sequence=True)
    ids = publish_messages(3)
    monkeypatch.setattr(numbering, "origin_of_database", lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        starting.start_named(consumer, ids)

    assert set(Message.objects.values_list("status", "attempts")) == {("pending", 0)}


def test_a_start_that_is_rolled_back_leaves_no_hole(lead):
    consumer = lead(sequence=True)
    ids = publish_messages(3)

    with transaction.atomic():
        starting.start_named(consumer, ids)
        transaction.set_rollback(True)
    rows = starting.start_named(consumer, ids[1:])

    assert [row.id for row in rows] == ids[1:]
    assert given() == {ids[1]: 1, ids[2]: 2}


def test_workers_that_start_at_once_give_each_number_once(lead):
    consumer = lead(sequence=True)
    ids = publish_messages(400)

    def start(mine):
        for at in range(0, len(mine), 10):
            starting.start_named(consumer, mine[at : at + 10])
        connection.close()

    threads = [threading.Thread(target=start, args=(ids[part::4],)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(given().values()) == list(range(1, 401))


def test_a_forward_without_sequence_gives_no_number_and_asks_nothing_more(lead, django_assert_num_queries):
    consumer = lead()
    ids = publish_messages(2)

    with django_assert_num_queries(1):
        starting.start_named(consumer, ids)

    assert not SequenceStream.objects.exists()


def test_an_exchange_of_headers_is_refused():
    with pytest.raises(ConsumerError, match="a queue would have some messages of a routing key and not the others"):
        forward(NAME, "test.sold", exchange=Exchange("by.headers", type="headers"), sequence=True)


def test_what_was_discarded_is_said_to_come_never_and_the_heartbeat_names_what_is_open(lead, exchange, broker_url):
    consumer = lead(sequence=True)
    ids = publish_messages(1)
    with pika_subscriber(broker_url, exchange.name, "test.#") as subscriber:
        chunks.deliver(NAME, ids)
        eventually(lambda: subscriber.received, within=5)
    ids += publish_messages(3)
    starting.start_named(consumer, ids[1:])
    _fail(ids[1], ids[2])
    operate.discard(ids[1], revision=0, actor="ann", reason="wrong")

    with pika_subscriber(broker_url, exchange.name, "test.#") as subscriber:
        make_due()
        heartbeats.make_pass()
        eventually(lambda: len(subscriber.received) >= 2, within=5)
        make_due()
        heartbeats.make_pass()
        eventually(lambda: len(subscriber.received) >= 3, within=5)

    said = [(one.headers["x-outbox-notice"], one.headers["x-outbox-sequence"], one.body) for one in subscriber.received]
    told = {"open": [[4, 4]], "failed": [[3, 3]]}
    assert said == [("void", 2, {}), ("heartbeat", 4, told), ("heartbeat", 4, told)]
    assert dict(SequenceNumber.objects.order_by("number").values_list("number", "state")) == {
        1: "sent",
        2: "void",
        3: "open",
        4: "open",
    }


def _fail(*ids):
    """Let messages that were started fail for good."""
    rows = Message.objects.filter(pk__in=ids)
    rows.mark_failed(reason="no_tries_left", failure="", error="ValueError: bad")


def test_the_sender_says_what_has_become_of_a_number(lead, exchange, broker_url):
    consumer = lead(sequence=True)
    ids = publish_messages(4)
    with pika_subscriber(broker_url, exchange.name, "test.#") as subscriber:
        chunks.deliver(NAME, ids[:1])
        eventually(lambda: len(subscriber.received) >= 4, within=5)
    more = publish_messages(3)
    starting.start_named(consumer, more)
    _fail(more[0], more[1])
    operate.discard(more[1], revision=0, actor="ann", reason="wrong")

    words = [explain(STREAM, number)[0].word for number in (1, 5, 6, 7, 8, 0)]

    assert words == ["sent", "failed", "discarded", "started", "not_given", "not_given"]
    assert explain(STREAM, 5)[0].message == Message.objects.get(pk=more[0])
    assert find_by_number(f"{STREAM}#6") == [more[1]]
    assert explain("no.such/stream", 1) == []


def test_a_message_that_was_removed_is_void_and_one_that_was_pruned_is_explained(lead, exchange, broker_url):
    consumer = lead(sequence=True)
    ids = publish_messages(2)
    starting.start_named(consumer, ids)
    Message.objects.filter(pk=ids[0]).delete()

    with pika_subscriber(broker_url, exchange.name, "test.#") as subscriber:
        heartbeats.make_pass()
        eventually(lambda: len(subscriber.received) >= 2, within=5)

    assert [one.headers["x-outbox-notice"] for one in subscriber.received] == ["void", "heartbeat"]
    assert explain(STREAM, 1)[0].word == "gone"


def test_numbers_that_are_given_while_a_heartbeat_is_made_are_not_spoken_of(lead, monkeypatch):
    consumer = lead(sequence=True)
    starting.start_named(consumer, publish_messages(2))
    stream = SequenceStream.objects.get()
    read = heartbeats.read_open

    def give_some_first(rows, highest):
        starting.start_named(consumer, publish_messages(1))
        return read(rows, highest)

    monkeypatch.setattr(heartbeats, "read_open", give_some_first)
    parcel = heartbeats._heartbeat(stream)

    assert parcel.envelope.headers["x-outbox-sequence"] == 2
    assert parcel.envelope.body == b'{"open":[[1,2]],"failed":[]}'


def test_a_heartbeat_that_cannot_name_all_speaks_of_the_lower_numbers(lead, monkeypatch):
    monkeypatch.setattr(heartbeats, "RANGES", 2)
    consumer = lead(sequence=True)
    ids = publish_messages(9)
    starting.start_named(consumer, ids)
    Message.objects.filter(pk__in=ids[::2]).update(status="success", lease_until=None, finished_at=Now())
    heartbeats.settle_sent()

    parcel = heartbeats._heartbeat(SequenceStream.objects.get())

    assert parcel.envelope.headers["x-outbox-sequence"] == 5
    assert parcel.envelope.body == b'{"open":[[2,2],[4,4]],"failed":[]}'


def test_a_broker_that_is_away_is_noted_and_nothing_is_held_for_said(lead, broker_at):
    consumer = lead(sequence=True)
    ids = publish_messages(1)
    starting.start_named(consumer, ids)
    Message.objects.filter(pk__in=ids).delete()
    broker_at(1)

    heartbeats.make_pass()

    stream = SequenceStream.objects.get()
    assert (stream.said_at, SequenceNumber.objects.get().state) == (None, "open")
    assert "broker" in stream.error


def test_a_forward_that_is_no_sequence_any_more_ends_its_streams(lead):
    starting.start_named(lead(sequence=True), publish_messages(1))
    lead()

    heartbeats.make_pass()

    assert not SequenceStream.objects.get().is_current


def test_in_another_database_the_numbers_begin_anew(lead):
    consumer = lead(sequence=True)
    first, second = publish_messages(2)
    starting.start_named(consumer, [first])
    SequenceStream.objects.update(origin="another/00000001/1")

    starting.start_named(consumer, [second])

    old, new = SequenceStream.objects.order_by("pk")
    assert (old.is_current, old.given, new.is_current, new.given) == (False, 1, True, 1)
    assert old.epoch != new.epoch


def test_a_person_lets_the_numbers_begin_anew(lead):
    consumer = lead(sequence=True)
    starting.start_named(consumer, publish_messages(1))

    assert begin_epoch(NAME, actor="ann", reason="restored from yesterday's files") == 1
    starting.start_named(consumer, publish_messages(1))

    assert list(SequenceStream.objects.order_by("pk").values_list("is_current", "given")) == [(False, 1), (True, 1)]
