"""The queues that carry hints, and the Celery app that they belong to."""

from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from outbox.conf import conf
from outbox.errors import BrokerAway

DELIVER_TASK = "outbox.deliver"
DELIVERY_LIMIT = 5
DEAD_LETTERS_KEPT = 10_000


class EngineQueue(Queue):
    """A quorum queue of ours: its arguments are given when it is declared, and Celery does not see them.

    Seeing a quorum queue, Celery would treat the host's own tasks differently (``worker.hint_consumer``), and a host's
    ``task_queue_max_priority`` would put an argument among them that RabbitMQ refuses.
    """

    attrs = (*Queue.attrs, ("declared_with", dict))
    declared_with: dict[str, Any]

    def queue_declare(self, nowait: bool = False, passive: bool = False, channel: Any = None) -> Any:
        """Declare the queue on the server, durable."""
        on: Any = channel or self.channel
        arguments = self.declared_with
        return on.queue_declare(
            queue=self.name, passive=passive, durable=True, auto_delete=False, arguments=arguments, nowait=nowait
        )


def queue_name(consumer: str) -> str:
    """Return the name of the queue that carries the hints for ``consumer``."""
    return f"{conf().prefix}.{consumer}"


def control_queue() -> EngineQueue:
    """Return the queue of the engine's own chores; its worker is a process of its own."""
    return _queue(queue_name("control"), {"x-queue-type": "quorum", "x-max-length": 1000})


def hint_queue(consumer: str) -> EngineQueue:
    """Return the durable quorum queue of ``consumer``. Its arguments never change under the same name."""
    arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": queue_name("dead"),
    }
    return _queue(queue_name(consumer), arguments)


def dead_letter_queue() -> EngineQueue:
    """Return the bounded queue of hints that killed their workers: a curiosity, the table is the truth."""
    return _queue(queue_name("dead"), {"x-queue-type": "quorum", "x-max-length": DEAD_LETTERS_KEPT})


def _queue(name: str, arguments: dict[str, Any]) -> EngineQueue:
    exchange = Exchange("", type="direct")
    return EngineQueue(name, exchange=exchange, routing_key=name, durable=True, declared_with=arguments)


_celery_apps: list[Celery] = []


def use(app: Celery) -> None:
    """Send through ``app`` from now on."""
    _celery_apps[:] = [app]


def celery_app() -> Celery:
    """Return the app that was configured; ``BrokerAway`` says what is missing if there is none."""
    if not _celery_apps:
        raise BrokerAway("no Celery app: call outbox.configure(app) where your project makes its app")
    return _celery_apps[0]
