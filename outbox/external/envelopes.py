"""What a forwarded message is when it travels: body, properties and headers. This is the one place that makes them.

Everything in it is the same over all retries, but for the attempt's number. ``headers_of`` is where a header is added.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from outbox.conf import conf
from outbox.errors import ConsumerError
from outbox.sources import ATTEMPT_HEADER

if TYPE_CHECKING:
    from outbox.models import Message

OURS = "x-outbox-"
"""How the headers begin that the engine makes. What a publisher has given under such a name is left out."""
KEY, ATTEMPT, ORDERING_KEY, HOPS = f"{OURS}key", ATTEMPT_HEADER, f"{OURS}ordering-key", f"{OURS}hops"
"""``HOPS``: how many installations have passed the message on, so that whoever takes it in sees a circle."""
PERSISTENT = 2
JSON, CLOUDEVENTS = "json", "cloudevents"
EXTENSIONS = {"traceparent": "traceparent", "tracestate": "tracestate"}
"""Publishers' headers that CloudEvents knows as attributes."""


class Envelope(NamedTuple):
    """A message as AMQP takes it."""

    body: bytes
    properties: dict[str, Any]
    headers: dict[str, Any]


NOTHING = Envelope(b"", {}, {})
"""The envelope of what could not be put into one."""


def check_format(name: str, format: object) -> None:
    """Raise ``ConsumerError`` for what is no format, or one whose library is not installed."""
    if format not in FORMATS:
        raise ConsumerError(f"forward {name}: format={format!r} is neither of {sorted(FORMATS)}")
    if format == CLOUDEVENTS and find_spec("cloudevents") is None:
        raise ConsumerError(
            f'forward {name}: format="cloudevents" needs a library: pip install "django-makegood[cloudevents]"'
        )


def envelope_of(message: "Message", format: str) -> Envelope:
    """Return what is sent for ``message``; the format's library may refuse it."""
    body, content_type = FORMATS[format](message)
    properties = {
        "message_id": message.idempotency_key,
        "type": message.topic,
        "timestamp": int(message.created_at.timestamp()),
        "app_id": source(),
        "content_type": content_type,
        "content_encoding": "utf-8",
        "delivery_mode": PERSISTENT,
    }
    return Envelope(body, properties, headers_of(message))


def headers_of(message: "Message") -> dict[str, Any]:
    """Return the publisher's own headers, and ours."""
    given: Mapping[str, Any] = message.headers
    headers = {name: value for name, value in given.items() if not name.startswith(OURS)}
    headers |= {KEY: message.key, ATTEMPT: message.attempts, HOPS: _hops(given.get(HOPS)) + 1}
    if message.ordering_key:
        headers[ORDERING_KEY] = message.ordering_key
    return headers


def _hops(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0


def source() -> str:
    """Return who we are to others."""
    return conf().source or conf().prefix


def _as_json(message: "Message") -> tuple[bytes, str]:
    return json.dumps(message.payload, ensure_ascii=False, separators=(",", ":")).encode(), "application/json"


def _as_cloud_event(message: "Message") -> tuple[bytes, str]:
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent

    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": message.idempotency_key,
        "source": source(),
        "type": message.topic,
        "subject": message.key,
        "time": message.created_at.astimezone(UTC),
        "datacontenttype": "application/json",
    }
    given: Mapping[str, Any] = message.headers
    attributes |= {name: given[header] for header, name in EXTENSIONS.items() if isinstance(given.get(header), str)}
    if message.ordering_key:
        attributes["partitionkey"] = message.ordering_key
    return JSONFormat().write(CloudEvent(attributes, message.payload)), "application/cloudevents+json"


FORMATS: dict[str, Callable[["Message"], tuple[bytes, str]]] = {JSON: _as_json, CLOUDEVENTS: _as_cloud_event}
