"""Our own receipts: a source's sender is told what became of its messages, once all consumers here are done."""

import json

import pytest
from django.db import transaction

from outbox import Backoff, Reject, receive, registry, sources, withdraw
from outbox.delivery import chunks
from outbox.errors import ConsumerError
from outbox.external.receipts import sending
from outbox.external.receipts.receipt import Receipt
from outbox.models import AwaitedReceipt, HandledAs, Message
from outbox.models.bulk import BulkVerb
from outbox.operate import waiting
from outbox.operate.messages import discard, mark_handled
from outbox.sources import get_source, receipt_wanted
from outbox.testing import deliver_pending, receive_from
from tests.harness.bulk import go_on, started
from tests.outbox.external.receipts.conftest import NAME, come, confirm, receipt_of, start

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

SECRET = "the secret of us and the shop"
ONCE = Backoff(limit=1)


@pytest.fixture
def told(monkeypatch, configure):
    """A source whose sender is told; return the receipts that were sent to it, and where."""
    configure(RECEIPT_SECRETS={"shop": SECRET})
    receive("shop.events", source="shop", topic="test.sold", receipts=True)
    sending.add_receipt_consumers()
    receipts = []

    def send(_relay, parcels, *, until):
        receipts.extend((parcel.routing_key, json.loads(parcel.envelope.body)) for parcel in parcels)
        return [None for _parcel in parcels]

    monkeypatch.setattr(sending.ReceiptRelay, "publish", send)
    yield receipts
    registry.forget_consumer("shop.receipts")
    sources.forget_source("shop")


def come_in(id="17", *, attempt=1, **headers):
    wants = {"x-outbox-receipts": "theirs.receipts", "x-outbox-receiver": "us", "x-outbox-attempt": attempt}
    return receive_from("shop", {"order": 7}, message_id=id, headers={**wants, **headers})


def tell():
    """Send what is to be told; return of how many messages that was."""
    ids = list(Message.objects.filter(consumer="shop.receipts", status="pending").values_list("pk", flat=True))
    chunks.deliver("shop.receipts", ids)
    assert not Message.objects.filter(pk__in=ids).exclude(status="success").exists()
    return len(ids)


def deliver(*consumers):
    for name in consumers:
        chunks.deliver(name, list(Message.objects.filter(consumer=name, status="pending").values_list("pk", flat=True)))


def outcomes(told):
    return [(said["message_id"], said["attempt"], said["outcome"]) for _queue, said in told]


@pytest.mark.parametrize(
    "options", [{}, {"bulk": True}, {"atomic": False}, {"atomic": False, "concurrency": 4}, {"isolated": True}]
)
def test_the_receipt_is_published_with_the_success(told, listen, options):
    listen(lambda message: None, **options)
    come_in()
    assert tell() == 0

    if options.get("concurrency"):
        deliver_pending("test.till")
    else:
        deliver("test.till")

    assert tell() == 1
    [(queue, said)] = told
    assert queue == "theirs.receipts"
    assert Receipt(**said).is_signed_with(SECRET)
    assert outcomes(told) == [("17", 1, "consumed")]


def test_a_handler_that_is_rolled_back_tells_nothing(told, listen):
    def fail(_message):
        raise ValueError("not now")

    listen(fail)
    come_in()

    deliver("test.till")

    assert tell() == 0


def test_with_settling_the_receipt_is_in_the_handler_s_own_transaction(told, listen):
    def act(message):
        with message.settling():
            pass

    listen(act, atomic=False)
    come_in()

    deliver("test.till")
    tell()

    assert outcomes(told) == [("17", 1, "consumed")]


@pytest.mark.parametrize(("raised", "outcome"), [(Reject("no such order"), "rejected"), (ValueError("x"), "failed")])
def test_what_the_machine_gives_up_is_told_and_nothing_of_the_error(told, listen, raised, outcome):
    def fail(_message):
        raise raised

    listen(fail, retry=ONCE)
    come_in()

    deliver("test.till")
    tell()

    assert outcomes(told) == [("17", 1, outcome)]
    assert told[0][1]["detail"] in ("test.till: rejected", "test.till: no_tries_left")


def test_with_several_consumers_it_is_consumed_when_all_are_done(told, three):
    come_in()

    deliver("test.a", "test.b")
    assert tell() == 2
    assert told == []
    deliver("test.c")
    tell()

    assert outcomes(told) == [("17", 1, "consumed")]


def test_a_redelivery_of_what_is_settled_sends_its_receipt_again(told, listen):
    listen()
    come_in()
    deliver("test.till")
    tell()
    told.clear()

    assert come_in(attempt=2) == "known"
    tell()

    assert outcomes(told) == [("17", 2, "consumed")]


def test_a_redelivery_of_what_is_not_settled_tells_nothing_yet(told, listen):
    listen()
    come_in()
    come_in(attempt=2)
    assert tell() == 1
    assert told == []

    deliver("test.till")
    tell()

    assert outcomes(told) == [("17", 1, "consumed")]


