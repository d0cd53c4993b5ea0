"""How a worker takes hints: on a channel of their own, so that the host's tasks are consumed as if we were not there.

RabbitMQ serves quorum queues only under a prefetch per consumer. Where Celery sees one among an app's queues it gives
that prefetch to all of them, and a host's tasks with an ETA then block its worker until their time comes: 2 of them
held up a plain task on a worker of 2 processes for the whole of their 6 s. So Celery does not see that ours are quorum
queues (``broker.EngineQueue``), and they are consumed here.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from amqp.exceptions import NotFound, RecoverableConnectionError
from celery import bootsteps
from kombu import Consumer, Queue
from kombu.message import Message

from outbox.broker.queues import EngineQueue
from outbox.worker.quiet_queues import QuietQueues

log = logging.getLogger("outbox.worker")

TRY_AGAIN = 30.0
"""Seconds after which a queue that the broker refused is tried again."""
LOOK = 1.0
"""Seconds between two looks at queues from which nothing comes."""
ANSWER_WITHIN = 5.0
"""Seconds that the broker has for an answer; a mute one is for the heartbeat to find."""


class HintConsumerStep(bootsteps.StartStopStep):
    """Has the worker consume through ``TaskConsumer``, with as many hints of a queue at once as its pool has places."""

    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def start(self, worker: Any) -> None:
        """Take effect for every connection from now on; a broker of files has no channels to keep apart."""
        if worker.app.connection_for_read().transport.driver_type == "amqp":
            places = max(worker.pool.num_processes, worker.max_concurrency or 0)
            worker.app.amqp.Consumer = partial(TaskConsumer, hints_at_once=places)
            worker.timer.call_repeatedly(TRY_AGAIN, _have_it_do, (worker, TaskConsumer.try_again))
            worker.timer.call_repeatedly(LOOK, _have_it_do, (worker, TaskConsumer.open_stalled_anew))


def _have_it_do(worker: Any, what: Callable[["TaskConsumer"], None]) -> None:
    """Have the worker's consumer do something, in the loop that its connection belongs to."""

    def do() -> None:
        if isinstance(worker.consumer.task_consumer, TaskConsumer):
            what(worker.consumer.task_consumer)

    if worker.consumer is not None:
        worker.consumer.call_soon(do)


def connection_of(channel: Any) -> Any:
    """Return the connection of a channel, or raise what Celery takes for a lost one: it then connects again."""
    if channel.connection is None:
        raise RecoverableConnectionError("the connection to the broker is gone")
    return channel.connection


class TaskConsumer(Consumer):
    """Celery's consumer, which leaves each of the engine's queues to one with a channel and a prefetch of its own.

    A broker that refuses a queue closes the channel. So one that is left over, or not for us, holds up no other. Of the
    host's own queues those are left out whose node is down: in a cluster a durable classic queue is on one node.
    """

    def __init__(self, channel: Any, queues: Iterable[Queue] = (), *, hints_at_once: int, **options: Any) -> None:
        everything = list(queues)
        self._hints: dict[str, Consumer] = {}
        self._refused: dict[str, Queue] = {}
        self._quiet = QuietQueues()
        self._looks: Any = None
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

    def open_stalled_anew(self) -> None:
        """Take a new channel for each queue that has hints and gives none, though all that it gave is done."""
        consuming = [name for name, consumer in self._hints.items() if consumer.consuming_from(name)]
        for name in self._quiet.stalled(consuming, self._waiting_in):
            log.warning("the queue %s has hints and gives none: its channel is closed, and another one is opened", name)
            stalled: Any = self._hints.pop(name)
            self._refused |= {queue.name: queue for queue in stalled.queues}
            with self._answer_in_time():
                stalled.channel.close()
                self.try_again()

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
        client = connection_of(channel).client
        try:
            with client.channel() as probe:
                queue(probe).declare()
        except NotFound as error:
            self._leave_out(queue, error)
            return False
        except client.channel_errors as error:
            log.debug("Celery will meet this as well: %s", error)
        return True

    @contextmanager
    def _answer_in_time(self) -> Iterator[None]:
        """Raise TimeoutError where the broker is mute: the worker's loop waits here, and does nothing else."""
        with connection_of(self.channel).transport.having_timeout(ANSWER_WITHIN):
            yield

    def _waiting_in(self, name: str) -> int:
        """Return how many hints wait in a queue, 0 if the broker does not say."""
        client = connection_of(self.channel).client
        try:
            with self._answer_in_time():
                self._looks = self._looks or client.channel()
                return int(self._looks.queue_declare(name, passive=True).message_count)
        except (*client.channel_errors, *client.connection_errors) as error:
            # A late answer would be taken for that of the next look.
            self._looks = None
            log.debug("no look at %s: %r", name, error)
            return 0

    def _consumer_of(self, queue: EngineQueue) -> Consumer:
        client = connection_of(self.channel).client
        channel: Any = client.channel()
        self._quiet.forget(queue.name)
        try:
            return Consumer(
                channel,
                [queue],
                prefetch_count=self._hints_at_once,
                on_message=partial(self._pass_on, queue.name),
                on_decode_error=self.on_decode_error,
                accept=["json"],
            )
        except client.channel_errors:
            channel.close()
            raise

    @contextmanager
    def _may_be_refused(self, queue: Any) -> Iterator[None]:
        """Go on without ``queue`` if the broker refuses it, and say so once."""
        # Asked before: a channel whose connection breaks meanwhile does not know it any more.
        refusals = connection_of(self.channel).client.channel_errors
        try:
            yield
        except refusals as error:
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

    def _pass_on(self, name: str, message: Message) -> None:
        """Give a hint to Celery, which says only when its loop begins what is to be done with messages."""
        self._quiet.came(name, message)
        on_message: Any = self.on_message
        on_message(message)
