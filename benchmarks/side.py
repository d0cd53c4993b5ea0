"""One side of a comparison: a database and queues of its own, a driver that hands it work, and its processes."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kombu import Connection

from tests.harness.databases import Database
from tests.harness.program import ROOT, Program


class RoundFailed(Exception):
    """A round that did not do the work once and only once; its figures mean nothing.

    A peer's is measured again, Makegood's own (``ours``) ends the run.
    """

    def __init__(self, text: str, *, ours: bool) -> None:
        super().__init__(text)
        self.ours = ours


@dataclass(frozen=True)
class Service:
    """A process of a side: what to run, and the words in its log by which it is up."""

    name: str
    argv: Sequence[str]
    ready: str


@dataclass(frozen=True)
class Plan:
    """What a side is made of. ``{python}``, ``{run}`` and ``{node}`` in arguments are filled in."""

    name: str
    peer: str
    services: Sequence[Service]
    queues: Sequence[str] = ()
    """Names of its queues and exchanges on the broker, without the prefix; all are removed at the end."""
    environment: Mapping[str, str] = field(default_factory=dict)
    settings: str = ""
    commands: Sequence[str] = ("benchmarks.peers.commands",)
    """Modules with what its driver can be asked."""

    @property
    def package(self) -> str:
        """The Python package of its adapter."""
        return f"benchmarks.peers.{self.peer}"


class Side:
    """A plan put up: its tables made and its driver running, its services started and ended round by round."""

    def __init__(
        self, plan: Plan, *, run: str, server: str, broker: str, python: str, folder: Path, template: str
    ) -> None:
        self.plan, self.broker, self.folder = plan, broker, folder
        self.run = f"{run}-{plan.name.replace(' ', '-').replace('.', '')}"
        self.database = Database(server, self.run.replace("-", "_"), template=template)
        self._python = python
        inherited = {name: value for name, value in os.environ.items() if name not in ("EMBEDDED", "STATE_DIR")}
        self.environment = {
            **inherited,
            "DJANGO_SETTINGS_MODULE": plan.settings or f"{plan.package}.settings",
            "DATABASE_URL": self.database.url,
            "CELERY_BROKER_URL": broker,
            "OUTBOX_PREFIX": self.run,
            "PYTHONUNBUFFERED": "1",
            **plan.environment,
        }
        self.programs: list[Program] = []
        self._starts = 0
        self._driver = self._start_driver()

    def _start_driver(self) -> subprocess.Popen[str]:
        with (self.folder / f"{self.run}-driver.log").open("ab") as log:
            driver = subprocess.Popen(
                [self._python, "-m", "benchmarks.peers.driver", f"{self.plan.package}.adapter", *self.plan.commands],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return driver

    def tell(self, command: str, **arguments: Any) -> None:
        """Give the driver a command and do not wait for its answer."""
        self._driver.stdin.write(json.dumps([command, arguments]) + "\n")
        self._driver.stdin.flush()

    def answer(self) -> Any:
        """Return the answer to the command given before; raise what went wrong with it."""
        while True:
            line = self._driver.stdout.readline()
            if not line:
                log = (self.folder / f"{self.run}-driver.log").read_text(errors="replace")
                raise self.failure(f"its driver ended:\n{log[-3000:]}")
            if not line.startswith("{"):
                continue  # what a peer prints
            answer = json.loads(line)
            if "error" in answer:
                raise self.failure(answer["error"])
            return answer["answer"]

    def ask(self, command: str, **arguments: Any) -> Any:
        """Give the driver a command and return its answer."""
        self.tell(command, **arguments)
        return self.answer()

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Start the side's services and end them again."""
        self._starts += 1
        try:
            started = [(service, self._start(service)) for service in self.plan.services]
            for service, program in started:
                program.wait_for(service.ready)
            yield
        finally:
            for program in reversed(self.programs):
                program.end()
            self.programs.clear()

    def _start(self, service: Service) -> Program:
        words = {"python": self._python, "run": self.run, "node": f"{self.run}-{service.name}@localhost"}
        program = Program(
            service.name,
            [argument.format(**words) for argument in service.argv],
            environment=self.environment,
            log=self.folder / f"{self.run}-{service.name}-{self._starts}.log",
        )
        self.programs.append(program)
        return program

    def check(self, awards: int) -> float:
        """Return the seconds from the first issued award to the last, if each of ``awards`` was issued exactly once."""
        tally = self.ask("tally")
        if not tally["awards"] == tally["once"] == awards:
            raise self.failure(f"of {awards} awards {tally}")
        return tally["seconds"]

    def failure(self, what: str) -> RoundFailed:
        """Return the error that says what went wrong on this side."""
        return RoundFailed(f"{self.plan.name}: {what}", ours=self.plan.peer == "makegood")

    def depth(self, queue: str) -> int:
        """Return how many messages the broker says are ready in one of the side's queues."""
        with Connection(self.broker, connect_timeout=5) as connection:
            return connection.channel().queue_declare(f"{self.run}.{queue}", passive=True).message_count

    def close(self) -> None:
        """End the driver and remove queues and database."""
        for program in self.programs:
            program.end()
        with contextlib.suppress(BrokenPipeError):
            self._driver.stdin.close()
        try:
            self._driver.wait(10)
        except subprocess.TimeoutExpired:
            self._driver.kill()
            self._driver.wait(10)
        self._driver.stdout.close()
        with Connection(self.broker, connect_timeout=5) as connection:
            channel = connection.channel()
            for name in self.plan.queues:
                channel.queue_delete(f"{self.run}.{name}")
                channel.exchange_delete(f"{self.run}.{name}")
        self.database.drop()
