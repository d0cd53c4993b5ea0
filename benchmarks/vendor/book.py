"""What the vendor writes down of the calls it gets: how often each key came, and when it was called and answered."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Entry:
    """What is known of one key; times are the vendor's own, in seconds."""

    called_at: float
    calls: int = 1
    last_called_at: float = 0.0
    answered_at: float = 0.0


class Book:
    """The calls since it was opened."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.calls = 0
        self.answered = 0

    def note_call(self, key: str, at: float) -> None:
        """Write down that somebody called."""
        self.calls += 1
        entry = self.entries.get(key)
        if entry is None:
            self.entries[key] = Entry(at, last_called_at=at)
        else:
            entry.calls += 1
            entry.last_called_at = at

    def note_answer(self, key: str, at: float) -> None:
        """Write down that a call was answered."""
        self.answered += 1
        self.entries[key].answered_at = at

    def progress(self) -> dict[str, int]:
        """Return how many calls there were and how many are answered."""
        return {"calls": self.calls, "answered": self.answered}

    def summary(self, *, but: str = "") -> dict[str, Any]:
        """Return what the book says of all keys ``but`` one.

        ``seconds`` is from the first call to the last answer, ``each_second`` the calls of every second in between.
        ``in_full_swing`` is the rate of the calls between the first tenth and the last, in calls/s.
        """
        entries = [entry for key, entry in self.entries.items() if key != but]
        first = min((entry.called_at for entry in entries), default=0.0)
        last = max((entry.answered_at for entry in entries), default=0.0)
        seconds = Counter(int(entry.called_at - first) for entry in entries)
        return {
            "keys": len(entries),
            "once": sum(entry.calls == 1 and entry.answered_at > 0 for entry in entries),
            "doubles": sum(entry.calls - 1 for entry in entries),
            "seconds": max(0.0, last - first),
            "in_full_swing": _in_full_swing(sorted(entry.called_at for entry in entries)),
            "last_call": max((entry.last_called_at for entry in entries), default=0.0) - first,
            "each_second": [seconds[second] for second in range(max(seconds, default=-1) + 1)],
        }


def _in_full_swing(calls: Sequence[float]) -> float:
    """Return how many calls there were a second between the first tenth of them and the last."""
    first, last = len(calls) // 10, len(calls) * 9 // 10
    if last <= first or calls[last] <= calls[first]:
        return 0.0
    return (last - first) / (calls[last] - calls[first])
