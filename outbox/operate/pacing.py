"""How many rows one transaction of a long act takes: as many as it can in ``AIM``, on this machine and at this hour."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

AIM = 0.05
"""Seconds that a transaction should hold its locks; nobody else waits for 0.1 s."""
FIRST, FEWEST, MOST = 50, 10, 1_000


class Pace:
    """The number of rows of the next transaction, by how long the last one took."""

    def __init__(self) -> None:
        self.rows = FIRST

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Measure the transaction inside; the next is at most twice as large."""
        began = monotonic()
        yield
        took = max(monotonic() - began, 0.001)
        self.rows = min(max(int(self.rows * min(AIM / took, 2.0)), FEWEST), MOST)
