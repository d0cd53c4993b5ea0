"""A small supervisor of real processes: starts them, restarts what dies, ends them, leaves no orphan.

Each process leads a session and process group of its own, so that its children end with it. If the supervisor itself
is killed, its reaper (``reaper.py``) kills what it left behind.
"""

import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

from config.processes.reaper import Reaper, kill_group, registering

FIRST_WAIT = timedelta(seconds=0.2)
LONGEST_WAIT = timedelta(seconds=5)
TICK = timedelta(seconds=0.05)
TAIL_LINES = 30
HOPELESS = 4
"""Ends in a row, none of them after it was up, at which it is no longer waited for (it is still restarted)."""

Process = subprocess.Popen[str]


class SupervisorError(Exception):
    """A process did not come up in time; the text ends with the tail of its log."""


class ToldToStop(BaseException):
    """A signal asked the program to end; not an ``Exception``, so that nothing catches it on the way."""


@dataclass(frozen=True, slots=True)
class Role:
    """One kind of process: what to run, how to see that it is up, and how long it may take to end."""

    name: str
    argv: Sequence[str]
    ready: str
    """A regular expression; the first line of output that it is found in says that the process is up."""
    env: Mapping[str, str] = field(default_factory=dict)
    grace: timedelta = timedelta(seconds=10)
    last: bool = False
    """Others talk to it, so it is stopped only when they have ended."""


