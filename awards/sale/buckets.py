"""A token bucket in this process: what is let in where no Redis counts for all processes."""

import os
import threading
import time
from collections.abc import Callable


class Bucket:
    """Lets ``rate`` requests a second in, and ``burst`` at the same moment after a pause."""

    def __init__(self, *, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._gap, self._burst, self._clock = 1 / rate, burst, clock
        self._full_at = 0.0
        self._lock = threading.Lock()

    def wait(self) -> float:
        """Let a request in and return 0, or return the seconds until the next is."""
        with self._lock:
            now = self._clock()
            early = self._full_at - (self._burst - 1) * self._gap - now
            if early > 0:
                return early
            self._full_at = max(self._full_at, now) + self._gap
            return 0.0


def web_processes() -> int:
    """Return among how many processes the rate is shared: what gunicorn is told in ``WEB_CONCURRENCY``, else 1."""
    given = os.environ.get("WEB_CONCURRENCY", "1")
    return max(1, int(given)) if given.isdecimal() else 1
