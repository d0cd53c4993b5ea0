"""Links to the broker that freeze, thaw and are cut: what was not confirmed is missing, within the deadline."""

from time import monotonic

import pytest

from outbox.broker.connection import BrokerConnection
from outbox.broker.queues import celery_app
from outbox.errors import BrokerAway
from tests.harness.proxy import FROZEN, OPEN, Proxy
from tests.outbox.broker.hints import bodies, hint

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("rabbit")]


LONG = 10.0
"""Seconds that nothing here may take, with deadlines of half a second: neither for ever nor kombu's 30 s."""


@pytest.fixture
def proxy(broker_at):
    proxy = Proxy(celery_app().conf.broker_url)
    broker_at(proxy.port)
    yield proxy
    proxy.close()


def test_what_is_sent_over_a_frozen_link_is_missing_within_the_deadline(link, proxy, rabbit):
    link.depth("test.till")
    proxy.become(FROZEN)
    began = monotonic()

    missing = link.send([hint(1), hint(2)])

    took = monotonic() - began
    assert missing == [hint(1), hint(2)]
    assert 0.5 <= took < LONG


def test_more_than_the_sockets_hold_sent_over_a_frozen_link_is_missing_within_the_deadline(link, proxy):
    link.depth("test.till")
    proxy.become(FROZEN)
    hints = [hint(*range(1, 10_000)) for _ in range(400)]
    began = monotonic()

    missing = link.send(hints)

    assert missing == hints
    assert monotonic() - began < LONG


def test_a_frozen_link_does_not_answer_for_the_depth_within_the_deadline(link, proxy):
    link.depth("test.till")
    proxy.become(FROZEN)
    began = monotonic()

    with pytest.raises(BrokerAway):
        link.depth("test.till")

    assert monotonic() - began < LONG


def test_after_a_frozen_link_thaws_the_next_send_uses_a_new_connection(link, proxy, rabbit):
    link.depth("test.till")
    proxy.become(FROZEN)
    link.send([hint(1)])
    proxy.become(OPEN)
    before = proxy.accepted.total()

    link.depth("test.till")
    missing = link.send([hint(2)])

    assert missing == []
    assert proxy.accepted.total() == before + 1
    assert ["test.till", [2]] in bodies(rabbit)


def test_what_is_sent_over_a_link_that_was_cut_is_missing_and_the_next_is_not(link, proxy, rabbit):
    link.depth("test.till")
    proxy.cut()

    missing = [*link.send([hint(1)]), *link.send([hint(2)])]

    assert hint(1) in missing
    assert link.depth("test.till") + len(missing) >= 2
    assert link.send([hint(3)]) == []


def test_a_link_that_was_cut_in_mid_chunk_reports_what_was_not_confirmed(link, proxy, monkeypatch):
    link.depth("test.till")
    publish = BrokerConnection._publish

    def publish_and_cut(self, sent):
        if sent == hint(3):
            proxy.cut()
        publish(self, sent)

    monkeypatch.setattr(BrokerConnection, "_publish", publish_and_cut)
    hints = [hint(n) for n in range(1, 6)]

    missing = link.send(hints)
    monkeypatch.undo()

    assert missing[-3:] != []
    assert {hint(3), hint(4), hint(5)} <= set(missing)
