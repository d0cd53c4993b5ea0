"""Processes as operators start them, and what is done to an installation from outside."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg2
from kombu import Connection

from config.processes.arguments import free_port
from outbox import registry
from tests.harness.installation import Installation
from tests.harness.program import ROOT, Program, eventually

NO_TLS = False
"""For ``verify``, as nothing here is served over TLS: else every request reads all certificates there are."""


class Web(Program):
    """A program that serves, ``manage.py start web`` or all of ``up``, and a client that draws."""

    def __init__(
        self, site: Installation, folder: Path, command: list[str], *, workers: int = 2, **environment: str
    ) -> None:
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        super().__init__(
            command[-1],
            [sys.executable, "manage.py", *command, "--bind", f"127.0.0.1:{port}", "--web-workers", str(workers)],
            environment={**site.environment, "STATE_DIR": str(folder), **environment},
            log=folder / f"{command[-1]}.log",
        )
        site.programs.append(self)

    def wait_until_served(self) -> None:
        eventually(self.serves, within=60, what=f"{self.name} serves:\n{self.said()[-3000:]}")

    def serves(self) -> bool:
        try:
            return httpx.get(f"{self.address}/healthz", verify=NO_TLS).is_success
        except httpx.TransportError:
            return False

    def draw(self, key: str) -> httpx.Response:
        """Draw once, by a connection of its own."""
        return httpx.post(
            f"{self.address}/api/campaigns/summer-raffle/draws",
            json={"person": f"{key}@example.org"},
            headers={"Idempotency-Key": key},
            timeout=30,
            verify=NO_TLS,
        )


def manage(environment: dict[str, str], *arguments: str) -> None:
    """Run a command of ``manage.py`` in this environment."""
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def holding(installation: Installation, lock: str) -> Iterator[Any]:
    """Hold a lock in the database for as long as the block takes."""
    connection = psycopg2.connect(installation.database.outside)
    try:
        with connection.cursor() as cursor:
            cursor.execute(lock)
            yield cursor
    finally:
        connection.close()


def purge(installation: Installation) -> int:
    """Take every hint and every call of a chore off the broker; return how many there were."""
    names = ["control", *(entry.name for entry in registry.all_consumers())]
    forgotten = 0
    with Connection(installation.broker) as connection:
        for name in names:
            with contextlib.suppress(connection.channel_errors):
                forgotten += connection.channel().queue_purge(f"{installation.prefix}.{name}")
    return forgotten
