"""A broker that is cut off, silent, full or ended: nothing is lost, nothing is spent, and order stays as it was."""

from datetime import timedelta

import pytest
from django.db import transaction
from kombu import Connection, Exchange

from outbox import publish
from outbox.delivery import chunks
from outbox.models import Attempt, ConsumerState, Message
from outbox.monitoring.finding import What
from outbox.monitoring.health import health
from tests.harness.clock import let_pass
from tests.harness.messages import kept_attempts, publish_message, publish_messages, state_of
from tests.harness.node import Node, installed_here
from tests.harness.program import eventually
from tests.harness.proxy import FROZEN, REFUSING, Proxy
from tests.harness.subscribers import kombu_queue, pika_subscriber
from tests.outbox.external.conftest import NAME

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched", "rabbit")]

CUTS = 15


class CuttingProxy(Proxy):
    """Cuts every connection each time when so many bytes have come through, so many times."""

    def __init__(self, upstream: str, *, every: int, cuts: int) -> None:
        self.passed, self.every, self.cuts_left = 0, every, cuts
        super().__init__(upstream)

    def _let_through(self, reader, data):
        self.passed += len(data)
        if self.cuts_left and self.passed >= self.every:
            self.passed, self.cuts_left = 0, self.cuts_left - 1
            self._drop_all()
            raise OSError("cut")
        return data


@pytest.fixture
def impatient(configure):
    """Have a silent broker be noticed soon."""
    configure(CONNECT_TIMEOUT=timedelta(seconds=1), CONFIRM_TIMEOUT=timedelta(seconds=1))


@pytest.fixture
def proxy(broker_url, configure, impatient):
    """A way to the broker that the test can cut; forwards with ``broker="partner"`` take it."""
    proxy = Proxy(broker_url)
    configure(BROKERS={"partner": proxy.url})
    yield proxy
    proxy.close()


def deliver_until_done(ids, *, rounds=200):
    """Deliver again and again as time passes, whatever the breaker says."""
    for _round in range(rounds):
        left = list(Message.objects.filter(pk__in=ids, status="pending").order_by("pk").values_list("pk", flat=True))
        if not left:
            return
        ConsumerState.objects.update(breaker="closed", unavailable=[], canary=None)
        let_pass(timedelta(minutes=1))
        chunks.deliver(NAME, left[:500])
    raise AssertionError(f"{len(left)} are left")


def spent(ids):
    """Return how many attempts of the three the messages have spent."""
    rows = Message.objects.filter(pk__in=ids).values_list("attempts", "attempt_limit")
    return {3 - (limit - attempts) for attempts, limit in rows}


def test_fifteen_cuts_lose_nothing_and_keep_the_order_of_every_key(lead, exchange, broker_url, configure, impatient):
    proxy = CuttingProxy(broker_url, every=30_000, cuts=CUTS)
    configure(BROKERS={"partner": proxy.url})
    lead(broker="partner", deadline=timedelta(days=90))
    ids = []
    with transaction.atomic():
        for number in range(2_000):
            key = f"key {number % 20}" if number % 2 else ""
            ids += publish("test.sold", key=number, payload={"number": number, "key": key}, ordering_key=key)
    with pika_subscriber(broker_url, exchange.name) as pika_side, kombu_queue(broker_url, exchange) as kombu_side:
        deliver_until_done(ids)

        eventually(lambda: len(set(pika_side.ids)) >= len(ids), within=20)
        kombu_first: dict[str, dict] = {}
        while len(kombu_first) < len(ids):
            received = kombu_side.get(timeout=10)
            kombu_first.setdefault(received.properties["message_id"], received.payload)
    proxy.close()

    assert proxy.cuts_left == 0
    wanted = {str(key) for key in Message.objects.values_list("drawn_key", flat=True)}
    pika_first: dict[str, dict] = {}
    for received in pika_side.received:
        pika_first.setdefault(received.message_id, received.body)
    for first in (pika_first, kombu_first):
        assert set(first) == wanted
        for place in range(20):
            of_key = [body["number"] for body in first.values() if body["key"] == f"key {place}"]
            assert of_key == sorted(of_key)
    assert spent(ids) == {1}


