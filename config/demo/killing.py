"""``--kill-worker``: SIGKILL for the worker and all its processes, in the middle of its work, again and again."""

import threading
import time
from collections.abc import Sequence
from datetime import timedelta

from django.db import connection

from config.demo.reconciliation import pid_in
from config.processes.supervisor import Supervisor, SupervisorError
from outbox import Message

WATCH_SECONDS = timedelta(milliseconds=2)
LOOK_FOR = timedelta(seconds=4)
BACK_WITHIN = timedelta(seconds=60)


class Killer:
    """Kills the worker ``times`` times while the draws flow, each time with messages started if it can."""

    def __init__(self, supervisor: Supervisor, *, times: int) -> None:
        self._supervisor = supervisor
        self._times = times
        self._thread = threading.Thread(target=self._run, name="killer", daemon=True)
        self._problem: SupervisorError | None = None
        self.kills = 0
        self.killed: list[int] = []
        """The processes that were killed."""
        self.caught = 0
        """Messages that were started when their worker was killed."""

    def start(self) -> None:
        """Begin to kill."""
        self._thread.start()

    def is_behind(self, *, done: int, of: int) -> bool:
        """Tell whether fewer kills have happened than belong to ``done`` of the draws, so that these should wait."""
        return self._thread.is_alive() and self.kills < self._times * done // of

    def finish(self) -> None:
        """Wait for the last kill, or raise ``SupervisorError`` if the worker did not come up again."""
        self._thread.join()
        if self._problem is not None:
            raise self._problem

    def _run(self) -> None:
        try:
            while self.kills < self._times:
                self._supervisor.wait_until_ready("worker", within=BACK_WITHIN)
                present = self._supervisor.members("worker")
                self._await_started(present)
                if self._supervisor.kill("worker") is not None:
                    self.kills += 1
                    self.killed += present
                    self.caught += _started_by(present)
        except SupervisorError as error:
            self._problem = error
        finally:
            connection.close()

    def _await_started(self, present: Sequence[int]) -> None:
        """Wait for a message that the worker has started, though not for ever: a kill between two counts as well."""
        until = time.monotonic() + LOOK_FOR.total_seconds()
        while time.monotonic() < until:
            if _started_by(present):
                return
            time.sleep(WATCH_SECONDS.total_seconds())


def _started_by(pids: Sequence[int]) -> int:
    """Return how many messages are started by one of these processes."""
    workers = Message.objects.filter(status="started").values_list("worker", flat=True)
    return sum(pid_in(worker) in pids for worker in workers)
