"""Hints on a real RabbitMQ: each is surely taken, or known not to be, within a deadline."""

from datetime import timedelta
from time import monotonic, sleep
from urllib.parse import urlsplit

import pytest

from outbox import tasks
from outbox.broker.connection import BrokerConnection, Hint
from outbox.broker.queues import celery_app, control_queue, queue_name
from outbox.conf import conf
from outbox.delivery import chunks
from outbox.errors import BrokerAway
from outbox.maintenance import rescan
from outbox.maintenance.rescan import RescanResult
from tests.harness.clock import let_pass
from tests.harness.messages import MessageState, publish_message, publish_messages, state_of, states_of
from tests.harness.proxy import mute_port, proxy_to, refused_port
from tests.outbox.broker.hints import bodies

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("rabbit")]

LONG = 10.0
"""Seconds that nothing here may take, with deadlines of half a second: neither for ever nor kombu's 30 s."""


@pytest.fixture
def link(listen):
    listen()
    link = BrokerConnection()
    yield link
    link.abandon()


def hint(*ids: int) -> Hint:
    return Hint("test.till", ids)


def waits_in(rabbit, queue: str) -> str:
    """Take the next task out of a queue, which Celery has sent without waiting for a confirm, and return its name."""
    until = monotonic() + LONG
    while (message := rabbit.basic_get(queue, no_ack=True)) is None:
        assert monotonic() < until, f"nothing came into {queue}"
        sleep(0.01)
    return message.headers["task"]


def test_a_hint_is_confirmed_and_lies_in_the_queue_as_a_persistent_task_in_json(link, rabbit):
    link.depth("test.till")

    missing = link.send([hint(1, 2, 3)])

    taken = rabbit.basic_get(queue_name("test.till"), no_ack=True)
    message = rabbit.message_to_python(taken)
    assert missing == []
    assert message.decode()[:2] == [["test.till", [1, 2, 3]], {}]
    assert message.headers["task"] == "outbox.deliver"
    assert message.headers["timelimit"] == [810, None]
    assert (message.content_type, message.properties["delivery_mode"]) == ("application/json", 2)
    assert taken.delivery_info["routing_key"] == queue_name("test.till")
    assert taken.delivery_info["exchange"] == ""


@pytest.mark.parametrize("chore", [tasks.run_rescan, tasks.run_prune, tasks.run_roll_up, tasks.run_alerts])
def test_a_chore_is_a_task_for_the_control_worker_unless_beat_s_row_names_another_queue(chore, rabbit):
    control_queue()(rabbit).declare()
    elsewhere = queue_name("test.a")
    rabbit.queue_declare(elsewhere, durable=True, auto_delete=False)

    chore.apply_async((), {}, expires=10)
    chore.apply_async((), {}, queue=elsewhere)

    assert [waits_in(rabbit, name) for name in (queue_name("control"), elsewhere)] == [chore.name] * 2


def test_the_depth_is_the_number_of_hints_that_wait(link):
    empty = link.depth("test.till")
    link.send([hint(1), hint(2), hint(3)])

    assert (empty, link.depth("test.till")) == (0, 3)


def test_a_thousand_hints_are_confirmed_together(link, rabbit):
    link.depth("test.till")
    hints = [hint(n) for n in range(1, 1_001)]

    missing = link.send(hints)

    assert missing == []
    assert bodies(rabbit) == [["test.till", [n]] for n in range(1, 1_001)]


def test_a_queue_is_a_durable_quorum_queue_that_bounds_redelivery(link, rabbit):
    link.depth("test.till")

    declared = {"x-queue-type": "quorum", "x-delivery-limit": 5, "x-dead-letter-exchange": ""}
    ok = rabbit.queue_declare(
        queue_name("test.till"),
        durable=True,
        auto_delete=False,
        arguments={**declared, "x-dead-letter-routing-key": queue_name("dead")},
    )

    assert ok.message_count == 0


def test_a_hint_for_a_queue_that_was_deleted_counts_as_not_sent_and_the_next_finds_it_made_again(link, rabbit):
    link.depth("test.till")
    rabbit.queue_delete(queue_name("test.till"))

    missing = link.send([hint(1), hint(2)])
    depth = link.depth("test.till")
    missing_then = link.send([hint(3)])

    assert missing == [hint(1), hint(2)]
    assert (depth, missing_then) == (0, [])
    assert bodies(rabbit) == [["test.till", [3]]]


def test_only_the_hints_that_found_no_queue_are_missing(link, rabbit, listen):
    listen(name="test.other", topic="test.other")
    link.depth("test.till")
    link.depth("test.other")
    rabbit.queue_delete(queue_name("test.other"))
    lost = Hint("test.other", (9,))

    missing = link.send([hint(1), lost, hint(2)])

    assert missing == [lost]
    assert bodies(rabbit) == [["test.till", [1]], ["test.till", [2]]]


def test_a_hint_that_a_full_queue_rejects_counts_as_not_sent(link, rabbit):
    rabbit.queue_declare(
        queue_name("test.till"),
        durable=True,
        auto_delete=False,
        arguments={"x-max-length": 2, "x-overflow": "reject-publish"},
    )
    link.depth("test.till")

    missing = link.send([hint(1), hint(2), hint(3), hint(4)])

    assert missing == [hint(3), hint(4)]
    assert bodies(rabbit) == [["test.till", [1]], ["test.till", [2]]]