def test_a_broker_that_refuses_connections_spends_nothing_and_tells_the_breaker(lead, exchange, proxy):
    lead(broker="partner")
    ids = publish_messages(50)
    proxy.become(REFUSING)

    chunks.deliver(NAME, ids)

    assert spent(ids) == {0}
    assert ConsumerState.objects.get(consumer=NAME).breaker == "open"
    assert Attempt.objects.filter(outcome="unavailable").count() == 3
    assert "the broker partner" in Attempt.objects.first().error
    [finding] = [found for found in health().findings if found.what is What.BREAKER and found.subject == NAME]
    assert f"the broker does not take what is forwarded (exchange {exchange.name}, broker partner)" in finding.sentence


def test_a_broker_that_falls_silent_after_it_was_sent_to_spends_nothing(lead, exchange, broker_url, proxy):
    lead(broker="partner")
    with pika_subscriber(broker_url, exchange.name) as subscriber:
        chunks.deliver(NAME, [publish_message()])
        ids = publish_messages(50)
        proxy.become(FROZEN)
        chunks.deliver(NAME, ids)

        assert spent(ids) == {0}
        [error] = set(Attempt.objects.values_list("error", flat=True))
        assert error == "Unconfirmed: the broker partner: it does not answer"
        assert set(Attempt.objects.values_list("may_have_acted", flat=True)) == {True}
        proxy.become("open")
        deliver_until_done(ids)
        eventually(lambda: len(set(subscriber.ids)) == 51, within=10)


def test_an_idle_connection_that_is_gone_costs_nothing_but_a_new_one(lead, exchange, broker_url, proxy):
    lead(broker="partner")
    with pika_subscriber(broker_url, exchange.name):
        chunks.deliver(NAME, [publish_message()])
        proxy.cut()
        ids = publish_messages(10)
        chunks.deliver(NAME, ids)

    assert {state_of(id).status for id in ids} == {"success"}
    assert kept_attempts(ids[0]) == []


def test_a_queue_that_is_full_spends_nothing(lead, exchange, rabbit):
    lead()
    name = f"{exchange.name}.full"
    arguments = {"x-max-length": 5, "x-overflow": "reject-publish"}
    exchange(rabbit).declare()
    rabbit.queue_declare(name, durable=True, auto_delete=False, arguments=arguments)
    rabbit.queue_bind(name, exchange.name, "#")
    ids = publish_messages(100)

    chunks.deliver(NAME, ids)

    assert {state_of(id).status for id in ids} == {"success", "pending"}
    waiting = list(Message.objects.filter(status="pending").values_list("pk", flat=True))
    assert spent(waiting) == {0}
    assert "nack" in Attempt.objects.filter(message__in=waiting).first().error
    rabbit.queue_delete(name)


GUILTY_HEADERS = {
    "the channel is closed": {"CC": "no list, as RabbitMQ wants it"},
    "the connection is closed": {"big": "x" * 200_000},
}


@pytest.mark.parametrize("headers", GUILTY_HEADERS.values(), ids=GUILTY_HEADERS)
def test_the_message_that_closes_the_channel_is_found_and_fails_alone(headers, lead, exchange, broker_url):
    lead()
    ids = publish_messages(100)
    with transaction.atomic():
        [guilty] = publish("test.sold", key="guilty", payload={}, headers=headers)
    ids += [guilty, *publish_messages(100)]
    with pika_subscriber(broker_url, exchange.name) as subscriber:
        deliver_until_done([id for id in ids if id != guilty], rounds=3)

        eventually(lambda: len(set(subscriber.ids)) == 200, within=10)
    others = [id for id in ids if id != guilty]
    assert {state_of(id).status for id in others} == {"success"}
    assert spent(others) == {1}
    assert state_of(guilty).attempts >= 1
    assert spent([guilty]) == {state_of(guilty).attempts}
    assert kept_attempts(guilty)[0][2].startswith("Refused: the broker closes the channel over this message: ")
    for _ in range(2):
        let_pass(timedelta(hours=2))
        chunks.deliver(NAME, [guilty])
    assert (state_of(guilty).status, state_of(guilty).reason) == ("failed", "refused")


