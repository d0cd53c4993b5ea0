"""Queues from which nothing has come for a while: are they empty, or have they stalled?

After trouble a quorum queue may count hints as taken by a consumer that never got them, and give it no more: seen after
its node was frozen (43 hints ready, 4 taken that no channel had, 2 consumers; RabbitMQ's issues 11228 and 15473). Only
a new channel helps, and nobody sees it but the consumer that is idle beside a queue that is not empty.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from time import monotonic

from kombu.message import Message

LOOK_EVERY = 10.0
"""Seconds of silence after which a queue is looked at, and seconds until the next look."""
LOOKS_AT_ONCE = 20
"""Queues that are looked at in one turn of a worker's loop, once a second: a look takes some 0.3 ms."""


class QuietQueues:
    """What has come from each queue last, and which of them are suspected to have stalled."""

    def __init__(self) -> None:
        self._under_way: defaultdict[str, list[Message]] = defaultdict(list)
        self._quiet_since: dict[str, float] = {}
        self._suspected: set[str] = set()

    def came(self, name: str, message: Message) -> None:
        """Note a hint; the broker sends no more of a queue than its prefetch before some are acknowledged."""
        self._under_way[name] = [*(one for one in self._under_way[name] if not one.acknowledged), message]
        self._quiet_since[name] = monotonic()
        self._suspected.discard(name)

    def stalled(self, names: Iterable[str], waiting_in: Callable[[str], int]) -> list[str]:
        """Return those that had hints at two looks one after the other, while their consumer had nothing to do."""
        now = monotonic()
        quiet = [name for name in names if self._is_idle(name) and now - self._quiet(name, now) >= LOOK_EVERY]
        found = []
        for name in sorted(quiet, key=self._quiet_since.__getitem__)[:LOOKS_AT_ONCE]:
            self._quiet_since[name] = now
            if not waiting_in(name):
                self._suspected.discard(name)
            elif name in self._suspected:
                found.append(name)
            else:
                self._suspected.add(name)
        return found

    def forget(self, name: str) -> None:
        """Begin anew with a queue: what came from it before is no longer ours."""
        self._under_way.pop(name, None)
        self._quiet_since.pop(name, None)
        self._suspected.discard(name)

    def _is_idle(self, name: str) -> bool:
        return all(message.acknowledged for message in self._under_way[name])

    def _quiet(self, name: str, now: float) -> float:
        return self._quiet_since.setdefault(name, now)
