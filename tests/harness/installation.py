"""A whole Makegood of its own: a database, queues, and the real processes that work on them, ended and cleaned up."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kombu import Connection

from outbox import registry
from tests.harness.databases import Database, EmbeddedDatabase, Row
from tests.harness.program import ROOT, Program, eventually

SHORT = {"LEASE": 2, "GRACE": 1, "RESEND_AFTER": 2, "CONFIRM_TIMEOUT": 2}
"""Seconds for settings whose defaults would have the tests wait; what the tests assert holds for any."""

LEAN = ["--without-gossip", "--without-mingle", "-l", "INFO"]
CELERY = [sys.executable, "-m", "celery", "-A", "config"]


class Client:
    """A process that publishes for us (``publisher.py``); it can be killed in the middle of it."""

    def __init__(self, environment: dict[str, str], code: Path = ROOT) -> None:
        self._environment, self._code = environment, code
        self.kills = 0
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.publisher"],
            cwd=self._code,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.answer() == "up"

    def ask(self, command: str, **arguments: Any) -> None:
        """Give a command and do not wait for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, arguments]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the client ended with {self._process.wait(5)}"
        return json.loads(line)

    def do(self, command: str, **arguments: Any) -> Any:
        self.ask(command, **arguments)
        return self.answer()

    def publish(self, topic: str, keys: Sequence[str], payload: dict[str, Any] | None = None, **how: Any) -> Any:
        """Publish and return the new ids; ``wait=False`` returns at once."""
        wait = how.pop("wait", True)
        arguments = {"each": {}, "per_commit": 1, "every": 0, "business": False, "hints": True, "journal": ""} | how
        return (self.do if wait else self.ask)(
            "publish", topic=topic, keys=list(keys), payload=payload or {}, **arguments
        )

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait(10) == -signal.SIGKILL
        self.kills += 1
        self._close()

    def end(self) -> None:
        """Let it finish: at the end of its input it drains its dispatcher and goes."""
        if self._process.poll() is None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        self._close()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


