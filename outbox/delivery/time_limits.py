"""A consumer's timeout, kept: the handler is broken off, or else the process that it holds on to is ended.

The main thread notes when its call must be over, and makes no system call for it. Another thread looks at the clock.
When time is up it cancels the statement that is running and sends the main thread a signal, which raises
``TimeLimitReached`` in the handler. A handler that does not end then is ended with its process, where the process is
one of a pool (``end_processes_by``).

Python runs signals in the main thread only. A call in any other thread, or in a greenlet, is broken off by nothing but
the ``statement_timeout`` of its transaction; if it comes back too late, it has timed out all the same.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from time import monotonic, sleep
from types import FrameType
from typing import Any

from asgiref.sync import async_to_sync
from django.db import Error, connections

from outbox.conf import conf
from outbox.declared import Consumer
from outbox.models import Message

log = logging.getLogger("outbox.delivery")

SIGNAL = signal.SIGVTALRM
"""Used by neither Celery nor billiard (SIGALRM, SIGUSR1, SIGUSR2 are, or are a host's)."""
TICK = 0.1
"""Seconds between two looks at the clock."""
AGAIN = 1.0
"""Seconds after which a handler that goes on is broken off once more."""
HARD_END = 5.0
"""Seconds that a handler has to end after it was broken off, before its process is ended."""
STATEMENT_MARGIN = timedelta(seconds=1)
"""How much later the server itself breaks off a statement, where nobody else does."""
PARK_AFTER = 50
"""Looks at a process without work after which its clock stands still."""
ACTIVE = 1
"""The state of a connection with a statement under way, as libpq numbers it (psycopg 2 and 3)."""


class TimeLimitReached(BaseException):
    """The handler took longer than its consumer's timeout. No ``Exception``, so that handlers let it pass.

    ``may_have_acted`` says whether somebody outside may have done what the handler asked.
    """

    may_have_acted: bool | None = None


class CallTimedOut(TimeLimitReached):
    """A call outside a transaction was broken off, or given up: the other side may have done what it was asked."""

    may_have_acted = True


class Call:
    """A call of a handler that is under way: for which messages, and until when."""

    __slots__ = ("break_off_at", "cancel_at", "consumer", "messages", "told", "until")

    def __init__(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        self.consumer, self.messages = consumer, messages
        self.until = self.break_off_at = self.cancel_at = monotonic() + consumer.timeout.total_seconds()
        self.told = False

    @property
    def is_late(self) -> bool:
        """Tell whether its time is up."""
        return monotonic() >= self.until


End = Callable[[Call, Any, FrameType | None], object]
"""Writes down whose fault it is and ends the process; is given the connection and the place where the call hangs."""


class _Watch:
    """The call of the main thread, and the thread that looks at the clock for it."""

    def __init__(self) -> None:
        self.call: Call | None = None
        self.main = threading.main_thread()
        self.connection: Any = connections[conf().database]
        self._parked = False
        self._wake = threading.Event()
        signal.signal(SIGNAL, _break_off)
        threading.Thread(target=self._run, name="outbox-time-limits", daemon=True).start()

    def enter(self, call: Call) -> Call | None:
        """Begin a call, and return the one that it is made in."""
        before, self.call = self.call, call
        if self._parked:
            self._wake.set()
        return before

    def _run(self) -> None:
        idle = 0
        while True:
            call = self.call
            idle = idle + 1 if call is None else 0
            if idle > PARK_AFTER:
                self._park()
                idle = 0
            elif call is not None and call.is_late:
                self._end(call)
            sleep(TICK)

    def _park(self) -> None:
        """Wait for the next call. One that began before it could see that is found here."""
        self._wake.clear()
        self._parked = True
        if self.call is None:
            self._wake.wait()
        self._parked = False

    def _end(self, call: Call) -> None:
        if not call.told:
            call.told = True
            log.warning("%s took longer than %s and is broken off", call.consumer.name, call.consumer.timeout)
        raw, now = self.connection.connection, monotonic()
        if self.call is not call:
            return  # it has just ended by itself
        if _end_process is not None and now >= call.until + HARD_END:
            _end_process(call, raw, _place_of(self.main))
            return
        if now >= call.cancel_at and _runs_a_statement(raw):
            call.cancel_at = now + AGAIN
            # In a thread of its own: a server that is out of reach must not hold up the clock.
            threading.Thread(target=cancel, args=(raw,), name="outbox.cancel", daemon=True).start()
        if now >= call.break_off_at:
            signal.pthread_kill(self.main.ident or 0, SIGNAL)


_watch: _Watch | None = None
_main = threading.main_thread().ident
_end_process: End | None = None


def end_processes_by(end: End | None) -> None:
    """Have a process whose handler cannot be broken off ended by ``end``; only where another takes its place."""
    global _end_process
    _end_process = end


def call(consumer: Consumer, work: Message | list[Message], messages: Sequence[Message]) -> object:
    """Call the consumer's handler for ``messages`` and return what it returns.

    Raises ``TimeLimitReached`` if it took longer than its timeout, whatever it returned or raised. A consumer outside
    a transaction is not limited yet: what it has done cannot be taken back.
    """
    if not consumer.atomic:
        return async_to_sync(consumer.handler)(work) if consumer.is_async else consumer.handler(work)  # type: ignore[arg-type]  # it is async
    current, watch = Call(consumer, messages), _the_watch()
    try:
        left = consumer.handler(work) if watch is None else _call(watch, current, work)
    except (TimeLimitReached, SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        if current.is_late:
            raise _reached(consumer) from error
        raise
    if current.is_late:
        raise _reached(consumer)
    return left


def _call(watch: _Watch, current: Call, work: Message | list[Message]) -> object:
    """Call the handler, watched. No signal raises in here, only in what is called from here."""
    before = watch.enter(current)
    try:
        return current.consumer.handler(work)
    finally:
        watch.call = before


def cancel(raw: Any) -> None:
    """Have the server break off what runs on the driver's connection."""
    try:
        raw.cancel()
    except Error as error:
        log.info("a statement could not be cancelled: %s", error)
    except Exception:
        # The driver's own errors; the server's statement_timeout comes a second later.
        log.info("a statement could not be cancelled", exc_info=True)


def _the_watch() -> _Watch | None:
    """Return the main thread's watch; none in other threads, which get no signals."""
    global _watch
    if threading.get_ident() != _main:
        return None
    if _watch is None:
        _watch = _Watch()
    return _watch


def _break_off(_number: int, frame: FrameType | None) -> None:
    """Raise in the handler, if it is still the one whose time is up. A statement under way is cancelled, not left."""
    current = _watch.call if _watch else None
    if _watch is None or current is None or monotonic() < current.break_off_at:
        return
    if frame is not None and frame.f_code is _call.__code__:
        return  # on the way in or out; what is still inside is signalled again
    if _runs_a_statement(_watch.connection.connection):
        return
    current.break_off_at = monotonic() + AGAIN
    raise _reached(current.consumer)


def _reached(consumer: Consumer) -> TimeLimitReached:
    return TimeLimitReached(took_longer(consumer))


def took_longer(consumer: Consumer) -> str:
    """Return the sentence that says so."""
    return f"the handler took longer than its timeout of {consumer.timeout.total_seconds():g} s"


def _runs_a_statement(raw: Any) -> bool:
    info = getattr(raw, "info", None)  # SQLite has none
    return info is not None and info.transaction_status == ACTIVE


def _place_of(thread: threading.Thread) -> FrameType | None:
    return sys._current_frames().get(thread.ident or 0)


def _forget() -> None:
    """A process that was forked has no thread but one."""
    global _watch, _main
    _watch, _main = None, threading.main_thread().ident


os.register_at_fork(after_in_child=_forget)
