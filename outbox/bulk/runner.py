"""The thread of a control worker in which operations go on without a gap, beside its other maintenance jobs.

The task that beat calls every second only sees to it that the thread is there. Were an operation a part of the task, it
would stand still while the rescan is made, and then make up for it all at once: a rate would come in bursts, which the
other consumers feel. The thread ends when nothing is left to do. Killed at any point, it leaves nothing half done.
"""

import logging
import threading
from time import monotonic, sleep

from django.db import connections

from outbox.bulk import running
from outbox.delivery import sessions

log = logging.getLogger("outbox.bulk")

AT_MOST_EVERY = 0.5
"""Seconds between the beginnings of two passes at least: one in which all have to wait for something is short."""


class Runner:
    """One thread at most, which is started when it is needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def see_to_it(self) -> None:
        """Start the thread unless it is there, or nothing is to be done."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            if running.are_there_any():
                self._thread = threading.Thread(target=_go_on_until_done, name="outbox.bulk", daemon=True)
                self._thread.start()


def _go_on_until_done() -> None:
    try:
        with sessions.in_known_state():
            while True:
                began = monotonic()
                if not running.go_on():
                    return
                sleep(max(0.0, began + AT_MOST_EVERY - monotonic()))
    except Exception:
        # It is started again in a second. What went wrong with one operation alone does not come this far.
        log.exception("bulk operations could not go on")
    finally:
        connections.close_all()


runner = Runner()
