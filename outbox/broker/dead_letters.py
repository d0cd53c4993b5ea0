"""What the broker itself has dropped of our hints, as their dead letters say: a policy over our queues does that.

No hint is missed for long, as the rescan sends again what is unfinished; but everything is slower, and nobody would
know why. AMQP tells nobody which policy a queue is under.
"""

import logging
from collections.abc import Mapping
from time import monotonic
from typing import Any

log = logging.getLogger("outbox.broker")

DROPPED = frozenset({"maxlen", "expired"})
"""Why a hint is a dead letter through no fault of a worker."""
REMEMBERED_SECONDS = 60.0
"""Seconds for which it is said after it was last seen: six times what a hint takes to be sent again."""
READ_AT_ONCE = 50


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

    def read(self, channel: Any, queue: str) -> None:
        """Take off what was dropped; hints that killed their workers stay. Nothing is read while nothing is added."""
        depth = int(channel.queue_declare(queue=queue, passive=True).message_count)
        if depth == self._depth:
            return
        taken: list[Any] = []
        while len(taken) < READ_AT_ONCE and (letter := channel.basic_get(queue)) is not None:
            taken.append(letter)
        for letter in taken:
            headers: Mapping[str, Any] = letter.properties.get("application_headers") or {}
            reason = str(headers.get("x-first-death-reason"))
            if reason in DROPPED:
                self.note(str(headers.get("x-first-death-queue")), reason)
                channel.basic_ack(letter.delivery_tag)
                depth -= 1
            else:
                channel.basic_reject(letter.delivery_tag, requeue=True)
        self._depth = depth
