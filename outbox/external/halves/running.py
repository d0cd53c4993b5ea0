"""The chore: ask the checks of the half messages that are due.

Celery-beat calls ``go_on`` every second on the control queue; workers do it if nobody else does. It does not wait for
the checks: the control worker has the rescan to make. A check that hangs keeps its thread, of which a process has only
so many.
"""

import logging
import os
import threading
from dataclasses import dataclass, field
from datetime import timedelta

from outbox.external.halves import asking
from outbox.external.halves.asking import Asked
from outbox.models import Half, Heartbeat
from outbox.monitoring.planned import must_take_over

log = logging.getLogger("outbox.halves")

HEARTBEAT = "halves"
TAKEOVER = "halves by a worker"
OVERDUE = timedelta(seconds=5)
"""Age of the last pass at which workers ask the checks themselves."""
AT_ONCE = 8
"""Checks that a process asks beside each other."""


@dataclass
class _Places:
    """How many checks this process is asking."""

    pid: int = field(default_factory=os.getpid)
    free: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE))


_places = _Places()


def go_on() -> int:
    """Ask the checks of those that are due, in threads; return how many. One query if none is due."""
    global _places
    if not Half.objects.due().exists():
        return 0
    if _places.pid != os.getpid():
        _places = _Places()  # the threads stayed behind in the process that was forked
    places, taken = _places, 0
    while taken < AT_ONCE and places.free.acquire(blocking=False):
        taken += 1
    claimed = asking.claim(taken) if taken else []
    for _place in range(taken - len(claimed)):
        places.free.release()
    for asked in claimed:
        # A daemon: a check that hangs must not hold up the end of the process.
        threading.Thread(target=_ask, args=(asked, places), name="outbox-check-back", daemon=True).start()
    if not taken:
        log.warning("all %d places for checks are taken: checks hang, or take long", AT_ONCE)
    Heartbeat.objects.record(HEARTBEAT, asked=len(claimed))
    return len(claimed)


def go_on_if_overdue() -> bool:
    """Ask if something is due and nobody has asked for five seconds; tell whether it was us."""
    if not Half.objects.due().exists() or not must_take_over(HEARTBEAT, after=OVERDUE, turn=TAKEOVER):
        return False
    go_on()
    return True


def _ask(asked: Asked, places: _Places) -> None:
    try:
        asking.ask(asked)
    except Exception:
        # Its question stays open, so it is found unanswered and asked again.
        log.exception("%s: what its check said could not be noted", asked.half)
    finally:
        places.free.release()
