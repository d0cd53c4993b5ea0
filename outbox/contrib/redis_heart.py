"""One thread of a process that says for all guards taken by it that their owner lives, and settles what could not be.

A thread, as the handler itself is busy. A process that is frozen or gone says nothing, and that is what it is for.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from redis.exceptions import RedisError

from outbox.contrib import redis_scripts
from outbox.contrib.redis_connection import client

log = logging.getLogger("outbox.redis_guard")

EVERY_SECONDS = 5.0
STALE = timedelta(seconds=30)
"""After how long without a word an owner counts as dead."""
LATE_AT_MOST = 10_000
"""Guards that may wait to be settled once Redis answers again; of more, a person will be asked."""


@dataclass
class _Heart:
    """The guards that this process has taken, and those whose end Redis does not know yet."""

    pid: int = field(default_factory=os.getpid)
    taken: set[tuple[str, str]] = field(default_factory=set)
    late: dict[tuple[str, str], tuple[str, timedelta | None]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    wake: threading.Event = field(default_factory=threading.Event)
    runs: bool = False


_heart = _Heart()


@contextmanager
def beating_for(key: str, owner: str) -> Iterator[None]:
    """Say for as long as the block takes that the owner of the guard lives."""
    heart = _of_this_process()
    with heart.lock:
        heart.taken.add((key, owner))
    try:
        yield
    finally:
        with heart.lock:
            heart.taken.discard((key, owner))


def settle(key: str, owner: str, state: str, kept: timedelta | None) -> None:
    """Say what became of a guard; if Redis does not answer, as soon as it does.

    It raises nothing: the effect is over by now, and an error here would only make it look as if it were not.
    """
    try:
        if not redis_scripts.settle(client(), key, owner, state, kept):
            log.error("the guard %s is not ours any more, and should have become %s", key, state)
    except RedisError as error:
        log.warning("the guard %s could not be settled as %s and will be later: %s", key, state, error)
        settle_later(key, owner, state, kept)


def settle_later(key: str, owner: str, state: str, kept: timedelta | None) -> None:
    """Do so when Redis answers again."""
    heart = _of_this_process()
    with heart.lock:
        if len(heart.late) < LATE_AT_MOST:
            heart.late[key, owner] = state, kept


def _of_this_process() -> _Heart:
    """Return the heart, which beats from now on; that of a process that was forked is its own."""
    global _heart
    if _heart.pid != os.getpid():
        _heart = _Heart()
    heart = _heart
    with heart.lock:
        if not heart.runs:
            heart.runs = True
            threading.Thread(target=_run, args=(heart,), name="outbox-redis-guard", daemon=True).start()
    return heart


def _run(heart: _Heart) -> None:
    """Beat until nothing is left to say; whoever takes a guard after that starts another thread."""
    while True:
        heart.wake.wait(EVERY_SECONDS)
        try:
            _beat(heart)
        except RedisError as error:
            log.warning("Redis does not answer: guards that are taken look dead in a while: %s", error)
        except Exception:
            # The thread is for every guard of the process: what is wrong with one must not end it.
            log.exception("saying that the owners of guards live")
        with heart.lock:
            if not heart.taken and not heart.late:
                heart.runs = False
                return


def _beat(heart: _Heart) -> None:
    with heart.lock:
        taken, late = list(heart.taken), dict(heart.late)
    for (key, owner), (state, kept) in late.items():
        redis_scripts.settle(client(), key, owner, state, kept)
        with heart.lock:
            heart.late.pop((key, owner), None)
    for key, owner in taken:
        redis_scripts.beat(client(), key, owner)
