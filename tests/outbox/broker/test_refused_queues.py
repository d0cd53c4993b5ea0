"""A queue that the broker refuses is told from a broker that is away, and holds up no other."""

import pytest

from outbox.broker import dispatcher
from outbox.broker.queues import celery_app, hint_queue, queue_name
from outbox.errors import BrokerRefuses
from tests.harness.program import eventually
from tests.outbox.broker.hints import bodies, hint

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("rabbit")]


@pytest.fixture
def leave_over(rabbit):
    """Return a function that leaves a queue of ours behind, with other arguments."""
    return lambda name: rabbit.queue_declare(queue_name(name), durable=True, auto_delete=False)


def test_a_left_over_queue_is_named_with_what_the_broker_said(link, leave_over):
    leave_over("test.till")

    with pytest.raises(
        BrokerRefuses, match=f"the broker refuses {queue_name('test.till')}: PRECONDITION_FAILED"
    ) as info:
        link.depth("test.till")

    assert (info.value.queue, info.value.details["code"]) == (queue_name("test.till"), 406)
    assert (info.value.details["vhost"], info.value.details["user"]) == ("/", "guest")


def test_the_same_connection_serves_the_others_and_the_queue_itself_once_it_is_mended(link, leave_over, rabbit, listen):
    listen(name="test.other", topic="test.other")
    leave_over("test.till")
    for _time in range(3):
        with pytest.raises(BrokerRefuses):
            link.depth("test.till")
    wire = link._wire

    assert link.depth("test.other") == 0
    rabbit.queue_delete(queue_name("test.till"))
    assert link.depth("test.till") == 0
    assert link.send([hint(1)]) == []
    assert link._wire is wire


def test_a_left_over_queue_for_dead_letters_is_noted_and_hints_are_sent_all_the_same(link, leave_over, rabbit):
    leave_over("dead")

    assert link.depth("test.till") == 0
    assert link.send([hint(1)]) == []
    assert link.dead_letters_refused.queue == queue_name("dead")
    rabbit.queue_delete(queue_name("dead"))
    link.depth("test.till")
    assert link.dead_letters_refused is None


@pytest.mark.parametrize(("address", "code"), [("guest:guest@127.0.0.1/gone", 530), ("guest:no@127.0.0.1//", 403)])
def test_a_vhost_that_is_gone_or_a_wrong_password_is_the_broker_s_refusal_of_us(link, monkeypatch, address, code):
    monkeypatch.setitem(celery_app().conf, "broker_write_url", f"amqp://{address}")

    with pytest.raises(BrokerRefuses) as info:
        link.depth("test.till")

    assert (info.value.queue, info.value.details["code"]) == ("", code)
    assert link.send([hint(1)]) == [hint(1)]


def test_the_dispatcher_sends_the_hints_of_the_other_consumers_and_does_not_rest(listen, leave_over, rabbit):
    listen()
    listen(name="test.other", topic="test.other")
    dispatcher.drain()  # that of an earlier test may remember the queue as one that it has declared
    leave_over("test.till")
    other = hint_queue("test.other")(rabbit)
    other.declare()
    dispatcher.dispatch({"test.till": [1], "test.other": [2]})

    try:
        assert eventually(lambda: other.queue_declare(passive=True).message_count, within=5) == 1
        assert bodies(rabbit) == []
    finally:
        dispatcher.drain()
