"""One real process with its children: started, frozen, killed and told to stop by process id, and counted."""

import contextlib
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")
BYTECODE = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
"""What even a process with an environment of its own is told: without it, each would compile all that it imports."""


def eventually(condition: Callable[[], T], *, within: float, what: str = "", every: float = 0.05) -> T:
    """Return the first true answer of ``condition``; fail after ``within`` seconds with its last one."""
    deadline = time.monotonic() + within
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what or condition}; the last answer was {answer!r}")
        time.sleep(every)
    return answer


def wait_until_ended(processes: Sequence[psutil.Process], *, within: float = 10.0) -> None:
    """Wait until they do nothing more, as zombies do: whoever adopts those may take seconds to ask after them."""
    eventually(lambda: all(map(has_ended, processes)), within=within, what="all have ended", every=0.01)


def has_ended(process: psutil.Process) -> bool:
    """Tell whether the process is gone, or a zombie."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Program:
    """A process started from a fixed list of arguments, its output in a log, its faults in ``suffered``."""

    def __init__(
        self, name: str, argv: Sequence[str], *, environment: Mapping[str, str], log: Path, folder: Path = ROOT
    ) -> None:
        self.name = name
        self.folder = folder
        self.argv = list(argv)
        self.environment = dict(environment)
        self.log = log
        self.suffered: Counter[str] = Counter()
        self.pids: list[int] = []
        self._read_from = 0
        self.start()

    def start(self) -> None:
        """Start it; its log goes on where the one before it ended."""
        self._read_from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.pids.append(self.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for(self, text: str, *, within: float = 60.0) -> None:
        """Wait until this start of the program has written ``text``."""

        def said() -> bool:
            if not self.is_running():
                raise AssertionError(f"{self.name} ended with {self._process.poll()}:\n{self.said()[-3000:]}")
            return text in self.said()

        eventually(said, within=within, what=f"{self.name} says {text!r}")

    def said(self) -> str:
        """Return what it has written since it was last started."""
        with self.log.open("rb") as log:
            log.seek(self._read_from)
            return log.read().decode(errors="replace")

    def is_running(self) -> bool:
        return self._process.poll() is None

    def family(self) -> list[psutil.Process]:
        """Return the process and its children."""
        try:
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """SIGKILL the process and its children at one moment: stopped first, so that none is started in between."""
        self._signal_all(signal.SIGSTOP)
        family = self.family()
        self._signal_all(signal.SIGKILL)
        assert self._process.wait(10) == -signal.SIGKILL, f"{self.name} had ended before it was killed"
        wait_until_ended(family)
        self.suffered["killed"] += 1

    def freeze(self) -> None:
        """Stop the process and its children by SIGSTOP."""
        self._signal_all(signal.SIGSTOP)
        self._frozen_at = time.monotonic()
        eventually(lambda: all(process.status() == psutil.STATUS_STOPPED for process in self.family()), within=5)

    def thaw(self) -> None:
        """Let the process and its children go on."""
        self._signal_all(signal.SIGCONT)
        self.suffered["frozen"] += 1
        self.suffered["frozen seconds"] += int(time.monotonic() - self._frozen_at)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the process for as long as the block takes."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def terminate(self, *, within: float = 30.0) -> int:
        """Tell it to stop by SIGTERM and return its exit status."""
        self._process.send_signal(signal.SIGTERM)
        self.suffered["terminated"] += 1
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGUSR1)  # Celery says where its threads are
            time.sleep(1)
            raise AssertionError(f"{self.name} did not stop within {within:g} s:\n{self.said()[-12000:]}") from None

    def end(self) -> None:
        """End it without ceremony, if it still runs; for cleaning up."""
        if self.is_running():
            family = self.family()
            self._signal_all(signal.SIGKILL)
            self._process.wait(10)
            wait_until_ended(family)

    def _signal_all(self, number: signal.Signals) -> None:
        for process in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)
