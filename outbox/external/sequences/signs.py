"""How numbers travel: the headers of what is numbered, and the two notices that are no messages.

| notice | what it says |
|---|---|
| void | this number will never come |
| heartbeat | the highest number that was given, and which of them are not settled yet, or have failed and wait |

A notice goes where the messages of its stream go: to the same exchange under the same routing key.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self, TypeGuard
from uuid import uuid4

from outbox.external.envelopes import OURS, PERSISTENT, Envelope, source
from outbox.external.sequences.ranges import Pair
from outbox.models.row_ids import BIGGEST_ID
from outbox.models.said import storable
from outbox.models.sequence import EPOCH_LENGTH, STREAM_LENGTH, SequenceStream
from outbox.sources import Incoming

STREAM, SEQUENCE, EPOCH = f"{OURS}stream", f"{OURS}sequence", f"{OURS}epoch"
EPOCH_SINCE = f"{OURS}epoch-since"
"""When the epoch began, on the sender's clock: whoever listened before that has missed none of its numbers."""
NOTICE = f"{OURS}notice"
VOID, HEARTBEAT = "void", "heartbeat"
LONGEST = 1024 * 1024
"""Bytes of a heartbeat; ours have a tenth."""
LONGEST_TIME = 40
TYPES = {VOID: "makegood.void", HEARTBEAT: "makegood.heartbeat"}


@dataclass(frozen=True, slots=True)
class Numbered:
    """The number of a message that is sent, and where its stream goes."""

    stream: str
    epoch: str
    number: int
    routing_key: str
    since: datetime

    @classmethod
    def of(cls, stream: SequenceStream, number: int) -> Self:
        """Return the number of a stream that is read from the database."""
        return cls(stream.name, stream.epoch, number, stream.routing_key, stream.since)

    @property
    def headers(self) -> dict[str, Any]:
        """The headers that say so."""
        since = self.since.astimezone(UTC).isoformat()
        return {STREAM: self.stream, SEQUENCE: self.number, EPOCH: self.epoch, EPOCH_SINCE: since}


@dataclass(frozen=True, slots=True)
class Sign:
    """What something that came says of its stream's numbers: its own number, or a notice."""

    stream: str
    epoch: str
    number: int
    notice: str = ""
    open: Sequence[Pair] = field(default=())
    failed: Sequence[Pair] = field(default=())
    since: datetime | None = None


def void_of(stream: SequenceStream, number: int) -> Envelope:
    """Return what is sent for a number that will never come."""
    return _notice(stream, VOID, number, {})


def heartbeat_of(stream: SequenceStream, given: int, open: Sequence[Pair], failed: Sequence[Pair]) -> Envelope:
    """Return what is sent regularly: numbers up to ``given``, of which these are open, or have failed."""
    return _notice(stream, HEARTBEAT, given, {"open": open, "failed": failed})


def _notice(stream: SequenceStream, kind: str, number: int, said: Mapping[str, object]) -> Envelope:
    properties = {
        "message_id": str(uuid4()),
        "type": TYPES[kind],
        "app_id": source(),
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "delivery_mode": PERSISTENT,
    }
    headers = Numbered.of(stream, number).headers | {NOTICE: kind}
    return Envelope(json.dumps(said, separators=(",", ":")).encode(), properties, headers)


def sign_of(incoming: Incoming) -> Sign | None:
    """Return what a message says of its stream; None if it says nothing, or nothing that can be believed."""
    headers = incoming.headers
    if STREAM not in headers:
        return None
    stream, epoch, number = headers[STREAM], headers.get(EPOCH), headers.get(SEQUENCE)
    notice = headers.get(NOTICE, "")
    if not (_is_name(stream, STREAM_LENGTH) and _is_name(epoch, EPOCH_LENGTH) and _is_number(number)):
        return None
    sign = Sign(stream, epoch, number, "", since=_time(headers.get(EPOCH_SINCE)))
    if notice == HEARTBEAT:
        return _heartbeat(incoming.body, sign)
    if notice not in ("", VOID) or number < 1:
        return None
    return replace(sign, notice=notice)


def _heartbeat(body: bytes, sign: Sign) -> Sign | None:
    if len(body) > LONGEST:
        return None
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    open, failed = _pairs(said.get("open")), _pairs(said.get("failed"))
    if open is None or failed is None:
        return None
    return replace(sign, notice=HEARTBEAT, open=open, failed=failed)


def _pairs(said: object) -> list[Pair] | None:
    """Return ranges as a heartbeat says them; None for what is none."""
    if not isinstance(said, list):
        return None
    pairs = []
    for each in said:
        if not (isinstance(each, list) and len(each) == 2 and all(map(_is_number, each)) and each[0] <= each[1]):
            return None
        pairs.append((each[0], each[1]))
    return pairs


def _time(value: object) -> datetime | None:
    """Return a time with its zone; None where none is said, as senders of an earlier release do not."""
    if not isinstance(value, str) or len(value) > LONGEST_TIME:
        return None
    try:
        time = datetime.fromisoformat(value)
        # At the ends of the calendar, other zones have no such time.
        return time.astimezone(UTC) if time.tzinfo is not None and 1 < time.year < datetime.max.year else None
    except (ValueError, OverflowError):
        return None


def _is_name(value: Any, length: int) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= length and storable(value) == value


def _is_number(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= BIGGEST_ID
