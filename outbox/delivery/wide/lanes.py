"""What a process knows of one consumer whose calls it makes beside each other."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

from outbox.declared import Consumer
from outbox.delivery.wide.calls import Call

NEXT_SECONDS = 0.08
"""For how many seconds of calls rows are started in advance: as long as a round of the pool may take."""
PACE_SECONDS = 0.25
"""Over how long it is counted how many calls end."""
SLOW_SECONDS = 0.5
"""How long calls take, on average, of which none is kept ready."""
STALE_SECONDS = 0.2
"""After how long a call that is ready and has got no place is left to others."""
LOOK_EVERY = 0.25
"""Seconds between two looks for what is due, where there was nothing."""
MOST_NAMED = 1000
"""Rows that a process keeps in mind for a consumer; the rescan sends again what it forgets."""


class Ticket:
    """A hint that waits to be looked at, or until the rows that it names have ended, where they run alone."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = ids
        self.done = threading.Event()
        self.found_place = True


@dataclass(eq=False)
class Lane:
    """A consumer's calls under way, the hints that wait to be looked at, and whether more of its rows may be due.

    Where many calls end in a second, those that come next are ready: their rows are started, and each begins in the
    moment in which another ends. Where few end, none is, for it might have begun in another process meanwhile.
    """

    consumer: Consumer
    calls: set[Call] = field(default_factory=set)
    next: deque[Call] = field(default_factory=deque)
    """Calls that are ready and wait for a place."""
    hints: list[Ticket] = field(default_factory=list)
    named: deque[int] = field(default_factory=lambda: deque(maxlen=MOST_NAMED))
    """Rows that hints have named and for which there was no place yet, oldest first."""
    suspects: list[Ticket] = field(default_factory=list)
    """Hints for rows that workers were lost over; they wait until nothing else runs in this process."""
    has_more: bool = False
    looked_at: float = float("-inf")
    look_at: float = 0.0
    """When to look for more: not before the rate allows a call."""
    ends: int = 0
    """Calls that have ended since ``paced_at``."""
    seconds: float = 0.0
    """How long those took, together."""
    paced_at: float = field(default_factory=monotonic)
    ready: int = 0
    """How many calls to keep ready."""
    hinted_at: float = float("-inf")
    passed_on_at: float = float("-inf")
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

    @property
    def unready(self) -> int:
        """How many calls are missing of those to keep ready."""
        return max(0, self.ready - len(self.next))

    def wants_to_look(self) -> bool:
        """Tell whether there is a place or will be in a moment, and something to look for.

        Beside calls under way it is looked for again and again: another process may have given back what it had ready.
        """
        now = monotonic()
        if self.is_awake:
            return bool((self.room or self.unready) and now >= self.look_at)
        return bool(self.room and self.calls and now >= max(self.look_at, self.looked_at + LOOK_EVERY))

    def note_end(self, call: Call) -> None:
        """Take a call that has ended off its place."""
        self.calls.discard(call)
        self.ends += 1
        self.seconds += max(0.0, monotonic() - call.at)

    def set_pace(self) -> None:
        """Tell from the calls that have ended lately how many to keep ready.

        None of slow calls: those that have begun together end together, and then none does for long. And none of a
        consumer with a rate, which says when a call is made, or whose calls must not be lost.
        """
        now = monotonic()
        if now - self.paced_at < PACE_SECONDS:
            return
        are_slow = self.seconds >= SLOW_SECONDS * self.ends
        keeps_none = are_slow or self.consumer.at_most_once or self.consumer.rate is not None
        self.ready = 0 if keeps_none else int(self.ends / (now - self.paced_at) * NEXT_SECONDS)
        self.paced_at, self.ends, self.seconds = now, 0, 0.0

    def take_next(self) -> Call | None:
        """Return the next call that is ready and still ours, if there is a place for it."""
        while self.next and self.room:
            call = self.next.popleft()
            if call.is_held:
                call.get_place()
                self.calls.add(call)
                return call
        return None

    def take_ready(self, *, all_of_them: bool) -> list[Call]:
        """Take out the calls that have been ready for too long, or all; then there is more to start."""
        before = monotonic() - STALE_SECONDS
        taken = [call for call in self.next if all_of_them or call.at < before]
        for call in taken:
            self.next.remove(call)
        self.has_more = self.has_more or bool(taken)
        return taken

    def take_named(self, many: int) -> list[int]:
        """Return the next rows that hints have named."""
        return [self.named.popleft() for _row in range(min(many, len(self.named)))]
