"""From what came to what is published: the sender's id, the topic, the payload; or why it cannot be taken in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from uuid import UUID

from outbox import registry
from outbox.conf import conf
from outbox.drafts import Draft
from outbox.external.ingest.faithful import freeze
from outbox.failures.fingerprint import in_a_line
from outbox.models import QuarantineReason
from outbox.models.message import KEY_LENGTH
from outbox.models.said import storable
from outbox.payloads import canonical, digest_of
from outbox.sources import ID_HEADER, SOURCE_HEADER, Incoming, Source

HOPS = "x-outbox-hops"
"""The header that counts how many installations have passed a message on. Forwarding writes it."""
OF_THE_BROKER = frozenset({"x-delivery-count", "x-acquired-count", "x-death", "x-first-death-exchange"})
OF_THE_BROKER_TOO = ("x-first-death-", "x-last-death-")
"""Headers that the broker writes, which differ from one delivery of a message to the next."""


@dataclass(frozen=True, slots=True)
class Readable:
    """A message that can be published, with what it is known by later."""

    incoming: Incoming
    sender_id: str
    draft: Draft
    id: UUID
    content: UUID


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that cannot be taken in, why, and what is known of it all the same."""

    incoming: Incoming
    reason: QuarantineReason
    error: str = ""
    sender_id: str = ""
    topic: str = ""


def read(source: Source, incoming: Incoming, *, as_id: str = "", whatever_hops: bool = False) -> Readable | Refused:
    """Return what is to be published, or why it cannot be.

    A person who takes a message in again may give it an id, and let it pass ``whatever_hops`` it has made.
    """
    known_id = _text_of(incoming.properties.get("message_id"))
    if hops_of(incoming.headers) >= conf().hop_limit and not whatever_hops:
        error = f'{HOPS} is {hops_of(incoming.headers)}; OUTBOX["HOP_LIMIT"] is {conf().hop_limit}'
        return Refused(incoming, QuarantineReason.GOES_ROUND, error, known_id)
    if len(incoming.body) > conf().payload_limit:
        error = f'{len(incoming.body):,} bytes; OUTBOX["PAYLOAD_LIMIT"] is {conf().payload_limit:,}'
        return Refused(incoming, QuarantineReason.TOO_LARGE, error, known_id)
    try:
        payload = _parse(incoming)
    except (ValueError, RecursionError) as error:
        return Refused(incoming, QuarantineReason.NO_JSON, say(error), known_id)
    # Set once, before anybody sees it; a copy for that alone would cost as much as the parsing.
    object.__setattr__(incoming, "payload", payload)
    try:
        told_id = as_id or source.id_of(incoming)
        topic = source.topic_of(incoming)
        ordering_key = source.ordering_key_of(incoming)
    except (Exception, SystemExit) as error:  # a function of the project's, of what a stranger has sent
        return Refused(incoming, QuarantineReason.NOT_TOLD, say(error), known_id)
    return _readable(source, incoming, told_id, topic, ordering_key)


def _readable(source: Source, incoming: Incoming, told_id: object, topic: Any, ordering_key: Any) -> Readable | Refused:
    sender_id = _text_of(told_id)
    if not sender_id:
        return Refused(incoming, QuarantineReason.NO_ID, topic=_text_of(topic))
    if not isinstance(topic, str) or not registry.consumers_of(topic) or _is_undeclared(topic):
        return Refused(incoming, QuarantineReason.UNKNOWN_TOPIC, f"{topic!r:.250}", sender_id, _text_of(topic))
    try:
        content = digest_of(f"{topic}\n{canonical(incoming.payload)}")
        headers = _headers(source, incoming, sender_id)
    except (ValueError, RecursionError) as error:  # half a character, or nested for longer than Python goes
        return Refused(incoming, QuarantineReason.NOT_STORABLE, say(error), sender_id, topic)
    draft = Draft(
        topic,
        key=key_of(source.name, sender_id),
        payload=incoming.payload,
        ordering_key=ordering_key,
        headers=headers,
    )
    return Readable(incoming, sender_id, draft, id_digest(source.name, sender_id), UUID(content))


def say(error: BaseException) -> str:
    """Return an error as a line that any database stores; foreign ones may not even be written out."""
    try:
        return storable(in_a_line(error))
    except Exception:  # its ``__str__`` is somebody's own
        return type(error).__name__


def key_of(source: str, sender_id: str) -> str:
    """Return the key here: source and sender's id, of which a long one, or one that cannot be stored, is hashed."""
    key = f"{source}:{sender_id}"
    if len(key) <= KEY_LENGTH and storable(key) == key:
        return key
    return f"{source}:{id_digest(source, sender_id).hex}"


def id_digest(source: str, sender_id: str) -> UUID:
    """Return what an id of a source is known by for longer than its message lives."""
    return _digest(source.encode(), sender_id.encode("utf-8", "surrogatepass"))


def whole_digest(incoming: Incoming) -> UUID:
    """Return what tells a message from another by all that its sender gave."""
    given = {
        "properties": freeze(incoming.properties),
        "headers": freeze({name: value for name, value in incoming.headers.items() if not _is_of_the_broker(name)}),
        "delivery": [incoming.exchange, incoming.routing_key],
    }
    return _digest(incoming.source.encode(), incoming.body, json.dumps(given, sort_keys=True).encode())


def hops_of(headers: Mapping[str, Any]) -> int:
    """Return how many installations have passed a message on; 0 if its header says nothing that can be believed."""
    hops = headers.get(HOPS)
    return hops if type(hops) is int and hops > 0 else 0


def _parse(incoming: Incoming) -> Any:
    """Return what the body says. Python itself would take more for JSON than there is."""
    encoding = str(incoming.properties.get("content_encoding") or "utf-8")
    if encoding.lower() not in ("utf-8", "utf8", "us-ascii", "ascii", "binary"):
        raise ValueError(f"its content_encoding is {encoding!r:.50}, not utf-8")
    return _of_json(incoming.body.decode("utf-8-sig"))


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_of_json = json.JSONDecoder(parse_constant=_refuse_constant).decode


def _headers(source: Source, incoming: Incoming, sender_id: str) -> dict[str, Any]:
    """Return the headers of the message here: the sender's, without the broker's, and where it came from."""
    given = {name: freeze(value) for name, value in incoming.headers.items() if not _is_of_the_broker(name)}
    return {**given, SOURCE_HEADER: source.name, ID_HEADER: freeze(sender_id)}


def _is_of_the_broker(name: str) -> bool:
    return name in OF_THE_BROKER or name.startswith(OF_THE_BROKER_TOO)


def _is_undeclared(topic: str) -> bool:
    declared = registry.declared_topics()
    return bool(declared) and topic not in declared


def _text_of(value: object) -> str:
    """Return an id or a topic as text; a number is one as well, all else is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**40 else ""
    return value if isinstance(value, str) else ""


def _digest(*parts: bytes) -> UUID:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return UUID(bytes=digest.digest())
