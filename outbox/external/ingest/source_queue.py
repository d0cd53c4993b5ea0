"""The queue of a source: made if it is not there, taken as it is if others have made it, and looked at for traps."""

import re
from typing import Any

from kombu import Connection

from outbox.sources import Source

NOT_THERE = 404
OURS = {"x-queue-type": "quorum"}
"""A quorum queue without a limit of deliveries: what is returned often is not dropped for that."""
MOST_ARGUMENTS = 12
DIFFERENT = re.compile(
    r"inequivalent arg '(x-[\w-]+)' for queue .*but current is (none|the value '([^']*)' of type '(\w+)')"
)
"""What RabbitMQ says of the first argument that a queue has otherwise than it was declared."""


def see_to_queue(connection: Connection, wire: Any, source: Source) -> Any:
    """Return a channel on which the queue is there and bound. Raises the channel's errors if it is not for us."""
    channel: Any = connection.transport.create_channel(wire)
    try:
        channel.queue_declare(queue=source.queue, passive=True)
    except connection.channel_errors as error:
        if getattr(error, "reply_code", None) != NOT_THERE:
            raise
        channel = connection.transport.create_channel(wire)
        channel.queue_declare(queue=source.queue, durable=True, auto_delete=False, exclusive=False, arguments=OURS)
    for exchange, routing_key in source.bindings:
        channel.queue_bind(queue=source.queue, exchange=exchange, routing_key=routing_key)
    return channel


def find_trap(connection: Connection, wire: Any, source: Source) -> str:
    """Return by how many deliveries the queue drops a message for good; empty if it drops none, or nobody can tell.

    Nobody is told a queue's arguments by AMQP. But whoever declares it otherwise is told the first that differs.
    """
    arguments: dict[str, Any] = dict(OURS)
    for _ in range(MOST_ARGUMENTS):
        channel: Any = connection.transport.create_channel(wire)
        try:
            channel.queue_declare(
                queue=source.queue, durable=True, auto_delete=False, exclusive=False, arguments=arguments
            )
        except connection.channel_errors as error:
            said = DIFFERENT.search(str(getattr(error, "reply_text", "")))
            if said is None:
                return ""
            _learn(arguments, said)
        else:
            channel.close()
            break
    limited = "x-delivery-limit" in arguments and "x-dead-letter-exchange" not in arguments
    return str(arguments["x-delivery-limit"]) if limited else ""


def _learn(arguments: dict[str, Any], said: re.Match[str]) -> None:
    name, current, value, kind = said.groups()
    if current == "none":
        arguments.pop(name, None)
    else:
        arguments[name] = value if kind == "longstr" else int(value) if value.lstrip("-").isdigit() else value == "true"
