"""How a worker takes hints: on a channel of their own, so that the host's tasks are consumed as if we were not there.

RabbitMQ serves quorum queues only under a prefetch per consumer. Where Celery sees one among an app's queues it gives
that prefetch to all of them, and a host's tasks with an ETA then block its worker until their time comes: 2 of them
held up a plain task on a worker of 2 processes for the whole of their 6 s. So Celery does not see that ours are quorum
queues (``broker.EngineQueue``), and they are consumed here.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from amqp.exceptions import NotFound
from celery import bootsteps
from kombu import Consumer, Queue
from kombu.message import Message

from outbox.broker.queues import EngineQueue

log = logging.getLogger("outbox.worker")

TRY_AGAIN = 30.0
"""Seconds after which a queue that the broker refused is tried again."""


class HintConsumerStep(bootsteps.StartStopStep):
    """Has the worker consume through ``TaskConsumer``, with as many hints of a queue at once as its pool has places."""

    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def start(self, worker: Any) -> None:
        """Take effect for every connection from now on; a broker of files has no channels to keep apart."""
        if worker.app.connection_for_read().transport.driver_type == "amqp":
            places = max(worker.pool.num_processes, worker.max_concurrency or 0)
            worker.app.amqp.Consumer = partial(TaskConsumer, hints_at_once=places)
            if worker.use_eventloop:
                worker.timer.call_repeatedly(TRY_AGAIN, _try_again, (worker,))


def _try_again(worker: Any) -> None:
    """Try refused queues again, in the loop that the worker's connection belongs to."""
    consumer = worker.consumer.task_consumer
    if isinstance(consumer, TaskConsumer):
        consumer.try_again()


class TaskConsumer(Consumer):
    """Celery's consumer, which leaves each of the engine's queues to one with a channel and a prefetch of its own.

    A broker that refuses a queue closes the channel. So one that is left over, or not for us, holds up no other. Of the
    host's own queues those are left out whose node is down: in a cluster a durable classic queue is on one node.
    """

    def __init__(self, channel: Any, queues: Iterable[Queue] = (), *, hints_at_once: int, **options: Any) -> None:
        everything = list(queues)
        self._hints: dict[str, Consumer] = {}
        self._refused: dict[str, Queue] = {}
        self._hints_at_once = hints_at_once
        own = [queue for queue in everything if not isinstance(queue, EngineQueue)]
        super().__init__(channel, [queue for queue in own if self._is_there(channel, queue)], **options)
        for queue in everything:
            if isinstance(queue, EngineQueue):
                self.add_queue(queue)

    @property
    def queues(self) -> list[Queue]:
        """The queues of all consumers, as ``celery inspect active_queues`` shows them."""
        return [*self._queues.values(), *(queue for consumer in self._hints.values() for queue in consumer.queues)]

    @queues.setter
    def queues(self, queues: Iterable[Queue]) -> None:
        self._queues = {queue.name: queue for queue in queues}

    def add_queue(self, queue: Queue) -> Any:
        """Declare ``queue`` and hold it ready for ``consume``."""
        if not isinstance(queue, EngineQueue):
            return super().add_queue(queue) if self._is_there(self.channel, queue) else queue
        with self._may_be_refused(queue):
            if queue.name in self._hints:
                self._hints[queue.name].add_queue(queue)
            else:
                self._hints[queue.name] = self._consumer_of(queue)
        return queue

    def consume(self, no_ack: bool | None = None) -> None:
        """Begin, or go on with queues that were added."""
        super().consume(no_ack)
        for consumer in list(self._hints.values()):
            for queue in consumer.queues:
                with self._may_be_refused(queue):
                    consumer.consume()

    def consume_from(self, queue: Queue) -> None:
        """Begin with a queue that was added."""
        if queue.name in self._hints:
            self._hints[queue.name].consume()
        else:
            super().consume()

    def try_again(self) -> None:
        """Begin with queues that were refused, if the broker has them now."""
        for queue in list(self._refused.values()):
            self.add_queue(queue)
            if queue.name in self._hints or queue.name in self._queues:
                with self._may_be_refused(queue):
                    self.consume_from(queue)
                    del self._refused[queue.name]
                    log.info("the queue %s is consumed now", queue.name)

    def consuming_from(self, queue: Queue | str) -> bool:
        """Tell whether messages are taken from ``queue`` now."""
        return super().consuming_from(queue) or any(consumer.consuming_from(queue) for consumer in self._hints.values())

    def cancel(self) -> None:
        """Take no more messages from any queue; those taken already may still be acknowledged."""
        super().cancel()
        self._refused.clear()
        for consumer in self._hints.values():
            consumer.cancel()

    close = cancel

    def cancel_by_queue(self, queue: Queue | str) -> None:
        """Take no more messages from ``queue``."""
        name = queue.name if isinstance(queue, Queue) else queue
        self._refused.pop(name, None)
        if name in self._hints:
            # Its channel stays, for what was taken may still be acknowledged.
            self._hints[name].cancel_by_queue(name)
        else:
            super().cancel_by_queue(queue)

    def _is_there(self, channel: Any, queue: Queue) -> bool:
        """Declare a queue of the host's on a channel of its own; tell whether its node is up.

        Whatever else is wrong with it is Celery's to say.
        """
        on: Any = channel
        try:
            with on.connection.client.channel() as probe:
                queue(probe).declare()
        except NotFound as error:
            self._leave_out(queue, error)
            return False
        except on.connection.client.channel_errors as error:
            log.debug("Celery will meet this as well: %s", error)
        return True

    def _consumer_of(self, queue: EngineQueue) -> Consumer:
        on: Any = self.channel
        channel: Any = on.connection.client.channel()
        try:
            return Consumer(
                channel,
                [queue],
                prefetch_count=self._hints_at_once,
                on_message=self._pass_on,
                on_decode_error=self.on_decode_error,
                accept=["json"],
            )
        except on.connection.client.channel_errors:
            channel.close()
            raise

    @contextmanager
    def _may_be_refused(self, queue: Any) -> Iterator[None]:
        """Go on without ``queue`` if the broker refuses it, and say so once."""
        channel: Any = self.channel
        try:
            yield
        except channel.connection.client.channel_errors as error:
            refused: Any = self._hints.pop(queue.name, None)
            if refused is not None:
                refused.channel.close()
            self._leave_out(queue, error)

    def _leave_out(self, queue: Queue, error: Exception) -> None:
        if queue.name not in self._refused:
            where = (
                "manage.py outbox_status names the command that mends it"
                if isinstance(queue, EngineQueue)
                else ("its node is down, and it is kept on no other: a quorum queue would be")
            )
            log.error(
                "the broker refuses the queue %s, which is not consumed; the others are. It is tried again every "
                "%d s; %s: %s",
                queue.name,
                TRY_AGAIN,
                where,
                error,
            )
        self._refused[queue.name] = queue

    def _pass_on(self, message: Message) -> None:
        """Give a hint to Celery, which says only when its loop begins what is to be done with messages."""
        on_message: Any = self.on_message
        on_message(message)
