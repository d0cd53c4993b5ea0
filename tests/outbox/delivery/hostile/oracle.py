"""The trial of a case: deliver it in a forked process, have others finish what that one left, and judge.

The oracle reads effects in the table and in the vendor's book, which is a folder of files outside any transaction.
"""

import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.db import connections

from outbox import Message
from outbox.delivery import chunks
from outbox.maintenance import rescan
from tests.harness.clock import let_pass
from tests.harness.messages import MessageState, publish_message, publish_messages, state_of
from tests.shop.models import Effect

Act = Callable[[Message], object]

ATOMIC, BULK, OUTSIDE = "atomic", "bulk", "non-atomic"
WAYS: dict[str, dict[str, bool]] = {ATOMIC: {}, BULK: {"bulk": True}, OUTSIDE: {"atomic": False}}
NEIGHBOURS = 20
POSITION = 9
ROUNDS = 6
PATIENCE = 20.0
"""Seconds after which a process is taken for hung."""


@dataclass(frozen=True)
class Case:
    """What one message's handler does, and whether its process may be of no use afterwards."""

    kind: str
    name: str
    act: Act
    spoils: bool = False
    ways: Sequence[str] = tuple(WAYS)


def pairs(cases: Sequence[Case]) -> dict[str, Any]:
    """Return the arguments of ``parametrize`` for every case in every way that means something."""
    values = [(case, way) for case in cases for way in case.ways]
    return {
        "argnames": ("case", "way"),
        "argvalues": values,
        "ids": [f"{case.name}-{way}" for case, way in values],
    }


