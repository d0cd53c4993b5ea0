"""How a worker takes hints: on a channel of their own, so that the host's tasks are consumed as if we were not there.

RabbitMQ serves quorum queues only under a prefetch per consumer. Where Celery sees one among an app's queues it gives
that prefetch to all of them, and a host's tasks with an ETA then block its worker until their time comes: 2 of them
held up a plain task on a worker of 2 processes for the whole of their 6 s. So Celery does not see that ours are quorum
queues (``broker.EngineQueue``), and they are consumed here.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

from celery import bootsteps
from kombu import Consumer, Queue
from kombu.message import Message

from outbox.broker.queues import EngineQueue


class HintConsumerStep(bootsteps.StartStopStep):
    """Has the worker consume through ``TaskConsumer``, with as many hints of a queue at once as its pool has places."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Take effect for every connection from now on; a broker of files has no channels to keep apart."""
        if worker.app.connection_for_read().transport.driver_type == "amqp":
            places = max(worker.pool.num_processes, worker.max_concurrency or 0)
            worker.app.amqp.Consumer = partial(TaskConsumer, hints_at_once=places)


class TaskConsumer(Consumer):
    """Celery's consumer, which leaves the engine's queues to a second one with a channel and a prefetch of its own."""

    def __init__(self, channel: Any, queues: Iterable[Queue] = (), *, hints_at_once: int, **options: Any) -> None:
        everything = list(queues)
        self._hints: Consumer | None = None
        self._hints_at_once = hints_at_once
        super().__init__(channel, [queue for queue in everything if not isinstance(queue, EngineQueue)], **options)
        for queue in everything:
            if isinstance(queue, EngineQueue):
                self.add_queue(queue)

    @property
    def queues(self) -> list[Queue]:
        """The queues of both consumers, as ``celery inspect active_queues`` shows them."""
        return [*self._queues.values(), *(self._hints.queues if self._hints else [])]

    @queues.setter
    def queues(self, queues: Iterable[Queue]) -> None:
        self._queues = {queue.name: queue for queue in queues}

    def add_queue(self, queue: Queue) -> Any:
        """Declare ``queue`` and hold it ready for ``consume``."""
        return self._of_hints().add_queue(queue) if isinstance(queue, EngineQueue) else super().add_queue(queue)

    def consume(self, no_ack: bool | None = None) -> None:
        """Begin, or go on with queues that were added."""
        super().consume(no_ack)
        if self._hints is not None:
            self._hints.consume()

    def consuming_from(self, queue: Queue | str) -> bool:
        """Tell whether messages are taken from ``queue`` now."""
        return super().consuming_from(queue) or bool(self._hints and self._hints.consuming_from(queue))

    def cancel(self) -> None:
        """Take no more messages from any queue; those taken already may still be acknowledged."""
        super().cancel()
        if self._hints is not None:
            self._hints.cancel()

    close = cancel

    def cancel_by_queue(self, queue: Queue | str) -> None:
        """Take no more messages from ``queue``."""
        super().cancel_by_queue(queue)
        if self._hints is not None:
            self._hints.cancel_by_queue(queue)

    def _of_hints(self) -> Consumer:
        if self._hints is None:
            channel: Any = self.channel
            self._hints = Consumer(
                channel.connection.client.channel(),
                prefetch_count=self._hints_at_once,
                on_message=self._pass_on,
                on_decode_error=self.on_decode_error,
                accept=["json"],
            )
        return self._hints

    def _pass_on(self, message: Message) -> None:
        """Give a hint to Celery, which says only when its loop begins what is to be done with messages."""
        on_message: Any = self.on_message
        on_message(message)
