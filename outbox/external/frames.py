"""The frames by which AMQP publishes a message, made here so that many messages are written by one call.

amqp writes each message by itself: that takes twice as long, for us and for the broker.
"""

from functools import lru_cache
from struct import pack
from typing import Any

import amqp
from amqp.serialization import dumps

from outbox.external.envelopes import Envelope

METHOD, HEADER, BODY, END = 1, 2, 3, b"\xce"
BASIC, PUBLISH = 60, 40
AROUND = 8
"""Bytes of a frame that are not its content."""
MANDATORY, IMMEDIATE = True, False


def frames_of(envelope: Envelope, *, channel: int, frame_max: int, exchange: str, routing_key: str) -> bytes:
    """Return what is written to publish a message, mandatory. Raises for one that AMQP cannot say."""
    message: Any = amqp.Message(b"", application_headers=envelope.headers, **envelope.properties)
    header = pack(">HHQ", BASIC, 0, len(envelope.body)) + message._serialize_properties()
    size = frame_max - AROUND
    bodies = [envelope.body[at : at + size] for at in range(0, len(envelope.body), size)]
    return b"".join(
        [
            _method(channel, exchange, routing_key),
            _frame(HEADER, channel, header),
            *(_frame(BODY, channel, body) for body in bodies),
        ]
    )


@lru_cache(maxsize=1024)
def _method(channel: int, exchange: str, routing_key: str) -> bytes:
    arguments = dumps("Bssbb", (0, exchange, routing_key, MANDATORY, IMMEDIATE))
    return _frame(METHOD, channel, pack(">HH", BASIC, PUBLISH) + arguments)


def _frame(kind: int, channel: int, content: bytes) -> bytes:
    return pack(">BHI", kind, channel, len(content)) + content + END