class Book:
    """The vendor's book: every call is written down; a key is paid once, whoever asks again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    def pay(self, key: str) -> None:
        """Write down the call and pay, if nobody has."""
        name = str(self._folder / key.replace(" ", "_"))
        Path(f"{name}.paid").touch()
        with Path(f"{name}.calls").open("a") as calls:
            calls.write("call\n")

    def paid(self, key: str) -> int:
        return int(self._path(key, "paid").exists())

    def calls(self, key: str) -> int:
        path = self._path(key, "calls")
        return len(path.read_text().splitlines()) if path.exists() else 0

    def _path(self, key: str, kind: str) -> Path:
        return self._folder / f"{key.replace(' ', '_')}.{kind}"


def effect(message: Message) -> None:
    Effect.objects.create(key=message.key, message_id=message.pk, attempt=message.attempts, pid=os.getpid())


def handler_for(guilty: int, act: Act, book: Book, *, atomic: bool) -> Callable[[Any], None]:
    """Return the handler of all messages, which does the act for one of them after it has left its effect."""

    def outside(message: Message) -> None:
        book.pay(message.key)
        if message.pk == guilty:
            act(message)
        with message.settling():
            effect(message)

    def inside(message: Message) -> None:
        book.pay(message.key)
        effect(message)
        if message.pk == guilty:
            act(message)

    def handler(work: Message | list[Message]) -> None:
        for message in work if isinstance(work, list) else [work]:
            (inside if atomic else outside)(message)

    return handler


@dataclass
class Process:
    """How a process has ended, and whether it delivered one more message as good as before."""

    returned: bool = False
    hung: bool = False
    later: str = ""
    error: str = ""
    code: int = 0

    def __str__(self) -> str:
        if self.hung:
            return "hung"
        if not self.returned:
            return f"ended by {self.code}"
        return "goes on" if self.later == "success" else "of no use"


def in_a_process(work: Callable[[], dict[str, Any]], answers: Path) -> Process:
    """Do the work in a fork that shares no session with this process; end it and all that it started."""
    connections.close_all()
    for connection in connections.all(initialized_only=True):
        if connection.vendor == "postgresql":
            connection.close_pool()  # it has kept them open for whoever is next
    answers.unlink(missing_ok=True)
    pid = os.fork()
    if not pid:
        _work_and_end(work, answers)
    hung, status = _wait(pid)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what the handler has started and left: the process group is ours
    said = json.loads(answers.read_text()) if answers.exists() else {}
    return Process(hung=hung, code=os.waitstatus_to_exitcode(status), **said)


def _work_and_end(work: Callable[[], dict[str, Any]], answers: Path) -> None:
    own = os.getpid()
    write, end, getpid, dumps = Path.write_text, os._exit, os.getpid, partial(json.JSONEncoder().encode)
    try:
        os.setpgid(0, 0)
        said = {"returned": True, **work()}
        if getpid() == own:
            write(answers, dumps(said))
    finally:
        end(0)


def _wait(pid: int) -> tuple[bool, int]:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return False, status
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    return True, os.waitpid(pid, 0)[1]


@dataclass
class Trial:
    """One case in one way: its messages, its book, and the process that was the first to deliver them."""

    case: Case
    way: str
    folder: Path
    listen: Callable[..., Any]
    ids: list[int] = field(default_factory=list)
    process: Process = field(default_factory=Process)

    def run(self) -> None:
        """Deliver until every message is finished, each round in a process of its own."""
        self.book = Book(self.folder / "book")
        self.listen(**WAYS[self.way])
        self.ids = publish_messages(NEIGHBOURS + 1)
        self.guilty = self.ids[POSITION]
        act = handler_for(self.guilty, self.case.act, self.book, atomic=self.way != OUTSIDE)
        self.listen(act, **WAYS[self.way])
        self.process = in_a_process(self._first, self.folder / "first")
        for _round in range(ROUNDS):
            if not self._unfinished():
                break
            let_pass(timedelta(minutes=20))
            rescan.rescan()
            in_a_process(self._again, self.folder / "again")

    def _first(self) -> dict[str, Any]:
        error = ""
        try:
            chunks.deliver("test.till", self.ids)
        except BaseException as raised:
            error = repr(raised)
        try:
            later = publish_message()
            chunks.deliver("test.till", [later])
            return {"error": error, "later": state_of(later).status}
        except BaseException as raised:
            return {"error": f"{error} {raised!r}"}

    def _again(self) -> dict[str, Any]:
        left = self._unfinished()
        for hint in (left, *([id] for id in left)):
            chunks.deliver("test.till", hint)
        return {}

    def _unfinished(self) -> list[int]:
        finished = ("success", "failed")
        found = Message.objects.filter(pk__in=self.ids).exclude(status__in=finished)
        return sorted(found.values_list("pk", flat=True))

    def faults(self) -> list[str]:
        """Name everything that is not as it should be."""
        table = Counter(Effect.objects.values_list("message_id", flat=True))
        rows = {message.pk: message for message in Message.objects.filter(pk__in=self.ids)}
        found = [fault for id in self.ids if id != self.guilty for fault in self._faults_of(id, rows, table)]
        if table[self.guilty] > 1:
            found.append(f"the guilty has {table[self.guilty]} effects")
        if self.guilty in rows and rows[self.guilty].status not in ("success", "failed"):
            found.append(f"the guilty is {rows[self.guilty].status}")
        if self.guilty in rows and rows[self.guilty].status == "success" and table[self.guilty] != 1:
            found.append("the guilty is a success without its effect")
        if not self.case.spoils and str(self.process) != "goes on":
            found.append(f"the process {self.process}: {self.process.error}")
        return found

    def _faults_of(self, id: int, rows: dict[int, Message], table: Counter[int]) -> list[str]:
        if id not in rows:
            return [f"the neighbour {id} is gone"]
        state, key, found = state_of(id), rows[id].key, []
        if (state.status, table[id], self.book.paid(key)) != ("success", 1, 1):
            found.append(f"the neighbour {id} is {state.status}, {table[id]} effects, {self.book.paid(key)} paid")
        if state.attempts != 1 + (state.attempt_limit - 3):
            found.append(f"the neighbour {id} was charged: {state.attempts} of {state.attempt_limit}")
        if self.way == OUTSIDE and self.book.calls(key) != 1:
            found.append(f"the neighbour {id} was called {self.book.calls(key)} times")
        return found

    def row(self, faults: Sequence[str]) -> list[str]:
        """Return the line of the table."""
        table = Counter(Effect.objects.values_list("message_id", flat=True))
        counts = sorted({table[id] for id in self.ids if id != self.guilty})
        there = Message.objects.filter(pk=self.guilty).exists()
        state = state_of(self.guilty) if there else MessageState("gone", 0, 0)
        return [
            self.case.kind,
            self.case.name,
            self.way,
            f"{NEIGHBOURS} x {'/'.join(map(str, counts))}",
            str(table[self.guilty]),
            state.status,
            state.reason,
            str(self.process),
            "good" if not faults else f"BAD: {faults[0]}",
        ]
