"""A link that records instead of sending, for tests in which the broker is not the point."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from outbox.broker.connection import Hint
from outbox.errors import BrokerAway, BrokerRefuses


class RecordingLink:
    """Answers as a broker would: a depth for each queue, and what it has not taken.

    Its workers are quick, so that a queue stays as deep as it is said to be, unless it ``fills_up``; then they take
    ``taken_per_look`` hints between two looks at it.
    """

    def __init__(self) -> None:
        self.sent: list[Hint] = []
        self.batches: list[int] = []
        self.depths: dict[str, int] = {}
        self.away = False
        self.dead_letters_refused: BrokerRefuses | None = None
        self.trouble = ""
        self.alarmed = False
        self.fills_up = False
        self.taken_per_look = 0
        self.looks: Counter[str] = Counter()
        self.refuses: Callable[[Hint], bool] = lambda _hint: False
        self.before_send: Callable[[], object] = lambda: None
        self._lock = threading.Lock()

    def depth(self, consumer: str) -> int:
        if self.away:
            raise BrokerAway("the broker is away")
        sent = sum(hint.consumer == consumer for hint in self.sent) if self.fills_up else 0
        taken = self.taken_per_look * self.looks[consumer]
        self.looks[consumer] += 1
        return max(0, self.depths.get(consumer, 0) + sent - taken)

    def send(self, hints: Sequence[Hint]) -> list[Hint]:
        self.before_send()
        self.batches.append(len(hints))
        missing = [hint for hint in hints if self.refuses(hint)]
        with self._lock:
            self.sent += [hint for hint in hints if hint not in missing]
        return missing

    def read_dead_letters(self, **_known: object) -> None:
        """Nothing has changed."""

    def dropped(self) -> dict[str, dict[str, str]]:
        return {}

    def close(self) -> None:
        """Nothing to close."""

    @property
    def sent_ids(self) -> list[tuple[int, ...]]:
        """The rows of the hints that were taken, in the order of sending."""
        return [hint.ids for hint in self.sent]