def test_an_exchange_that_is_there_with_another_type_spends_nothing_and_is_named(lead, exchange, rabbit):
    rabbit.exchange_declare(exchange.name, "fanout", durable=True, auto_delete=False)
    lead()
    ids = publish_messages(5)

    chunks.deliver(NAME, ids)

    assert spent(ids) == {0}
    error = Attempt.objects.first().error
    assert f"Celery's broker refuses the exchange {exchange.name} (406 " in error
    assert "passive=True" in error


@pytest.fixture
def node(tmp_path, configure):
    """A RabbitMQ of the test's own, which is the partner's."""
    if not installed_here():
        pytest.skip("RabbitMQ is not installed on this machine")
    node = Node(tmp_path)
    configure(BROKERS={"partner": node.url})
    yield node
    node.close()


@pytest.mark.processes
def test_while_the_memory_alarm_is_on_nothing_is_spent(lead, node, impatient):
    exchange = Exchange("alarmed", type="topic")
    lead(broker="partner", exchange=exchange)
    with pika_subscriber(node.url, "alarmed") as subscriber:
        chunks.deliver(NAME, [publish_message()])
        node.control("set_vm_memory_high_watermark", "0.00001")
        ids = publish_messages(50, ordering_key="k") + publish_messages(50)
        chunks.deliver(NAME, ids)

        assert spent(ids) == {0}
        assert "RabbitMQ takes nothing" in Attempt.objects.first().error
        node.control("set_vm_memory_high_watermark", "0.6")
        deliver_until_done(ids)
        eventually(lambda: len(set(subscriber.ids)) == 101, within=20)
    assert spent(ids) == {1}


@pytest.mark.processes
def test_a_password_with_signs_and_a_vhost_of_its_own(lead, node, configure, impatient):
    node.control("add_user", "part%ner", "p%40@ss/w:rd")
    node.control("add_vhost", "or/ders")
    node.control("set_permissions", "-p", "or/ders", "part%ner", ".*", ".*", ".*")
    host = node.url.rpartition("@")[2].rstrip("/")
    url = f"amqp://part%25ner:p%2540%40ss%2Fw%3Ard@{host}/or%2Fders"
    nobody = "amqp://guest:guest@127.0.0.1:1//"
    configure(BROKERS={"partner": f"{nobody};{url}"})
    exchange = Exchange("far", type="fanout")
    lead(broker="partner", exchange=exchange)
    with Connection(url) as connection, connection.channel() as channel:
        channel.exchange_declare("far", "fanout", durable=True, auto_delete=False)
        channel.queue_declare("far", durable=True, auto_delete=False)
        channel.queue_bind("far", "far")
        id = publish_message()
        chunks.deliver(NAME, [id])

        assert eventually(lambda: channel.basic_get("far", no_ack=True), within=5).properties["type"] == "test.sold"
    assert state_of(id).status == "success"
    configure(BROKERS={"partner": url.replace("ss%2F", "wrong")})
    id = publish_message()
    ConsumerState.objects.all().delete()
    from outbox.memory import forget_all

    forget_all()
    chunks.deliver(NAME, [id])
    assert spent([id]) == {0}
    assert "ACCESS_REFUSED" in Attempt.objects.latest("pk").error
    assert "wrong" not in Attempt.objects.latest("pk").error
