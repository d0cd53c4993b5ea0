"""What a handler may change of its process that would reach other messages: it is put back after each call.

A timer would ring, or kill, while another message is handled. A lower limit, or a wrapper around every statement,
would fail what comes next. A process that the handler has forked shares its parent's sessions: whatever it wrote on
them would be taken for its parent's. So it has none, and it never gets back into the engine.
"""

import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from django.db import connections

from outbox.conf import conf
from outbox.memory import Memory

log = logging.getLogger("outbox.delivery")

LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_FSIZE)
"""Those under which other messages fail when a handler has lowered them: open files, memory, the size of files."""


OURS = "outbox"
"""How the names of the engine's own threads begin."""
THREADS_NAMED = 5

_told: Memory[set[str]] = Memory(set)
"""Consumers of whose threads it has been said."""


class _Here(threading.local):
    """Whether this thread is in a handler."""

    in_a_call = False


_here = _Here()


class ProcessState:
    """What the process had before calls of a consumer, one after another."""

    __slots__ = ("connection", "depth", "in_a_call", "limits", "pid", "threads", "timer", "wrappers")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.in_a_call = _here.in_a_call
        self.timer = signal.getitimer(signal.ITIMER_REAL)[0]
        self.limits = _limits()
        self.depth = sys.getrecursionlimit()
        self.connection: Any = connections[conf().database]
        self.wrappers: list[Callable[..., Any]] = self.connection.execute_wrappers[:]
        # Beside other threads that take calls nobody can tell whose a new one is.
        alone = threading.current_thread() is threading.main_thread()
        self.threads = set(threading.enumerate()) if alone else None

    def begin(self) -> None:
        """Begin a call."""
        _here.in_a_call = True

    def put_back(self, name: str) -> None:
        """Have again after a call of the consumer ``name`` what the next would fail by; a forked child ends here."""
        if sys.getrecursionlimit() != self.depth:
            # First of all: what comes here needs a deeper stack than the handler's.
            sys.setrecursionlimit(self.depth)
            log.warning("%s: the handler left another limit of recursion; it is as before", name)
        if os.getpid() != self.pid:
            _end_forked_child(name, sys.exception())
        _here.in_a_call = self.in_a_call
        if not self.timer and signal.getitimer(signal.ITIMER_REAL)[0]:
            signal.setitimer(signal.ITIMER_REAL, 0)
            log.warning("%s: the handler left a timer running (SIGALRM); it is stopped", name)
        if self.connection.execute_wrappers != self.wrappers:
            self.connection.execute_wrappers = self.wrappers[:]
            log.warning("%s: the handler left a wrapper around all statements; it is taken off", name)
        if self.threads is not None and threading.active_count() != len(self.threads):
            self._tell_of_threads(name)

    def _tell_of_threads(self, name: str) -> None:
        """Say, once for a consumer, that threads of its handler go on: the message is a success without them."""
        running = set(threading.enumerate())
        left = sorted(one.name for one in running - (self.threads or set()) if not one.name.startswith(OURS))
        self.threads = running
        if left and name not in _told.value:
            _told.value.add(name)
            log.warning(
                "%s: the handler returned while threads that it had started go on (%s). Its message has succeeded, "
                "whatever becomes of them, and they end with their process. Wait for them in the handler (join, or "
                "leave the executor's block), unless they are a library's own",
                name,
                ", ".join(left[:THREADS_NAMED]),
            )

    def put_back_limits(self, name: str) -> bool:
        """Have the limits again; tell whether they were others. Asked where a call failed, and behind the last."""
        if _limits() == self.limits:
            return False
        for limit, (soft, hard) in zip(LIMITS, self.limits, strict=True):
            try:
                resource.setrlimit(limit, (soft, hard))
            except (ValueError, OSError):
                # Without the right to raise the hard limit again, all that it leaves.
                lowered = resource.getrlimit(limit)[1]
                resource.setrlimit(limit, (lowered, lowered))
        self.limits = _limits()
        log.warning(
            "%s: the handler changed limits of its process (setrlimit); they are as before, or as near as may be", name
        )
        return True


def _limits() -> list[tuple[int, int]]:
    return [resource.getrlimit(limit) for limit in LIMITS]


def _end_forked_child(name: str, error: BaseException | None) -> NoReturn:
    """End a child that the handler has forked and that comes back to us: it would settle as its parent.

    It ends at once, without any cleaning up: whatever it closes would be closed for its parent.
    """
    code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else int(error is not None)
    log.error("%s: a process that the handler forked went on into the engine; it is ended", name)
    os._exit(code)


def _leave_sessions_to_the_parent() -> None:
    """Put nothing in the place of each session that a child of a handler has from its parent.

    What it sends there is lost, a farewell included, and no answer comes. It may close them, and open its own.
    """
    if not _here.in_a_call:
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    for connection in connections.all(initialized_only=True):
        raw: Any = connection.connection
        if hasattr(raw, "fileno") and not raw.closed:
            os.dup2(nothing, raw.fileno())
    os.close(nothing)


os.register_at_fork(after_in_child=_leave_sessions_to_the_parent)