def test_a_refused_port_is_a_broker_that_is_away(link, broker_at):
    broker_at(refused_port())

    with pytest.raises(BrokerAway, match="the broker did not answer for"):
        link.depth("test.till")

    assert link.send([hint(1)]) == [hint(1)]


def test_a_port_that_accepts_and_never_answers_is_a_broker_that_is_away(link, broker_at):
    began = monotonic()
    with mute_port() as port:
        broker_at(port)

        with pytest.raises(BrokerAway, match="the broker did not answer for"):
            link.depth("test.till")
        missing = link.send([hint(1)])

    assert missing == [hint(1)]
    assert monotonic() - began < LONG


@pytest.fixture
def proxy(broker_at):
    there = urlsplit(celery_app().conf.broker_url)
    with proxy_to(there.hostname or "127.0.0.1", there.port or 5672) as proxy:
        broker_at(proxy.port)
        yield proxy


def test_what_is_sent_over_a_frozen_link_is_missing_within_the_deadline(link, proxy, rabbit):
    link.depth("test.till")
    proxy.freeze()
    began = monotonic()

    missing = link.send([hint(1), hint(2)])

    took = monotonic() - began
    assert missing == [hint(1), hint(2)]
    assert 0.5 <= took < LONG


def test_more_than_the_sockets_hold_sent_over_a_frozen_link_is_missing_within_the_deadline(link, proxy):
    link.depth("test.till")
    proxy.freeze()
    hints = [hint(*range(1, 10_000)) for _ in range(400)]
    began = monotonic()

    missing = link.send(hints)

    assert missing == hints
    assert monotonic() - began < LONG


def test_a_frozen_link_does_not_answer_for_the_depth_within_the_deadline(link, proxy):
    link.depth("test.till")
    proxy.freeze()
    began = monotonic()

    with pytest.raises(BrokerAway):
        link.depth("test.till")

    assert monotonic() - began < LONG


def test_after_a_frozen_link_thaws_the_next_send_uses_a_new_connection(link, proxy, rabbit):
    link.depth("test.till")
    proxy.freeze()
    link.send([hint(1)])
    proxy.thaw()
    before = proxy.accepted

    link.depth("test.till")
    missing = link.send([hint(2)])

    assert missing == []
    assert proxy.accepted == before + 1
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


def test_a_name_that_is_no_consumer_can_still_be_asked_for(link, rabbit):
    assert link.depth("test.other") == 0


@pytest.fixture
def _own_link():
    yield
    if rescan._connections.connection is not None:
        rescan._connections.connection.abandon()
        rescan._connections.connection = None


@pytest.mark.usefixtures("transactional_db", "offered", "_own_link")
class TestTheRescanOnRabbitMQ:
    """The whole way: a row, a hint in a real queue, the row delivered."""

    def test_what_is_due_lies_in_the_queue_and_is_delivered_from_there(self, listen, rabbit):
        listen(chunk=2)
        ids = publish_messages(3)
        let_pass(timedelta(seconds=5))

        sweep = rescan.rescan()
        hints = bodies(rabbit)
        for taken in hints:
            chunks.deliver(*taken)

        assert sweep == RescanResult(sent=3)
        assert hints == [["test.till", ids[:2]], ["test.till", ids[2:]]]
        assert states_of(ids) == [MessageState("success", attempts=1, attempt_limit=3)] * 3

    def test_a_full_queue_gets_nothing_more(self, listen, rabbit):
        listen(chunk=1, high_water=3)
        ids = publish_messages(5)
        let_pass(timedelta(seconds=5))

        sweeps = [rescan.rescan(), rescan.rescan()]

        assert sweeps == [RescanResult(sent=3), RescanResult()]
        assert [entry.sends for entry in states_of(ids)] == [1, 1, 1, 0, 0]

    def test_a_broker_that_is_away_costs_nothing_and_the_next_pass_sends(self, listen, broker_at, rabbit, monkeypatch):
        listen()
        id = publish_message()
        let_pass(timedelta(seconds=5))
        broker_at(refused_port())
        away = rescan.rescan()
        before = state_of(id)
        monkeypatch.delenv("CELERY_BROKER_WRITE_URL")

        sweep = rescan.rescan()

        assert away == RescanResult(broker_away=True)
        assert before == MessageState("pending", attempts=0, attempt_limit=3)
        assert sweep == RescanResult(sent=1)
        assert bodies(rabbit) == [["test.till", [id]]]

    def test_a_queue_deleted_between_two_passes_is_made_again(self, listen, rabbit):
        listen()
        id = publish_message()
        let_pass(timedelta(seconds=5))
        rescan.rescan()
        rabbit.queue_delete(queue_name("test.till"))
        let_pass(timedelta(seconds=10))

        sweep = rescan.rescan()

        assert sweep == RescanResult(sent=1)
        assert bodies(rabbit) == [["test.till", [id]]]


def test_the_deadlines_are_those_of_the_settings():
    assert (conf().connect_timeout, conf().confirm_timeout) == (timedelta(seconds=2), timedelta(seconds=5))
