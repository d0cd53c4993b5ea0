"""A worker's control queue: what an older release, or other settings, left under the same node name makes way.

RabbitMQ refuses to declare a queue anew with other properties (PRECONDITION_FAILED), and the worker would never become
ready. A queue that nobody reads is deleted. One that is read belongs to a worker that lives, or whose connection is not
missed yet: that is said, and Celery tries again until it is gone.
"""

import logging
from typing import Any

from amqp.exceptions import PreconditionFailed
from celery import bootsteps
from kombu import Consumer, Queue
from kombu.pidbox import Node

log = logging.getLogger("outbox.worker")


class ControlQueueStep(bootsteps.Step):
    """Has the worker take its commands as a ``ControlNode``."""

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        worker.app.control.mailbox.node_cls = ControlNode


class ControlNode(Node):
    """Celery's node, which looks at the queue it is going to read first."""

    def listen(self, channel: Any = None, callback: Any = None) -> Consumer:
        """Begin to take commands."""
        on: Any = channel or self.channel
        mailbox: Any = self.mailbox
        if on.connection.client.transport.driver_type == "amqp":
            make_way_for(mailbox.get_queue(self.hostname), on.connection.client)
        return super().listen(channel=channel, callback=callback)


def make_way_for(queue: Queue, connection: Any) -> None:
    """Delete a queue of that name that was declared in another way, unless it is read by someone."""
    try:
        with connection.channel() as channel:
            queue(channel).queue_declare()
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
