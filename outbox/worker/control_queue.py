"""A worker's control queue: what is in its way makes way, and what is out of reach is done without.

RabbitMQ refuses to declare a queue anew with other properties (PRECONDITION_FAILED), and the worker would never become
ready. A queue that nobody reads is deleted. One that is read belongs to a worker that lives, or whose connection is not
missed yet: that is said, and Celery tries again until it is gone.

In a cluster a durable classic queue is on one node. While that is down nobody can declare its name (NOT_FOUND), and the
worker would not become ready on the others. Commands come by a fanout exchange, so that another name does as well.
"""

import logging
from secrets import token_hex
from typing import Any

from amqp.exceptions import NotFound, PreconditionFailed
from celery import bootsteps
from kombu import Consumer, Queue
from kombu.pidbox import Node

from outbox.worker.hint_consumer import connection_of

log = logging.getLogger("outbox.worker")


class ControlQueueStep(bootsteps.Step):
    """Has the worker take its commands as a ``ControlNode``."""

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        worker.app.control.mailbox.node_cls = ControlNode


class ControlNode(Node):
    """Celery's node, which looks at the queue it is going to read first."""

    def listen(self, channel: Any = None, callback: Any = None) -> Consumer:
        """Begin to take commands, from a queue of another name where the node's own is out of reach."""
        on: Any = channel or self.channel
        mailbox: Any = self.mailbox
        queue = mailbox.get_queue(self.hostname)
        client = connection_of(on).client
        if client.transport.driver_type != "amqp" or make_way_for(queue, client):
            return super().listen(channel=channel, callback=callback)
        queue.name = f"{queue.name}.{token_hex(4)}"
        return self._listen_to(queue, on, callback)

    def _listen_to(self, queue: Queue, channel: Any, callback: Any) -> Consumer:
        handlers: dict[str, Any] = {
            "callbacks": [callback or self.handle_message],
            "on_decode_error": self.on_decode_error,
        }
        mailbox: Any = self.mailbox
        consumer = Consumer(channel, [queue], no_ack=True, accept=mailbox.accept, **handlers)
        consumer.consume()
        return consumer


def make_way_for(queue: Queue, connection: Any) -> bool:
    """Delete a queue of that name that was declared in another way, unless it is read by someone.

    False if its name is out of reach.
    """
    try:
        with connection.channel() as channel:
            queue(channel).queue_declare()
    except NotFound as error:
        log.warning("the control queue %s is out of reach; the worker takes another one (%s)", queue.name, error)
        return False
    except PreconditionFailed as error:
        try:
            with connection.channel() as channel:
                channel.queue_delete(queue.name, if_unused=True)
        except PreconditionFailed:
            log.error(
                "the control queue %s is held by a worker of the same name with other settings (%s): stop that worker, "
                "or give this one another name (celery worker -n)",
                queue.name,
                error,
            )
        else:
            log.warning("the control queue %s was declared in another way; it is made anew (%s)", queue.name, error)
    return True
