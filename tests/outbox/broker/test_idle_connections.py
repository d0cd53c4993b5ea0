"""A link that nobody used for a while and that a balancer dropped: the next hint goes over a new one at once."""

from datetime import timedelta
from time import monotonic, sleep

import pytest

from outbox.broker import confirming, dispatcher
from outbox.broker.queues import celery_app, hint_queue
from outbox.errors import BrokerAway
from tests.harness.program import eventually
from tests.harness.proxy import FROZEN, Proxy
from tests.outbox.broker.hints import bodies, hint

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("rabbit")]


@pytest.fixture
def proxy(broker_at, configure, monkeypatch):
    """A proxy in front of the broker; what was not used for 50 ms is idle, and is waited for 200 ms."""
    monkeypatch.setattr(confirming, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(confirming, "PATIENCE_WITH_IDLE", 0.2)
    proxy = Proxy(celery_app().conf.broker_url)
    broker_at(proxy.port)
    configure(CONFIRM_TIMEOUT=timedelta(seconds=5))
    yield proxy
    proxy.close()


@pytest.fixture(params=["cut", "forget"])
def drop(request, proxy):
    """Return how the idle link is dropped: with a word to the client, or without."""
    return getattr(proxy, request.param)


def test_the_depth_is_asked_over_a_new_connection(link, drop):
    link.depth("test.till")
    sleep(0.1)
    drop()
    began = monotonic()

    assert link.depth("test.till") == 0
    assert link.send([hint(1)]) == []
    assert monotonic() - began < 2


def test_hints_are_sent_once_more_over_a_new_connection(link, proxy, rabbit):
    link.depth("test.till")
    sleep(0.1)
    proxy.cut()

    assert link.send([hint(1), hint(2)]) == []
    assert bodies(rabbit)[-2:] == [["test.till", [1]], ["test.till", [2]]]


def test_the_dispatcher_does_not_rest_because_of_it(listen, drop, rabbit):
    listen()
    hint_queue("test.till")(rabbit).declare()
    dispatcher.dispatch({"test.till": [1]})
    eventually(lambda: bodies(rabbit) == [["test.till", [1]]], within=10)
    sleep(0.1)
    drop()

    dispatcher.dispatch({"test.till": [2]})

    try:
        eventually(lambda: bodies(rabbit) == [["test.till", [2]]], within=2)
    finally:
        dispatcher.drain()


def test_a_broker_that_is_away_is_asked_twice_and_no_more(link, proxy, configure):
    link.depth("test.till")
    sleep(0.1)
    proxy.become(FROZEN)
    configure(CONFIRM_TIMEOUT=timedelta(seconds=0.5))
    before = proxy.accepted.total()

    with pytest.raises(BrokerAway):
        link.depth("test.till")

    assert proxy.accepted.total() == before + 1


def test_a_link_in_use_that_breaks_is_the_dispatcher_s_to_rest_from(link, proxy, monkeypatch):
    monkeypatch.setattr(confirming, "IDLE_SECONDS", 60.0)
    link.depth("test.till")
    proxy.cut()

    with pytest.raises(BrokerAway):
        link.depth("test.till")
