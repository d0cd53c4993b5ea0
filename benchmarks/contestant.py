"""A contestant of a comparison: a database and queues of its own, a driver that hands it work, and its processes."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from django.utils.text import slugify

import tests.run
from benchmarks.broker import delete_queues_and_exchanges, queue_depth
from tests.harness.databases import Database
from tests.harness.program import ROOT, Program

IN_FOLDER = ["/bin/sh", "-c", 'cd "$0" && exec "$@"']
"""Put before a folder and a command, it becomes the command in that folder, with the same process id."""


class RoundFailed(Exception):
    """A round that did not do the work once and only once; its figures mean nothing.

    A peer's is measured again, Makegood's own (``ours``) ends the run.
    """

    def __init__(self, text: str, *, ours: bool) -> None:
        super().__init__(text)
        self.ours = ours


@dataclass(frozen=True)
class Service:
    """A process of a contestant: what to run, and the words in its log by which it is up."""

    name: str
    argv: Sequence[str]
    ready: str


@dataclass(frozen=True)
class Plan:
    """What a contestant is made of. ``{python}``, ``{run}`` and ``{node}`` in arguments are filled in."""

    name: str
    peer: str
    services: Sequence[Service]
    queues: Sequence[str] = ()
    """Names of its queues and exchanges on the broker, without the prefix; all are removed at the end."""
    environment: Mapping[str, str] = field(default_factory=dict)
    settings: str = ""
    commands: Sequence[str] = ("benchmarks.peers.commands",)
    """Modules with the commands that its driver carries out."""
    folder: Path = ROOT
    """Where the code that it runs is checked out."""

    @property
    def slug(self) -> str:
        """The name as part of other names: of its database, its queues, its files."""
        return slugify(self.name)

    @property
    def package(self) -> str:
        """The Python package of its adapter."""
        return f"benchmarks.peers.{self.peer}"


class Contestant:
    """A plan carried out: its tables made and its driver running, its services started and ended round by round."""

    def __init__(
        self, plan: Plan, *, run: str, server: str, broker: str, python: str, folder: Path, template: str
    ) -> None:
        self.plan, self.broker, self.folder = plan, broker, folder
        self.run = f"{run}-{plan.slug}"
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
        self._driver_log = folder / f"{self.run}-driver.log"
        self._driver = self._start_driver()
        self._commands, self._answers = _pipes_of(self._driver)

    @property
    def name(self) -> str:
        """What the contestant is called in results."""
        return self.plan.name

    def _start_driver(self) -> subprocess.Popen[str]:
        with self._driver_log.open("ab") as log:
            return subprocess.Popen(
                [self._python, "-m", "benchmarks.peers.driver", f"{self.plan.package}.adapter", *self.plan.commands],
                cwd=self.plan.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def send_command(self, command: str, **arguments: Any) -> None:
        """Give the driver a command and do not wait for its answer."""
        try:
            self._commands.write(json.dumps([command, arguments]) + "\n")
            self._commands.flush()
        except BrokenPipeError:
            raise self._driver_ended() from None

    def receive_answer(self) -> Any:
        """Return the answer to the command given before; raise what went wrong with it."""
        while True:
            line = self._answers.readline()
            if not line:
                raise self._driver_ended()
            if not line.startswith("{"):
                continue  # what a peer prints
            answer = json.loads(line)
            if "error" in answer:
                raise self.round_failed(answer["error"])
            return answer["answer"]

    def _driver_ended(self) -> RoundFailed:
        return self.round_failed(f"its driver ended:\n{self._driver_log.read_text(errors='replace')[-3000:]}")

    def call(self, command: str, **arguments: Any) -> Any:
        """Have the driver carry out a command and return its answer."""
        self.send_command(command, **arguments)
        return self.receive_answer()

    @contextlib.contextmanager
    def services_running(self) -> Iterator[None]:
        """Start the contestant's services and end them again."""
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
            [*IN_FOLDER, str(self.plan.folder), *(argument.format(**words) for argument in service.argv)],
            environment=self.environment,
            log=self.folder / f"{self.run}-{service.name}-{self._starts}.log",
        )
        self.programs.append(program)
        return program

    def check_services_run(self) -> None:
        """Raise with the end of its log if one of the services has ended by itself."""
        for program in self.programs:
            if not program.is_running():
                raise self.round_failed(f"{program.name} ended:\n{program.said()[-3000:]}")

    def check_issued_once(self, awards: int, *, behind: int = 0) -> float:
        """Return the seconds from the first issued award to the last, if each of ``awards`` was issued exactly once."""
        counts = self.call("count_issued", **({"behind": behind} if behind else {}))
        if not counts["awards"] == counts["once"] == awards:
            raise self.round_failed(f"of {awards} awards {counts}")
        return float(counts["seconds"])

    def round_failed(self, what: str) -> RoundFailed:
        """Return the error that says what went wrong with this contestant."""
        return RoundFailed(f"{self.name}: {what}", ours=self.plan.peer == "makegood")

    def queue_depth(self, queue: str) -> int:
        """Return how many messages the broker says are ready in one of the contestant's queues."""
        return queue_depth(self.broker, f"{self.run}.{queue}")

    def close(self) -> None:
        """End the driver and remove queues and database."""
        for program in self.programs:
            program.end()
        with contextlib.suppress(BrokenPipeError):
            self._commands.close()
        try:
            self._driver.wait(10)
        except subprocess.TimeoutExpired:
            self._driver.kill()
            self._driver.wait(10)
        self._answers.close()
        delete_queues_and_exchanges(self.broker, [f"{self.run}.{name}" for name in self.plan.queues])
        # And what its workers have declared beside those, such as the queue of a consumer that is no part of the work.
        tests.run.delete_queues_and_exchanges(self.broker, self.run)
        self.database.drop()


def _pipes_of(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    """Return what the process reads from and what it writes to, both of which were asked for."""
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout
