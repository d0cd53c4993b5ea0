"""The chore: ask the checks of the half messages that are due.

Celery-beat calls ``go_on`` every second on the control queue; workers do it if nobody else does. It does not wait for
the checks: the control worker has the rescan to make. A check that hangs keeps its thread, of which a process has only
so many.
"""

import logging
import os
import threading
from collections import Counter
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
OF_ONE = 2
"""Checks of one half message among them: it is asked again beside one call that hangs, and no more often."""


@dataclass
class _Places:
    """Which checks this process is asking: those of which half messages, one entry for each place."""

    pid: int = field(default_factory=os.getpid)
    halves: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    a_pass: threading.Lock = field(default_factory=threading.Lock)
    """One pass at a time, so that two do not count on the same free places."""

    @property
    def free(self) -> int:
        """How many places nobody has."""
        return AT_ONCE - len(self.halves)

    @property
    def crowded(self) -> frozenset[int]:
        """The half messages that have as many places as one may have."""
        with self.lock:
            return frozenset(half for half, places in Counter(self.halves).items() if places >= OF_ONE)

    def take(self, half: int) -> None:
        """Give the check of this half message a place."""
        with self.lock:
            self.halves.append(half)

    def give_back(self, half: int) -> None:
        """Free a place of the check of this half message."""
        with self.lock:
            self.halves.remove(half)


_places = _Places()


def go_on() -> int:
    """Ask the checks of those that are due, in threads; return how many. One query if none is due.

    Where no place is free, no heartbeat is left, so that another process takes over.
    """
    if not Half.objects.due().exists():
        return 0
    places = _places_of_process()
    with places.a_pass:
        if places.free <= 0:
            log.warning("all %d places for checks are taken: checks hang, or take long", AT_ONCE)
            return 0
        claimed = asking.claim(places.free, crowded=places.crowded)
        for asked in claimed:
            _hand_over(asked, places)
    Heartbeat.objects.record(HEARTBEAT, asked=len(claimed))
    return len(claimed)


def go_on_if_overdue() -> bool:
    """Ask if something is due and nobody has asked for five seconds; tell whether it was us.

    Who has no place leaves the turn to others.
    """
    if not Half.objects.due().exists() or _places_of_process().free <= 0:
        return False
    if not must_take_over(HEARTBEAT, after=OVERDUE, turn=TAKEOVER):
        return False
    go_on()
    return True


def _places_of_process() -> _Places:
    global _places
    if _places.pid != os.getpid():
        _places = _Places()  # the threads stayed behind in the process that was forked
    return _places


def _hand_over(asked: Asked, places: _Places) -> None:
    """Have a thread ask; it gives the place back. A question that finds no thread is open, and is asked again."""
    places.take(asked.half.pk)
    try:
        # A daemon: a check that hangs must not hold up the end of the process.
        threading.Thread(target=_ask, args=(asked, places), name="outbox-check-back", daemon=True).start()
    except BaseException:
        places.give_back(asked.half.pk)
        raise


def _ask(asked: Asked, places: _Places) -> None:
    try:
        asking.ask(asked)
    except Exception:
        # Its question stays open, so it is found unanswered and asked again.
        log.exception("%s: what its check said could not be noted", asked.half)
    finally:
        places.give_back(asked.half.pk)
