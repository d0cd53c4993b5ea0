"""Our hints' dead letters: what the broker itself has dropped of them, and what killed its workers.

No hint is missed for long, as the rescan sends again what is unfinished. But where a policy drops hints everything is
slower, and nobody would know why: AMQP tells nobody which policy a queue is under. Those letters are taken off. The
others stay until a person discards them, and what they were is read, for the desk to show.
"""

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from time import monotonic
from typing import Any

from amqp import Message as Copy
from django.utils import timezone

from outbox.broker.queues import DELIVER_TASK

log = logging.getLogger("outbox.broker")

DROPPED = frozenset({"maxlen", "expired"})
"""Why a hint is a dead letter through no fault of a worker."""
REMEMBERED_SECONDS = 60.0
"""Seconds for which it is said after it was last seen: six times what a hint takes to be sent again."""
READ_AT_ONCE = 100
"""Letters that are read, and shown at the desk: the oldest ones."""
TOO_OFTEN = 10
"""Times that a letter was given back at which it is replaced by a copy. RabbitMQ 4 drops it after the twentieth."""
IDS_SHOWN = 100
BIGGEST_ID = 2**63 - 1
"""What fits into a bigint. Models cannot be imported here: Celery's app is made before the apps are ready."""
TEXT_LENGTH = 500


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A hint that nobody will take any more, as the broker tells of it. Anybody may have written it.

    ``died_at`` is by the broker's clock, None if it is not said. ``text`` is how the body begins if it is no hint.
    """

    digest: str
    queue: str
    reason: str
    died_at: datetime | None
    task_id: str
    consumer: str
    ids: tuple[int, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Letters:
    """What was read: the letters that stay, those taken off as they had been discarded, and how many there are."""

    kept: Sequence[DeadLetter] = ()
    discarded: Collection[str] = ()
    depth: int = 0


class DroppedHints:
    """Which queues have lacked hints of ours lately, and why. Read from the queue of dead letters, which it tidies."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}
        self._depth = 0

    def note(self, queue: str, reason: str) -> None:
        """Remember that a hint for ``queue`` was dropped: "maxlen", "expired", or "full" if it was not even taken."""
        if queue not in self.recent():
            log.warning(
                "RabbitMQ drops hints for %s (%s), as a policy over the queue says; they are sent again", queue, reason
            )
        self._seen[queue] = reason, monotonic()

    def recent(self) -> dict[str, str]:
        """Return by queue why its hints were dropped within the last minute."""
        since = monotonic() - REMEMBERED_SECONDS
        self._seen = {queue: seen for queue, seen in self._seen.items() if seen[1] > since}
        return {queue: reason for queue, (reason, _at) in self._seen.items()}

    def read(
        self, channel: Any, queue: str, *, discarded: Collection[str] = (), known: int = 0, renew: Callable[[Any], None]
    ) -> Letters | None:
        """Take off what was dropped or ``discarded``, and return what stays. Hints that killed their workers stay.

        None, and nothing is read, while nothing is added, nothing is ``discarded``, and there are letters just if some
        are ``known``. ``renew`` puts a copy of a letter into the queue, and returns when the broker has it.
        """
        depth = int(channel.queue_declare(queue=queue, passive=True).message_count)
        if depth == self._depth and not discarded and bool(depth) == bool(known):
            return None
        taken: list[Any] = []
        while len(taken) < READ_AT_ONCE and (letter := channel.basic_get(queue)) is not None:
            taken.append(letter)
        kept: dict[str, DeadLetter] = {}
        gone: set[str] = set()
        for letter in taken:
            read = read_letter(letter)
            if read.reason in DROPPED:
                self.note(read.queue, read.reason)
            elif read.digest in discarded:
                gone.add(read.digest)
            else:
                kept[read.digest] = read
                self._give_back(channel, letter, renew)
                continue
            channel.basic_ack(letter.delivery_tag)
            depth -= 1
        self._depth = depth
        return Letters(list(kept.values()), gone, depth)

    def _give_back(self, channel: Any, letter: Any, renew: Callable[[Any], None]) -> None:
        if _headers_of(letter).get("x-delivery-count", 0) < TOO_OFTEN:
            channel.basic_reject(letter.delivery_tag, requeue=True)
            return
        renew(copy_of(letter))
        channel.basic_ack(letter.delivery_tag)


def read_letter(letter: Any) -> DeadLetter:
    """Return what a letter says, whoever has written it: nothing of it is relied on."""
    headers, body = _headers_of(letter), _bytes_of(letter)
    death = _first_death(headers)
    task_id = _short(letter.properties.get("correlation_id"))
    consumer, ids = _hint_of(headers, body)
    facts = [headers.get("x-first-death-queue"), str(death.get("time")), task_id]
    return DeadLetter(
        digest=sha256(json.dumps(facts, default=str).encode() + body).hexdigest(),
        queue=_short(headers.get("x-first-death-queue")),
        reason=_short(headers.get("x-first-death-reason")),
        died_at=_moment(death.get("time")),
        task_id=task_id,
        consumer=consumer,
        ids=ids,
        text="" if consumer else _printable(body[:TEXT_LENGTH].decode(errors="replace")),
    )


def copy_of(letter: Any) -> Copy:
    """Return the letter as it can be sent once more: the same, but that nobody has given it back yet."""
    properties = {name: value for name, value in letter.properties.items() if name != "application_headers"}
    headers = {name: value for name, value in _headers_of(letter).items() if name != "x-delivery-count"}
    return Copy(_bytes_of(letter), application_headers=headers, **properties)


def _hint_of(headers: Mapping[str, Any], body: bytes) -> tuple[str, tuple[int, ...]]:
    """Return the consumer and the rows that a hint names; the consumer is empty if it is no hint."""
    try:
        (consumer, ids), *_rest = json.loads(body)
        if headers.get("task") == DELIVER_TASK and isinstance(consumer, str) and isinstance(ids, list):
            named = [id for id in ids if type(id) is int and 0 < id <= BIGGEST_ID]
            return _short(consumer), tuple(named[:IDS_SHOWN])
    except (ValueError, TypeError, RecursionError):
        pass
    return "", ()


def _first_death(headers: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the oldest of its deaths, which RabbitMQ lists the newest first."""
    deaths = headers.get("x-death")
    return deaths[-1] if isinstance(deaths, list) and deaths and isinstance(deaths[-1], dict) else {}


def _headers_of(letter: Any) -> Mapping[str, Any]:
    return letter.properties.get("application_headers") or {}


def _bytes_of(letter: Any) -> bytes:
    body = letter.body
    return body.encode(errors="replace") if isinstance(body, str) else bytes(body)


def _moment(value: object) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    return value if timezone.is_aware(value) else value.replace(tzinfo=UTC)


def _short(value: object) -> str:
    return _printable(value)[:255] if isinstance(value, str) else ""


def _printable(text: str) -> str:
    """Return the text as a database stores it."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