class Child:
    """A role's process, now this one and after a restart that one."""

    def __init__(self, role: Role, log: Path) -> None:
        self.role = role
        self.log = log
        self.process: Process | None = None
        self.ready = threading.Event()
        self.pids: list[int] = []
        self.failures = 0
        """How often in a row it has ended before it was up."""
        self.start_at = 0.0

    def tail(self) -> str:
        """Return the last lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-TAIL_LINES:])


class Supervisor:
    """Runs the roles between ``start`` and ``stop``, or as a context manager.

    Logs go to ``<logs>/<role>.log``, and with ``echo`` also there, each line with its role in front. What ``unechoed``
    finds in a line keeps it to its log.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        *,
        logs: Path,
        echo: TextIO | None = None,
        unechoed: re.Pattern[str] | None = None,
    ) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._children = {role.name: Child(role, logs / f"{role.name}.log") for role in roles}
        self._echo = echo
        self._unechoed = unechoed
        self._lock = threading.RLock()
        self._writing = threading.Lock()
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._reaper = Reaper()

    def __enter__(self) -> "Supervisor":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start every role, and watch them from now on."""
        for child in self._children.values():
            child.log.write_text("")
            self._start(child)
        self._watcher.start()

    def stop(self) -> None:
        """End every process: TERM, the role's grace, KILL, and whatever is left of its group. May be called twice."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()
        for last in (False, True):
            self._stop([child for child in self._children.values() if child.role.last is last])
        self._reaper.dismiss()

    def wait_until_ready(self, name: str, *, within: timedelta) -> None:
        """Wait for the role's process to say that it is up.

        Raises ``SupervisorError`` with the tail of its log if it takes too long, or has ended too often before.
        """
        child = self._children[name]
        until = time.monotonic() + within.total_seconds()
        while not child.ready.wait(TICK.total_seconds()):
            if child.failures >= HOPELESS:
                problem = f"{name} ended {child.failures} times before it was up."
            elif time.monotonic() > until:
                problem = f"{name} was not up within {within.total_seconds():.0f} s."
            else:
                continue
            raise SupervisorError(f"{problem} The end of {child.log}:\n{child.tail()}")

    def stay(self) -> NoReturn:
        """Run until a signal ends it (``stopping_on_signals``)."""
        while True:
            time.sleep(3600)

    def pids(self) -> dict[str, list[int]]:
        """Return the process ids of every role, from the first start to the present one."""
        return {name: list(child.pids) for name, child in self._children.items()}

    def restarts(self) -> dict[str, int]:
        """Return how often each role had to be started anew."""
        return {name: max(len(child.pids) - 1, 0) for name, child in self._children.items()}

    def members(self, name: str) -> list[int]:
        """Return the ids of the processes that the role consists of now, the main one first."""
        process = self._children[name].process
        listed = subprocess.run(["ps", "-A", "-o", "pid=,pgid="], capture_output=True, text=True, check=True).stdout
        pairs = [line.split() for line in listed.splitlines()]
        return sorted(int(pid) for pid, group in pairs if process is not None and int(group) == process.pid)

    def kill(self, name: str) -> int | None:
        """SIGKILL the role's whole process group at once; return its id, or None if it is not running."""
        with self._lock:
            child = self._children[name]
            if child.process is None or child.process.poll() is not None:
                return None
            child.ready.clear()
            kill_group(child.process.pid)
            return child.process.pid

    def _watch(self) -> None:
        while not self._stopping.wait(TICK.total_seconds()):
            with self._lock:
                self._look_after_reaper()
                for child in self._children.values():
                    self._look_after(child)

    def _look_after_reaper(self) -> None:
        if not self._reaper.is_alive():
            self._reaper = Reaper(child.process.pid for child in self._children.values() if child.process)

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                self._start(child)
        elif child.process.poll() is not None:
            self._reap(child, child.process)
            child.start_at = now + min(FIRST_WAIT * 2**child.failures, LONGEST_WAIT).total_seconds()
            child.failures += 1

    def _start(self, child: Child) -> None:
        child.process = subprocess.Popen(
            registering(child.role.argv),
            stdin=self._reaper.pipe,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1", **child.role.env},
            start_new_session=True,
        )
        child.pids.append(child.process.pid)
        self._note(child, f"process {child.process.pid}: {shlex.join(child.role.argv)}")
        threading.Thread(target=self._copy_output, args=(child, child.process), daemon=True).start()

    def _stop(self, children: Sequence[Child]) -> None:
        """Ask all of them to end, then wait for each as long as its grace allows."""
        asked = [(child, child.process) for child in children if child.process is not None]
        for _child, process in asked:
            process.terminate()
        began = time.monotonic()
        for child, process in asked:
            grace = child.role.grace.total_seconds()
            try:
                process.wait(max(began + grace - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                self._note(child, f"did not end within {grace:.0f} s and is killed")
            self._reap(child, process)

    def _reap(self, child: Child, process: Process) -> None:
        """See to it that nothing of the process's group is left, and deregister it at the reaper."""
        kill_group(process.pid)
        status = process.wait()
        child.process = None
        child.ready.clear()
        self._reaper.deregister(process.pid)
        ending = signal.Signals(-status).name if status < 0 else f"status {status}"
        self._note(child, f"process {process.pid} ended: {ending}")

    def _copy_output(self, child: Child, process: Process) -> None:
        """Copy a process's output until its end."""
        pattern = re.compile(child.role.ready)
        for line in process.stdout or ():
            self._write(child, line.rstrip("\n"))
            if pattern.search(line) and child.process is process:
                child.failures = 0
                child.ready.set()

    def _note(self, child: Child, text: str) -> None:
        self._write(child, f"-- {time.strftime('%H:%M:%S')} supervisor: {text}")

    def _write(self, child: Child, line: str) -> None:
        with self._writing, child.log.open("a") as log:
            log.write(f"{line}\n")
            if self._echo is not None and not (self._unechoed and self._unechoed.search(line)):
                self._echo.write(f"{child.role.name:<8}| {line}\n")
                self._echo.flush()


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into ``ToldToStop`` and ignore the rest, so that cleaning up goes on."""
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def raise_told_to_stop(number: int, _frame: FrameType | None) -> None:
        for each in watched:
            signal.signal(each, signal.SIG_IGN)
        raise ToldToStop(signal.Signals(number).name)

    before = {number: signal.signal(number, raise_told_to_stop) for number in watched}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
