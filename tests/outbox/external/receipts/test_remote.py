"""The whole way: our forward, a receiver with plain pika in another vhost, its receipts, and our reader of them."""

import os
import subprocess
import sys
import threading
from urllib.parse import quote

import pytest
from django.db import connections
from kombu import Connection, Exchange

from outbox.broker.queues import celery_app, queue_name
from outbox.conf import conf
from outbox.delivery import chunks
from outbox.external.ingest import receivers
from outbox.external.receipts.reading import receiver_for
from outbox.maintenance import recovery
from outbox.models import AwaitedReceipt, Evidence, Message
from outbox.operate.messages import discard
from outbox.sources import all_sources
from tests.harness.clock import SECOND, let_pass
from tests.harness.messages import kept_attempts, publish_messages, state_of
from tests.harness.program import eventually
from tests.harness.remote import SECRET, receipt_for, remote_consumer
from tests.outbox.conftest import SLOW
from tests.outbox.external.receipts.conftest import NAME, RECEIPT, counts
from tests.run import RABBITMQCTL

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched", "rabbit")]

EXCHANGE = "test.orders"
KILLED = f"test.billing.{os.getpid()}"
"""The queue of a receiver that is killed, which stays."""


def rabbitmqctl(*arguments):
    subprocess.run([*RABBITMQCTL, "--quiet", *arguments], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def vhost_of_all():
    """A vhost of the partner's own, and its address; each call of rabbitmqctl takes a second."""
    name = f"{conf().prefix}-partner-{os.getpid()}"
    rabbitmqctl("add_vhost", name)
    rabbitmqctl("set_permissions", "-p", name, "guest", ".*", ".*", ".*")
    yield f"{celery_app().conf.broker_url.rpartition('@')[0]}@127.0.0.1:5672/{quote(name, safe='')}"
    rabbitmqctl("delete_vhost", name)


@pytest.fixture
def vhost(vhost_of_all):
    """The same, empty again afterwards."""
    yield vhost_of_all
    with Connection(vhost_of_all) as connection:
        channel = connection.channel()
        channel.exchange_delete(EXCHANGE)
        for queue in (KILLED, queue_name("receipts")):
            channel.queue_delete(queue)


@pytest.fixture
def partner(vhost, configure, awaiting):
    """The forward to the partner, and our process that reads its receipts."""
    configure(BROKERS={"partner": vhost}, RECEIVERS={"partner": SECRET})
    awaiting(exchange=Exchange(EXCHANGE, type="topic"), broker="partner")
    stopping, there = threading.Event(), [source for source in all_sources() if source.receipts_of is not None]
    reader = threading.Thread(
        target=receivers.run, args=(there,), kwargs={"stopping": stopping, "ready": int, "receiver_for": receiver_for}
    )
    reader.start()
    yield vhost
    stopping.set()
    reader.join(30)
    connections.close_all()


def send(*ids):
    chunks.deliver(NAME, ids)


def lapse(*ids):
    """Let the time for the receipts pass, bring back what had none, and let its wait pass."""
    let_pass(RECEIPT + SECOND, *ids)
    recovery.recover_all([NAME])
    let_pass(SLOW.cap + SECOND, *ids)


def ends(ids, *expected, within=15):
    eventually(lambda: [state_of(id).status for id in ids] == list(expected), within=within, what=f"{expected}")


def counted(expected):
    """Wait until what the receipts came to is counted: that is done after they were applied."""
    eventually(lambda: counts() == expected, within=5, what=f"{expected}")


def test_each_word_of_the_receiver_is_believed(partner):
    outcomes = {}

    def answer(received):
        return [receipt_for(received, outcomes[received.headers["x-outbox-key"]], detail="as it is")]

    with remote_consumer(partner, EXCHANGE, answer) as consumer:
        ids = publish_messages(3)
        keys = dict(Message.objects.values_list("pk", "key"))
        outcomes |= {keys[id]: said for id, said in zip(ids, ("consumed", "failed", "rejected"), strict=True)}
        send(*ids)
        ends(ids, "success", "pending", "failed")

    assert consumer.received[0].headers["x-outbox-receipts"] == queue_name("receipts")
    assert consumer.received[0].headers["x-outbox-receiver"] == "partner"
    assert kept_attempts(ids[1]) == [(1, "failed", "ReceiptFailed: as it is")]
    assert kept_attempts(ids[2]) == [(1, "rejected", "Reject: as it is")]
    counted({"consumed": 1, "failed": 1, "rejected": 1})


def test_a_silent_receiver_costs_an_attempt_and_then_it_is_asked_again_under_the_same_id(partner):
    with remote_consumer(partner, EXCHANGE, lambda received: []) as silent:
        ids = publish_messages(1)
        send(*ids)
        eventually(lambda: len(silent.received) == 1, within=10)
        ends(ids, "started")
        lapse(*ids)
        ends(ids, "pending")
        silent.answer = lambda received: [receipt_for(received)]
        send(*ids)
        ends(ids, "success")

    assert [received.message_id for received in silent.received] == [str(Message.objects.get().drawn_key)] * 2
    assert [received.headers["x-outbox-attempt"] for received in silent.received] == [1, 2]
    [(number, outcome, error)] = kept_attempts(ids[0])
    assert (number, outcome, error.partition(":")[0]) == (1, "failed", "no receipt")


def test_a_receiver_that_is_silent_to_the_end_leaves_it_at_the_desk_and_comes_late(partner):
    with remote_consumer(partner, EXCHANGE, lambda received: []) as silent:
        ids = publish_messages(1)
        for _attempt in range(SLOW.limit):
            send(*ids)
            lapse(*ids)
        assert (state_of(ids[0]).status, state_of(ids[0]).reason) == ("failed", "no_receipt")

        first = eventually(lambda: silent.received, within=10)[0]
        silent.say(receipt_for(first), queue=queue_name("receipts"))
        ends(ids, "success")

    assert not Evidence.objects.doubled().exists()


def test_a_slow_receiver_is_asked_twice_and_its_late_word_counts(partner):
    with remote_consumer(partner, EXCHANGE, lambda received: []) as slow:
        ids = publish_messages(1)
        send(*ids)
        eventually(lambda: len(slow.received) == 1, within=10)
        lapse(*ids)
        send(*ids)
        eventually(lambda: len(slow.received) == 2, within=10)

        slow.say(receipt_for(slow.received[0], "failed"), queue=queue_name("receipts"))
        eventually(lambda: counts() == {"late": 1}, within=10)
        assert (state_of(ids[0]).status, len(kept_attempts(ids[0]))) == ("started", 1)
        slow.say(receipt_for(slow.received[0]), queue=queue_name("receipts"))
        ends(ids, "success")

    counted({"late": 1, "consumed": 1})


def test_a_receiver_that_was_killed_before_its_receipt_gets_its_message_again(partner):
    command = [sys.executable, "-m", "tests.harness.remote", partner, EXCHANGE, KILLED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as mortal:
        assert mortal.stdout.readline() == "ready\n"
        ids = publish_messages(1)
        send(*ids)
        assert mortal.stdout.readline() == f"took {Message.objects.get().drawn_key}\n"
        mortal.kill()
    lapse(*ids)
    assert state_of(ids[0]).status == "pending"
    with remote_consumer(partner, EXCHANGE, lambda received: [receipt_for(received)], queue=KILLED) as again:
        send(*ids)
        ends(ids, "success")

    assert again.first_ids == [str(Message.objects.get().drawn_key)]


def test_a_doubling_receiver_changes_nothing(partner):
    with remote_consumer(partner, EXCHANGE, lambda received: [receipt_for(received)] * 3):
        ids = publish_messages(20)
        send(*ids)
        eventually(lambda: counts() == {"consumed": 20, "settled": 40}, within=15)

    assert {state_of(id).status for id in ids} == {"success"}
    assert not Evidence.objects.doubled().exists()


def test_a_forging_receiver_changes_nothing_and_is_counted(partner):
    def forge(received):
        return [
            receipt_for(received, secret="not the partner's secret"),
            receipt_for(received, message_id="00000000-0000-4000-8000-000000000000"),
            receipt_for(received, receiver="another"),
            receipt_for(received, outcome="done"),
            {},
        ]

    with remote_consumer(partner, EXCHANGE, forge):
        ids = publish_messages(2)
        send(*ids)
        eventually(lambda: sum(counts().values()) == 10, within=15)

    assert {state_of(id).status for id in ids} == {"started"}
    counted({"signature": 2, "unknown": 2, "receiver": 2, "malformed": 4})


def test_what_was_discarded_and_is_consumed_all_the_same_is_an_alarm(partner):
    with remote_consumer(partner, EXCHANGE, lambda received: []) as slow:
        ids = publish_messages(1)
        Message.objects.update(attempt_limit=1)
        send(*ids)
        received = eventually(lambda: slow.received, within=10)[0]
        lapse(*ids)
        row = Message.objects.get()
        discard(row.pk, revision=row.revision, actor="ada", reason="nobody wants it")
        slow.say(receipt_for(received), queue=queue_name("receipts"))
        eventually(lambda: Evidence.objects.doubled().exists(), within=10)

    assert Message.objects.values_list("resolution", flat=True).get() == "discarded"


def test_five_hundred_go_and_come_together(partner):
    with remote_consumer(partner, EXCHANGE, lambda received: [receipt_for(received)]):
        ids = publish_messages(500)
        send(*ids)
        eventually(lambda: not Message.objects.exclude(status="success").exists(), within=30)

    assert AwaitedReceipt.objects.count() == 500
    counted({"consumed": 500})
