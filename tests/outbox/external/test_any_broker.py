"""A forward over the broker that Celery has, RabbitMQ or files."""

import pytest
from kombu import Queue

from outbox.broker.queues import celery_app
from outbox.delivery import chunks
from tests.harness.messages import publish_messages, state_of
from tests.outbox.external.conftest import NAME

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


def test_what_is_bound_gets_the_messages_in_order_and_what_is_not_is_unroutable(lead, exchange):
    lead(pattern="test.*")
    with celery_app().connection_for_write() as connection:
        channel = connection.channel()
        queue = Queue(f"{exchange.name}.receiver", exchange=exchange, routing_key="test.sold")(channel)
        queue.declare()
        ids = publish_messages(10, ordering_key="shop") + publish_messages(1, "test.lost")

        chunks.deliver(NAME, ids)

        received = [queue.get(no_ack=True) for _ in range(10)]
        queue.delete()

    assert [state_of(id).status for id in ids] == ["success"] * 10 + ["pending"]
    assert "Unroutable" in state_of(ids[-1]).last_error
    assert [message.properties["type"] for message in received] == ["test.sold"] * 10
    assert [message.headers["x-outbox-attempt"] for message in received] == [1] * 10
