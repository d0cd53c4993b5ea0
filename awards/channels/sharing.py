"""How many of a process's places one other side may hold, so that a silent one leaves the rest to others."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from awards.errors import PlacesTaken, Unanswered, Unreachable


class Shares:
    """Places of this process. A name that has not answered the last time holds ``most`` of them at the same moment."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[str] = Counter()
        self._answering: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def held_by(self, name: str) -> Iterator[None]:
        """Hold a place for the block; raises ``PlacesTaken`` at once if the name holds all that it may.

        ``Unanswered`` or ``Unreachable`` out of the block say that it does not answer; anything else that it does.
        """
        with self._lock:
            if self._held[name] >= self._most and name not in self._answering:
                raise PlacesTaken(f"{self._most} calls to it are under way, and it has not answered the last one")
            self._held[name] += 1
        answers = True
        try:
            yield
        except (Unanswered, Unreachable):
            answers = False
            raise
        finally:
            with self._lock:
                (self._answering.add if answers else self._answering.discard)(name)
                self._held[name] -= 1
                if not self._held[name]:
                    del self._held[name]
