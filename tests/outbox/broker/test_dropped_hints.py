"""What the broker itself throws away of our hints is known from their dead letters; nobody else's are touched."""

import pytest
from amqp import Message as Letter

from outbox.broker import dead_letters
from outbox.broker.queues import dead_letter_queue, queue_name
from tests.harness.program import eventually

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("rabbit")]

LIMITS = {"maxlen": {"x-max-length": 1}, "expired": {"x-message-ttl": 1}}


@pytest.fixture
def drop(rabbit):
    """Return a function that has the broker drop a hint, as a policy over the queue would."""
    dead_letter_queue()(rabbit).declare()

    def drop_one(reason):
        limits = {"x-queue-type": "quorum", **LIMITS[reason]}
        to_the_dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue_name("dead")}
        rabbit.queue_declare(queue_name("test.other"), auto_delete=False, durable=True, arguments=limits | to_the_dead)
        before = waiting(rabbit)
        for _time in range(2 if reason == "maxlen" else 1):
            rabbit.basic_publish(Letter("hint"), routing_key=queue_name("test.other"))
        eventually(lambda: waiting(rabbit) == before + 1, within=10, what="the hint is a dead letter")

    return drop_one


def waiting(rabbit) -> int:
    return rabbit.queue_declare(queue_name("dead"), passive=True).message_count


def dropped(link) -> dict[str, dict[str, str]]:
    link.read_dead_letters()
    return link.dropped()


@pytest.mark.parametrize("reason", LIMITS)
def test_a_hint_that_was_dropped_is_named_and_its_dead_letter_taken_off(link, rabbit, drop, reason):
    link.depth("test.till")
    assert dropped(link) == {}

    drop(reason)

    assert dropped(link) == {queue_name("test.other"): {"reason": reason, "vhost": "/"}}
    assert eventually(lambda: waiting(rabbit) == 0, within=5)
    assert list(dropped(link)) == [queue_name("test.other")]


def test_it_is_over_a_minute_after_it_was_last_seen(link, drop, monkeypatch):
    link.depth("test.till")
    drop("maxlen")
    assert dropped(link)

    monkeypatch.setattr(dead_letters, "REMEMBERED_SECONDS", 0.0)

    assert dropped(link) == {}


def test_a_hint_that_killed_its_workers_stays_where_it_is(link, rabbit, drop):
    link.depth("test.till")
    poison = Letter("hint", application_headers={"x-first-death-reason": "delivery_limit"})
    rabbit.basic_publish(poison, routing_key=queue_name("dead"))
    drop("maxlen")

    assert list(dropped(link)) == [queue_name("test.other")]
    assert eventually(lambda: waiting(rabbit) == 1, within=5)
    assert link.read_dead_letters(known=1) is None
    assert waiting(rabbit) == 1