class Installation:
    """The processes around one database and one prefix of queues."""

    def __init__(
        self,
        database: Database | EmbeddedDatabase,
        *,
        broker: str,
        prefix: str,
        folder: Path,
        seconds: dict[str, float] | None = None,
        extra: dict[str, str] | None = None,
        code: Path = ROOT,
    ) -> None:
        self.database, self.broker, self.prefix, self.folder, self.code = database, broker, prefix, folder, code
        inherited = {name: value for name, value in os.environ.items() if name not in ("EMBEDDED", "STATE_DIR")}
        self.environment = {
            **inherited,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "SECRET_KEY": "only for tests",
            "DATABASE_URL": database.url,
            "CELERY_BROKER_URL": broker,
            "OUTBOX_PREFIX": prefix,
            "OUTBOX_SECONDS": json.dumps(seconds or {}),
            "PYTHONUNBUFFERED": "1",
            "CELERY_SKIP_CHECKS": "true",  # a quarter of a start; other tests' workers and `up` make them
            **(extra or {}),
        }
        self.programs: list[Program] = []
        self._says: dict[str, str] = {}
        self._waits = True
        self.clients: list[Client] = []

    def worker(self, name: str = "worker", *, pool: str = "prefork", **environment: str) -> Program:
        """Start a worker for all consumers with two processes; the engine's maintenance jobs are not its business."""
        return self._celery(
            name, "worker", "-P", pool, "-c", "2", "-X", f"{self.prefix}.control", *LEAN, says="ready.", **environment
        )

    def control(self, name: str = "control") -> Program:
        """Start the worker of the engine's maintenance jobs."""
        return self._celery(name, "worker", "-P", "solo", "-Q", f"{self.prefix}.control", *LEAN, says="ready.")

    def beat(self, name: str = "beat") -> Program:
        """Start celery-beat; it calls the rescan every second."""
        return self._celery(name, "beat", "-l", "INFO", "--pidfile=", "--max-interval", "1", says="beat: Starting")

    def client(self) -> Client:
        """Start a process that publishes."""
        client = Client(self._named("client"), self.code)
        self.clients.append(client)
        return client

    def _celery(self, name: str, role: str, *arguments: str, says: str, **environment: str) -> Program:
        node = ["-n", f"{self.prefix}-{name}@localhost"] if role == "worker" else []
        program = Program(
            name,
            [*CELERY, role, *node, *arguments],
            environment={**self._named(name), **environment},
            log=self.folder / f"{name}.log",
            folder=self.code,
        )
        self.programs.append(program)
        self._says[program.name] = says
        if self._waits:
            program.wait_for(says)
        return program

    def everything(self, *, pool: str = "prefork") -> "Installation":
        """Start a worker, one for the chores, beat and a client together, and wait for all of them."""
        self._waits = False
        self.the_worker, self.the_control, self.the_beat = self.worker(pool=pool), self.control(), self.beat()
        self._waits = True
        self.the_client = self.client()
        for program in self.programs:
            program.wait_for(self._says[program.name])
        return self

    def _named(self, name: str) -> dict[str, str]:
        """Return the environment in which PostgreSQL shows whose connection is whose."""
        return {**self.environment, "PGAPPNAME": f"{self.prefix}-{name}"}

    def restart(self, program: Program) -> None:
        """Start a program again and wait until it is up."""
        program.start()
        program.wait_for(self._says[program.name])

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """Ask the database itself."""
        return self.database.rows(sql, *parameters)

    def count(self, sql: str, *parameters: Any) -> int:
        [(number,)] = self.rows(sql, *parameters)
        return int(number)

    def statuses(self, prefix: str = "") -> dict[str, int]:
        """Return how many messages whose key begins with ``prefix`` are in which status."""
        return dict(
            self.rows(
                "SELECT status, count(*) FROM outbox_message WHERE substr(key, 1, length(%s)) = %s GROUP BY status",
                prefix,
                prefix,
            )
        )

    def wait_until_finished(self, prefix: str = "", *, count: int, within: float = 60.0) -> float:
        """Wait until ``count`` messages are all finished; return how many seconds that took."""
        began = time.monotonic()

        def finished() -> bool:
            statuses = self.statuses(prefix)
            return sum(statuses.values()) == count and set(statuses) <= {"success", "failed"}

        try:
            eventually(finished, within=within)
        except AssertionError:
            raise AssertionError(f"not finished within {within} s: {self.statuses(prefix)} of {count}") from None
        return time.monotonic() - began

    def wait_until_idle(self) -> None:
        """Wait until the worker has done all hints, those that other tests have left as well."""

        def is_idle() -> bool:
            said = self.the_worker.said()
            done = re.findall(r"\] (succeeded|ignored|retry|raised)", said)
            return self.depth("shop.book") == 0 and said.count("] received") == len(done)

        eventually(is_idle, within=30, what="others' hints are done")

    def depth(self, consumer: str) -> int:
        """Return how many hints the broker says are ready."""
        with Connection(self.broker, connect_timeout=5) as connection:
            channel: Any = connection.channel()
            return int(channel.queue_declare(f"{self.prefix}.{consumer}", passive=True).message_count)

    def close(self) -> None:
        """End what still runs, newest first, and remove the queues; the database is its maker's."""
        for client in self.clients:
            client.end()
        for program in reversed(self.programs):
            program.end()
        if self.broker.startswith("amqp"):
            with contextlib.suppress(OSError):
                self._delete_queues()

    def _delete_queues(self) -> None:
        names = ["control", "dead", "tasks", *registry.consumer_names()]
        with Connection(self.broker, connect_timeout=5) as connection:
            channel: Any = connection.channel()
            for name in names:
                channel.queue_delete(f"{self.prefix}.{name}")
            channel.exchange_delete(f"{self.prefix}.tasks")


@contextlib.contextmanager
def installed(database: Database | EmbeddedDatabase, **arguments: Any) -> Iterator[Installation]:
    """Make an installation, and end and clean up all of it afterwards, its database too."""
    installation = Installation(database, **arguments)
    try:
        yield installation
    finally:
        try:
            installation.close()
        finally:
            database.drop()


def migrate(environment: dict[str, str], code: Path = ROOT) -> None:
    """Make the tables that the code in a folder has."""
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0", "--skip-checks"],
        cwd=code,
        env=environment,
        check=True,
    )
