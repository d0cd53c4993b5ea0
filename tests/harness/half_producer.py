"""A process that prepares half messages and writes elsewhere, and is killed at one line after the other.

``python -m tests.harness.half_producer SIDE PREFIX FIRST TIMES``: for each turn it forks a child that is killed by
SIGKILL when it has come to line FIRST, FIRST + 1, … of those that it runs through in ``prepare`` and in the write. A
child that comes to its end begins the count anew. Prints how many were killed, how many lines there are (0 if no child
came to its end), and which line is next.

``… SIDE PREFIX freeze``: one producer, which freezes itself before it writes.
"""

import json
import os
import signal
import sys
from datetime import timedelta
from types import FrameType
from typing import Any

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
if not settings.configured or not django.apps.apps.ready:
    django.setup()

from outbox import prepare  # the apps have to be ready
from tests.shop.halves import WRITE, Refused, other_database, other_redis

WITHIN = timedelta(seconds=0.3)
TRACED = ("/outbox/external/halves/", "/tests/harness/half_producer.py")


def in_database(key: str, write_id: str, *, frozen: bool) -> None:
    """Write into the other database."""
    connection = other_database()
    cursor = connection.cursor()
    if frozen:
        os.kill(os.getpid(), signal.SIGSTOP)
    try:
        cursor.execute("INSERT INTO write (write_id, state, key) VALUES (%s, 'written', %s)", [write_id, key])
    except Exception as error:
        raise Refused(str(error)) from error
    connection.commit()
    connection.close()


def in_redis(key: str, write_id: str, *, frozen: bool) -> None:
    """Write into the other Redis."""
    server: Any = other_redis()
    if frozen:
        os.kill(os.getpid(), signal.SIGSTOP)
    try:
        server.eval(WRITE, 2, f"write:{write_id}", "written", key)
    except Exception as error:
        raise Refused(str(error)) from error
    server.close()


SIDES = {"database": (in_database, "shop.other_database"), "redis": (in_redis, "shop.other_redis")}


def produce(side: str, key: str, *, frozen: bool = False) -> None:
    """Do what a producer does."""
    write, check = SIDES[side]
    with prepare("shop.written", key=key, payload={"key": key}, check=check, within=WITHIN) as half:
        write(key, str(half.write_id), frozen=frozen)


class Tracer:
    """Counts the lines that are run, and kills the process at one of them."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at, self.lines = kill_at, 0

    def __call__(self, frame: FrameType, event: str, _argument: object) -> "Tracer | None":
        if event == "line":
            self.lines += 1
            if self.lines == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self if any(place in frame.f_code.co_filename for place in TRACED) else None


def kill_one_after_the_other(side: str, prefix: str, first: int, times: int) -> dict[str, int]:
    """Fork a child for each turn and have it killed; return what became of them."""
    found = {"killed": 0, "ended": 0, "lines": 0, "next": first}
    line = first
    for turn in range(times):
        child = os.fork()
        if not child:
            sys.settrace(Tracer(line))
            produce(side, f"{prefix}-{turn}")
            os._exit(0)
        _pid, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        assert killed or os.WEXITSTATUS(status) == 0, f"turn {turn}: {status}"
        found["killed" if killed else "ended"] += 1
        if not killed:
            found["lines"] = line - 1
        line = found["next"] = line + 1 if killed else 1
    return found


def main() -> None:
    """Do what the command line says."""
    side, prefix, *rest = sys.argv[1:]
    if rest == ["freeze"]:
        produce(side, prefix, frozen=True)
    else:
        first, times = map(int, rest)
        print(json.dumps(kill_one_after_the_other(side, prefix, first, times)))


if __name__ == "__main__":
    main()
