"""The trial of a case: deliver it in a forked process, have others finish what that one left, and judge.

The oracle reads effects in the table and in the vendor's book, which is a folder of files outside any transaction.
"""

import contextlib
import gc
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

from django.db import connections, transaction
from django.db.models.functions import Now

from outbox import Draft, Message, memory, publish_many, registry
from outbox.delivery import chunks
from outbox.delivery.wide import hints
from outbox.maintenance import rescan
from outbox.models import Status
from tests.harness.messages import MessageState, publish_message, state_of
from tests.shop.models import Effect

Act = Callable[[Message], object]

ATOMIC, BULK, OUTSIDE, THREADS, LOOP = "atomic", "bulk", "non-atomic", "threads", "loop"
WAYS: dict[str, dict[str, Any]] = {
    ATOMIC: {},
    BULK: {"bulk": True},
    OUTSIDE: {"atomic": False},
    THREADS: {"atomic": False, "concurrency": 8},
    LOOP: {"atomic": False, "concurrency": 8},
}
BESIDE = (THREADS, LOOP)
"""The ways in which calls are made beside each other."""
NEIGHBOURS = 20
POSITION = 9
ROUNDS = 6
PATIENCE = 20.0
"""Seconds after which a process is taken for hung."""


@dataclass(frozen=True)
class Case:
    """What one message's handler does, after its effect."""

    kind: str
    name: str
    act: Act
    spoils: bool = False
    """Whether its process may be of no use afterwards."""
    ways: Sequence[str] = (ATOMIC, BULK, OUTSIDE)
    settling: bool = False
    """Whether it is done in the block in which a non-atomic handler settles; else before that."""
    reason: str | None = None
    """What the guilty message fails for, "" if it succeeds; None if that is not the point."""
    timeout: timedelta = timedelta(seconds=15)


def pairs(cases: Sequence[Case]) -> dict[str, Any]:
    """Return the arguments of ``parametrize`` for every case in every way that means something."""
    values = [(case, way) for case in cases for way in case.ways]
    return {
        "argnames": ("case", "way"),
        "argvalues": values,
        "ids": [f"{case.name}-{way}" for case, way in values],
    }


def at_first(act: Act) -> Act:
    """Return the act as one that is done at the first two attempts only: for faults that are free many times."""
    return lambda message: act(message) if message.attempts <= 2 else None


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

    def note(self, key: str) -> None:
        """Write down that the act for this message has begun."""
        self._path(key, "acted").touch()

    def acted(self, key: str) -> bool:
        return self._path(key, "acted").exists()

    def _path(self, key: str, kind: str) -> Path:
        return self._folder / f"{key.replace(' ', '_')}.{kind}"


def effect(message: Message) -> None:
    Effect.objects.create(key=message.key, message_id=message.pk, attempt=message.attempts, pid=os.getpid())


def handler_for(guilty: int, case: Case, book: Book, way: str) -> Callable[[Any], object]:
    """Return the handler of all messages, which does the act for one of them after it has left its effect."""

    def act(message: Message) -> object:
        if message.pk != guilty:
            return None
        book.note(message.key)
        return case.act(message)

    def outside(message: Message) -> object:
        book.pay(message.key)
        left = None if case.settling else act(message)
        with message.settling():
            effect(message)
            return act(message) if case.settling else left

    def inside(message: Message) -> object:
        book.pay(message.key)
        effect(message)
        return act(message)

    async def on_the_loop(message: Message) -> object:
        book.pay(message.key)
        left = None if case.settling else act(message)
        await message.settle(lambda: (effect(message), act(message) if case.settling else None))
        return left

    if way == LOOP:
        return on_the_loop

    def handler(work: Message | list[Message]) -> object:
        left = [
            (inside if way in (ATOMIC, BULK) else outside)(each)
            for each in (work if isinstance(work, list) else [work])
        ]
        return next((each for each in left if each is not None), None)

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
    for connection in connections.all(initialized_only=True):
        if getattr(connection, "pool", None):
            connection.close()
            connection.close_pool()  # it has kept sessions open for whoever is next
    answers.unlink(missing_ok=True)
    pid = os.fork()
    if not pid:
        _work_and_end(work, answers)
    hung, status = _wait(pid)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what the handler has started and left: the process group is ours
    said = json.loads(answers.read_text()) if answers.exists() else {}
    return Process(hung=hung, code=os.waitstatus_to_exitcode(status), **said)


_INHERITED: list[Any] = []
"""The session of the parent, kept in a child from being closed. It ends without any cleaning up."""


