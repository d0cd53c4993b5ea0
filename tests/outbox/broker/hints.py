"""Hints as they are sent and as they lie in a queue."""

from outbox.broker.connection import Hint
from outbox.broker.queues import queue_name


def bodies(rabbit, name="test.till") -> list:
    """Take everything out of a queue and return the arguments of the tasks."""
    taken = []
    while (message := rabbit.basic_get(queue_name(name), no_ack=True)) is not None:
        taken.append(rabbit.message_to_python(message).decode()[0])
    return taken


def hint(*ids: int) -> Hint:
    return Hint("test.till", ids)
