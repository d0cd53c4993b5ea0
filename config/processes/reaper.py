"""The last one out: a process that ends what a supervisor started when the supervisor itself was killed.

It reads process groups from its standard input, one per line: ``123`` is running, ``-123`` has ended. When the input
ends, nobody is left who holds the other end of the pipe, so the supervisor is gone; every group that still runs is
killed. Groups that run before it does are its arguments. It imports nothing of the project, and needs no cleaning up
itself.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from typing import IO

# A new process tells the reaper its own id before it becomes the program, so that there is no moment in which the
# supervisor could be killed and the reaper not know of it.
REGISTER = 'echo $$ >&0 && exec "$@" </dev/null'


class Reaper:
    """The supervisor's end of the pipe."""

    def __init__(self, running: Iterable[int] = ()) -> None:
        """Start a reaper of the groups that are ``running`` already, and of those that register themselves."""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, *map(str, running)],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def pipe(self) -> "IO[str]":
        """What a new process needs as its standard input to register itself."""
        if self._process.stdin is None:
            raise RuntimeError("the reaper was started without a pipe")
        return self._process.stdin

    def is_alive(self) -> bool:
        """Tell whether the reaper still runs."""
        return self._process.poll() is None

    def deregister(self, group: int) -> None:
        """Note that a process group has ended."""
        try:
            self.pipe.write(f"-{group}\n")
            self.pipe.flush()
        except BrokenPipeError:
            # It was killed; the supervisor notices by ``is_alive`` and starts another.
            return

    def dismiss(self) -> None:
        """Close the pipe and wait for the reaper to end; groups not deregistered are killed."""
        self._process.communicate()


def registering(argv: Sequence[str]) -> list[str]:
    """Return the command that registers itself at the reaper on its standard input and then becomes ``argv``."""
    return ["/bin/sh", "-c", REGISTER, "sh", *argv]


def running_at_the_end(groups: Iterable[int], lines: Iterable[str]) -> set[int]:
    """Follow the supervisor's lines to their end; return which groups, those before included, still run then."""
    running = set(groups)
    for line in lines:
        group = int(line)
        if group > 0:
            running.add(group)
        else:
            running.discard(-group)
    return running


def kill_group(group: int) -> None:
    """SIGKILL every process of the group; one that is gone already is what we wanted."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # macOS answers EPERM for a group of which only a zombie is left.
        return


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for orphaned in running_at_the_end(map(int, sys.argv[1:]), sys.stdin):
        kill_group(orphaned)
