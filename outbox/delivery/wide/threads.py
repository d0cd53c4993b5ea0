"""Plain handlers, each call in a thread of its own. Threads are kept for the calls that follow."""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic, sleep

from outbox import logs
from outbox.delivery import execution, non_atomic
from outbox.delivery.non_atomic import Ended
from outbox.delivery.wide.calls import Call
from outbox.delivery.wide.thread_sessions import ThreadSessions

log = logging.getLogger("outbox.delivery")


class Threads:
    """The threads of a process. There are never more than there were calls at once."""

    def __init__(self, ended: Callable[[Call], None]) -> None:
        self._ended = ended
        self._calls: SimpleQueue[Call] = SimpleQueue()
        self._sessions = ThreadSessions()
        self._lock = threading.Lock()
        self._idle = 0

    def begin(self, call: Call) -> None:
        """Make the call, as soon as its time has come."""
        with self._lock:
            has_thread = self._idle > 0
            if has_thread:
                self._idle -= 1
        if not has_thread:
            threading.Thread(target=self._work, name="outbox.calls", daemon=True).start()
        self._calls.put(call)

    def _work(self) -> None:
        self._sessions.serve_this_thread()
        while True:
            call = self._calls.get()
            if (wait := call.at - monotonic()) > 0:
                sleep(wait)
            self._sessions.begin(call)
            call.ended = self._make(call)
            with self._lock:
                self._idle += 1
            self._ended(call)

    def _make(self, call: Call) -> list[Ended]:
        with logs.at_work_on(*call.messages):
            try:
                return non_atomic.make_call(call.consumer, call.messages)
            except BaseException as error:
                # Where the database is away, even the question whether it is can fail. It must not take the thread.
                return [Ended(execution.classify(message, error)) for message in call.messages]
            finally:
                try:
                    self._sessions.hand_on()
                except Exception:
                    log.exception("%s: sessions of a thread could not be handed on", call.consumer.name)
