"""What a process knows of one consumer whose calls it makes beside each other."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

from outbox.delivery.wide.calls import Call
from outbox.registry import Consumer

MOST_NAMED = 1000
"""Rows that a process keeps in mind for a consumer; the rescan sends again what it forgets."""


class Ticket:
    """A hint that waits to be looked at, or until the rows that it names have ended, where they run alone."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = ids
        self.done = threading.Event()


@dataclass(eq=False)
class Lane:
    """A consumer's calls under way, the hints that wait to be looked at, and whether more of its rows may be due."""

    consumer: Consumer
    calls: set[Call] = field(default_factory=set)
    hints: list[Ticket] = field(default_factory=list)
    named: deque[int] = field(default_factory=lambda: deque(maxlen=MOST_NAMED))
    """Rows that hints have named and for which there was no place yet, oldest first."""
    suspects: list[Ticket] = field(default_factory=list)
    """Hints for rows that workers were lost over; they wait until nothing else runs in this process."""
    has_more: bool = False
    look_at: float = 0.0
    """When to look for more: not before the rate allows a call."""
    said_at: float = float("-inf")
    said: tuple[int, int] = (0, 0)

    @property
    def room(self) -> int:
        """How many of the consumer's places are free."""
        return max(0, self.consumer.concurrency - len(self.calls))

    @property
    def starts_in_a_round(self) -> int:
        """How often rows are started before others have their turn: what is named and what is due, or one by one."""
        return self.consumer.concurrency if self.consumer.at_most_once else 2

    @property
    def stuck(self) -> int:
        """How many of its calls were given up and still run."""
        return sum(call.given_up for call in self.calls)

    @property
    def is_awake(self) -> bool:
        """Tell whether there may be more to start."""
        return self.has_more or bool(self.named)

    def wants_to_look(self) -> bool:
        """Tell whether there is a place, and something to look for."""
        return bool(self.room and self.is_awake and monotonic() >= self.look_at)

    def take_named(self, many: int) -> list[int]:
        """Return the next rows that hints have named."""
        return [self.named.popleft() for _row in range(min(many, len(self.named)))]
