"""Hints on a real RabbitMQ: each is surely taken, or known not to be, within a deadline."""

from datetime import timedelta
from time import monotonic, sleep

import pytest

from outbox import tasks
from outbox.broker.connection import Hint
from outbox.broker.queues import control_queue, queue_name
from outbox.conf import conf
from outbox.errors import BrokerAway
from tests.harness.ports import free_port, mute_port
from tests.outbox.broker.hints import bodies, hint

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("rabbit")]

LONG = 10.0
"""Seconds that nothing here may take, with deadlines of half a second: neither for ever nor kombu's 30 s."""


def waits_in(rabbit, queue: str) -> str:
    """Take the next task out of a queue, which Celery has sent without waiting for a confirm, and return its name."""
    until = monotonic() + LONG
    while (message := rabbit.basic_get(queue, no_ack=True)) is None:
        assert monotonic() < until, f"nothing came into {queue}"
        sleep(0.01)
    return message.headers["task"]


def test_a_hint_is_confirmed_and_lies_in_the_queue_as_a_persistent_task_in_json(link, rabbit):
    link.depth("test.till")
    rabbit.queue_purge(queue_name("test.till"))  # of what tests before this one may have sent

    missing = link.send([hint(1, 2, 3)])

    taken = rabbit.basic_get(queue_name("test.till"), no_ack=True)
    message = rabbit.message_to_python(taken)
    assert missing == []
    assert message.decode()[:2] == [["test.till", [1, 2, 3]], {}]
    assert message.headers["task"] == "outbox.deliver"
    assert message.headers["timelimit"] == [74, None]
    assert (message.content_type, message.properties["delivery_mode"]) == ("application/json", 2)
    assert taken.delivery_info["routing_key"] == queue_name("test.till")
    assert taken.delivery_info["exchange"] == ""


@pytest.mark.parametrize("job", [tasks.run_rescan, tasks.run_prune, tasks.run_roll_up, tasks.run_alerts])
def test_a_maintenance_job_is_a_task_for_the_control_worker_unless_beat_s_row_names_another_queue(job, rabbit):
    control_queue()(rabbit).declare()
    elsewhere = queue_name("test.a")
    rabbit.queue_declare(elsewhere, durable=True, auto_delete=False)

    job.apply_async((), {}, expires=10)
    job.apply_async((), {}, queue=elsewhere)

    assert [waits_in(rabbit, name) for name in (queue_name("control"), elsewhere)] == [job.name] * 2


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
    link.depth("test.till")
    rabbit.queue_delete(queue_name("test.till"))
    rabbit.queue_declare(
        queue_name("test.till"),
        durable=True,
        auto_delete=False,
        arguments={"x-max-length": 2, "x-overflow": "reject-publish"},
    )

    missing = link.send([hint(1), hint(2), hint(3), hint(4)])

    assert missing == [hint(3), hint(4)]
    assert bodies(rabbit) == [["test.till", [1]], ["test.till", [2]]]


def test_a_free_port_is_a_broker_that_is_away(link, broker_at):
    broker_at(free_port())

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


def test_a_name_that_is_no_consumer_can_still_be_asked_for(link, rabbit):
    assert link.depth("test.other") == 0


def test_the_deadlines_are_those_of_the_settings():
    assert (conf().connect_timeout, conf().confirm_timeout) == (timedelta(seconds=2), timedelta(seconds=5))