def _work_and_end(work: Callable[[], dict[str, Any]], answers: Path) -> None:
    gc.freeze()  # no garbage is looked for in what the parent has: each page of it would be copied
    own = os.getpid()
    write, end, getpid, dumps = Path.write_text, os._exit, os.getpid, partial(json.JSONEncoder().encode)
    try:
        _INHERITED.append(connections["default"].connection)
        connections["default"].connection = None
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
        options = {**WAYS[self.way], "timeout": self.case.timeout}
        self.listen(**options)
        with transaction.atomic():
            drafts = [Draft("test.sold", key=f"sold {number}", payload={}) for number in range(NEIGHBOURS + 1)]
            self.ids = publish_many(drafts)
        self.guilty = self.ids[POSITION]
        self.key = Message.objects.get(pk=self.guilty).key
        self.listen(handler_for(self.guilty, self.case, self.book, self.way), **options)
        self.process = in_a_process(self._first, self.folder / "first")
        for _round in range(ROUNDS):
            if self.process.hung or not self._unfinished():
                break
            in_a_process(self._again, self.folder / "again")

    def _first(self) -> dict[str, Any]:
        error = ""
        try:
            self._deliver(self.ids)
        except BaseException as raised:
            error = repr(raised)
        try:
            later = publish_message()
            self._deliver([later])
            return {"error": error, "later": state_of(later).status}
        except BaseException as raised:
            return {"error": f"{error} {raised!r}"}

    def _deliver(self, ids: Sequence[int]) -> None:
        entry = registry.get("test.till")
        if entry is None or not entry.wide:
            chunks.deliver("test.till", ids)
            return
        hints.deliver(entry, ids)
        ready = (
            Message.objects.filter(pk__in=ids).exclude(status__in=("success", "failed")).filter(not_before__lte=Now())
        )
        until = time.monotonic() + self.case.timeout.total_seconds() + 3
        while ready.exists() and time.monotonic() < until:
            time.sleep(0.01)

    def _again(self) -> dict[str, Any]:
        for _round in range(1 if self.case.spoils else ROUNDS):
            if not (left := self._unfinished()):
                break
            self._let_leases_end()
            rescan.rescan()
            for hint in (left, *([id] for id in left)):
                chunks.deliver("test.till", hint)
        return {}

    def _let_leases_end(self) -> None:
        """Make what is left due and its leases over.

        When an attempt began stays: a server that was started after that is taken for what ended the attempt.
        """
        memory.forget_all()
        past = Now() - timedelta(minutes=1)
        left = Message.objects.filter(pk__in=self._unfinished())
        left.update(due_at=past, not_before=past, sends=0)
        left.filter(status=Status.STARTED).update(lease_until=past)

    def _unfinished(self) -> list[int]:
        finished = ("success", "failed")
        found = Message.objects.filter(pk__in=self.ids).exclude(status__in=finished)
        return sorted(found.values_list("pk", flat=True))

    def faults(self) -> list[str]:
        """Name everything that is not as it should be."""
        table = Counter(Effect.objects.values_list("message_id", flat=True))
        rows = {message.pk: message for message in Message.objects.filter(pk__in=self.ids)}
        found = [fault for id in self.ids if id != self.guilty for fault in self._faults_of(id, rows, table)]
        found += self._faults_of_guilty(rows.get(self.guilty), table[self.guilty])
        if not self.book.acted(self.key):
            found.append("the act was never done")
        if self.process.hung or (not self.case.spoils and str(self.process) != "goes on"):
            found.append(f"the process {self.process}: {self.process.error}")
        return found

    def _faults_of_guilty(self, row: Message | None, effects: int) -> list[str]:
        found = [f"the guilty has {effects} effects"] if effects > 1 else []
        if row is None:
            return found
        if row.status not in ("success", "failed"):
            found.append(f"the guilty is {row.status}")
        if row.status == "success" and effects != 1:
            found.append("the guilty is a success without its effect")
        if self.case.reason not in (None, row.reason):
            found.append(f"the guilty is {row.status}: {row.reason or 'no reason'}")
        return found

    def _faults_of(self, id: int, rows: dict[int, Message], table: Counter[int]) -> list[str]:
        if id not in rows:
            return [f"the neighbour {id} is gone"]
        state, key, found = rows[id], rows[id].key, []
        if (state.status, table[id], self.book.paid(key)) != ("success", 1, 1):
            found.append(f"the neighbour {id} is {state.status}, {table[id]} effects, {self.book.paid(key)} paid")
        if state.attempts != 1 + (state.attempt_limit - 3):
            found.append(f"the neighbour {id} was charged: {state.attempts} of {state.attempt_limit}")
        if self.way in (OUTSIDE, *BESIDE) and not self.case.spoils and self.book.calls(key) != 1:
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
