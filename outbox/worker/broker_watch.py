"""A worker looks at the broker beside its tasks, in a thread of its own: however slow the broker is, nobody waits."""

import logging
import random
import threading
from time import sleep

from django.db import connections

from outbox.broker.watching import BrokerWatch
from outbox.monitoring.broker import look_in_turn

log = logging.getLogger("outbox.broker")

LOOK_EVERY = 10.0
"""Seconds between two looks of a process, give or take a fifth; of all processes together it is one that looks."""

_thread: threading.Thread | None = None


def watch_the_broker() -> None:
    """Look from a thread of this process from now on."""
    global _thread
    if _thread is None:
        _thread = threading.Thread(target=_watch, name="outbox.broker_watch", daemon=True)
        _thread.start()


def _watch() -> None:
    watch, is_mine = BrokerWatch(), False
    while True:
        sleep(LOOK_EVERY * random.uniform(0.8, 1.2))  # noqa: S311  # so that processes do not look at once
        is_mine = look(watch, was_mine=is_mine)


def look(watch: BrokerWatch, *, was_mine: bool) -> bool:
    """Look, if it is our turn; tell whether it was. Without a turn no connection stays open."""
    try:
        if look_in_turn(watch, was_mine=was_mine):
            return True
    except Exception:
        # The thread must go on: whatever the broker, the database or the host's settings do, they may mend.
        log.exception("looking at the broker")
    finally:
        connections.close_all()
    watch.close()
    return False