@pytest.mark.parametrize(
    ("act", "more", "outcome"),
    [
        (discard, {}, "rejected"),
        (mark_handled, {"outcome": HandledAs.ISSUED, "evidence": "A-17"}, "consumed"),
    ],
)
def test_what_a_person_does_is_told(told, listen, act, more, outcome):
    def fail(_message):
        raise ValueError("x")

    listen(fail, retry=ONCE)
    come_in()
    deliver("test.till")
    tell()
    row = Message.objects.get(consumer="test.till")

    act(row.pk, revision=row.revision, actor="ada", reason="seen to", **more)
    tell()

    assert [said for _id, _attempt, said in outcomes(told)] == ["failed", outcome]


def test_what_a_person_does_to_many_at_once_is_told_of_each(told, listen):
    def fail(_message):
        raise ValueError("x")

    listen(fail, retry=ONCE)
    come_in("17")
    come_in("18")
    deliver("test.till")
    tell()
    told.clear()

    go_on(started(verb=BulkVerb.HANDLE, outcome=HandledAs.COMPENSATED, evidence="vouchers of 3 May"))
    tell()

    assert sorted(outcomes(told)) == [("17", 1, "consumed"), ("18", 1, "consumed")]


def withdraw_by_code(row):
    with transaction.atomic():
        assert withdraw(row.topic, key=row.key) == {"test.till": "withdrawn"}


def withdraw_by_hand(row):
    waiting.withdraw(row.pk, revision=row.revision, actor="ada", reason="the order was paid")


@pytest.mark.parametrize("withdraw_it", [withdraw_by_code, withdraw_by_hand])
def test_what_is_withdrawn_is_told(told, listen, withdraw_it):
    listen()
    come_in()

    withdraw_it(Message.objects.get(consumer="test.till"))
    tell()

    assert outcomes(told) == [("17", 1, "rejected")]
    assert told[0][1]["detail"] == "test.till: withdrawn"


def test_what_is_passed_on_and_consumed_there_is_told_to_whoever_it_came_from(told, awaiting):
    awaiting()
    come_in()
    passed_on = Message.objects.get(consumer=NAME)
    start(passed_on.pk)
    AwaitedReceipt.objects.expect([Message.objects.get(pk=passed_on.pk)], "partner")
    confirm(passed_on.pk)
    assert tell() == 0

    come(receipt_of(Message.objects.get(pk=passed_on.pk)))
    tell()

    assert outcomes(told) == [("17", 1, "consumed")]


def test_who_does_not_wait_is_told_nothing(told, listen):
    listen()
    receive_from("shop", {"order": 7}, message_id="17")
    come_in("18", **{"x-outbox-receipts": "amq.gen-somebody's own"})
    deliver("test.till")

    assert tell() == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"x-outbox-receipts": "celery"},
        {"x-outbox-receipts": "shop.receipts.x"},
        {"x-outbox-receipts": "shop.receipts:" + "x" * 300},
        {"x-outbox-receipts": 7},
        {"x-outbox-receiver": "us\nand"},
        {"x-outbox-attempt": 0},
        {"x-outbox-attempt": True},
        {"x-outbox-attempt": "1"},
    ],
)
def test_a_stranger_s_header_names_no_other_queue_and_no_nonsense(headers):
    wants = {"x-outbox-receipts": "shop.receipts", "x-outbox-receiver": "us", "x-outbox-attempt": 1}
    assert receipt_wanted("17", wants) is not None

    assert receipt_wanted("17", {**wants, **headers}) is None
    assert receipt_wanted(17, wants) is None


def test_a_source_without_receipts_publishes_none(listen):
    receive("shop.events", source="shop", topic="test.sold")
    try:
        listen()
        come_in()
        deliver("test.till")
        assert not Message.objects.filter(consumer="shop.receipts").exists()
        assert get_source("shop").receipts is False
    finally:
        sources.forget_source("shop")


def test_what_is_no_switch_is_refused():
    with pytest.raises(ConsumerError, match="receipts='yes'"):
        receive("shop.events", source="shop", topic="test.sold", receipts="yes")
    with pytest.raises(ConsumerError, match="with dots"):
        receive("shop.events", source="shop.", topic="test.sold", receipts=True)


def test_the_two_sides_fit_together(told, listen, sent, configure):
    """A forward's message is taken in, consumed and told of; the receipt makes the forward's row a success."""
    configure(RECEIPT_SECRETS={"shop": SECRET}, RECEIVERS={"partner": SECRET})
    out = sent()
    receive("shop.events", source="shop", topic="test.taken", receipts=True)
    listen(topic="test.taken")
    headers = {"x-outbox-receipts": registry.get(NAME).relay.receipts_queue, "x-outbox-receiver": "partner"}

    come_in(out.idempotency_key, **headers)
    deliver("test.till")
    tell()
    [(_queue, said)] = told
    come(said)

    assert Message.objects.get(pk=out.pk).status == "success"
