"""The harness of a long run: a database and queues of its own, the real processes on them, and checks at the end.

Importing it sets Django up for a run of the script that was started. ``DATABASE_URL`` and ``CELERY_BROKER_URL`` say
where the services are; database and queues are removed at the end, whatever that end is.
"""

import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
from django.db import connection, transaction
from django.db.models.functions import Now

from tests.harness.databases import Database, with_name
from tests.harness.installation import LEAN, Installation, migrate
from tests.harness.program import Program

SERVER = os.environ.get("DATABASE_URL") or "postgres://postgres@127.0.0.1:5432/postgres"
BROKER = os.environ.get("CELERY_BROKER_URL") or "amqp://guest:guest@127.0.0.1:5672//"
RUN = f"bench-{Path(sys.argv[0]).stem}-{secrets.token_hex(3)}"
SETTINGS = "benchmarks.app.settings"

os.environ.pop("EMBEDDED", None)
os.environ |= {
    "DJANGO_SETTINGS_MODULE": SETTINGS,
    "DATABASE_URL": with_name(SERVER, RUN),
    "CELERY_BROKER_URL": BROKER,
    "OUTBOX_PREFIX": RUN,
}
django.setup()

# isort: split
from outbox import Draft, publish_many  # noqa: E402  # models need the apps to be ready
from outbox.broker import dispatcher  # noqa: E402
from outbox.conf import conf  # noqa: E402
from outbox.models import ConsumerState, Message  # noqa: E402

BATCH = 5_000


@dataclass(frozen=True)
class Check:
    """One requirement: what was required, what was measured, and whether that will do."""

    name: str
    required: str
    measured: str
    met: bool


class Harness(Installation):
    """The installation of the tests, with as many worker processes as asked for, and with programs of any kind."""

    def workers(self, processes: int) -> Program:
        """Start a worker for all consumers with so many processes."""
        pool = ["-P", "prefork", "-c", str(processes), "-X", f"{self.prefix}.control", *LEAN]
        return self._celery("worker", "worker", *pool, says="ready.")

    def program(self, name: str, argv: Sequence[str], *, says: str, **environment: str) -> Program:
        """Start any other program of the project and wait until it is up."""
        log = self.folder / f"{name}.log"
        program = Program(name, argv, environment={**self._named(name), **environment}, log=log)
        self.programs.append(program)
        self._says[name] = says
        program.wait_for(says)
        return program


@contextmanager
def running(**environment: str) -> Iterator[Harness]:
    """Make database and installation, and end and remove all of it afterwards; SIGTERM is an end like any other."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    database = Database(SERVER, RUN)
    with tempfile.TemporaryDirectory(prefix=RUN) as folder:
        extra = {"DJANGO_SETTINGS_MODULE": SETTINGS, **environment}
        installation = Harness(database, broker=BROKER, prefix=RUN, folder=Path(folder), extra=extra)
        try:
            migrate(installation.environment)
            yield installation
        finally:
            dispatcher.drain()
            connection.close()
            try:
                installation.close()
            finally:
                database.drop()


def publish_while_paused(consumer: str, drafts: Sequence[Draft]) -> None:
    """Publish all drafts while ``consumer`` is paused, and let it go on when the last of them is due."""
    ConsumerState.objects.update_or_create(consumer=consumer, defaults={"paused_at": Now()})
    for start in range(0, len(drafts), BATCH):
        with transaction.atomic():
            publish_many(drafts[start : start + BATCH])
    with connection.cursor() as cursor:
        # What autovacuum does a minute later; a plan made for an empty table is not what is measured.
        cursor.execute("VACUUM ANALYZE outbox_message")
    time.sleep(conf().grace.total_seconds())
    ConsumerState.objects.filter(consumer=consumer).update(paused_at=None)


def wait_until_finished(consumer: str, *, within: float) -> None:
    """Wait until nothing of ``consumer`` is unfinished; end the run if that takes longer than ``within`` seconds."""
    unfinished = Message.objects.unfinished().filter(consumer=consumer)
    until = time.monotonic() + within
    while unfinished.exists():
        if time.monotonic() > until:
            raise SystemExit(f"{unfinished.count()} messages of {consumer} were not finished within {within:.0f} s")
        time.sleep(0.2)


def cpu_seconds(program: Program) -> float:
    """Return how long the processors have worked for a program and its children, whatever else the machine did."""
    return sum(sum(process.cpu_times()[:2]) for process in program.family())


def count_transactions() -> int:
    """Return how many transactions were ended in the database so far; PostgreSQL counts a second late."""
    time.sleep(1.5)
    with connection.cursor() as cursor:
        cursor.execute("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def print_result(name: str, **figures: Any) -> None:
    """Print one result as a line of JSON, with the load of the machine, without which no figure means anything."""
    with suppress(OSError):
        figures["load"] = round(os.getloadavg()[0], 1)
    print(json.dumps({"benchmark": Path(sys.argv[0]).stem, "result": name, **figures}), flush=True)


def report_checks(checks: Sequence[Check]) -> None:
    """Print the table for people and end with status 1 if anything was missed."""
    width = max(len(check.name) for check in checks)
    columns = max(len(check.required) for check in checks)
    print(f"\n{'':{width}}  {'required':{columns}}  measured")
    for check in checks:
        end = "met" if check.met else "MISSED"
        print(f"{check.name:{width}}  {check.required:{columns}}  {check.measured}  {end}")
    sys.exit(0 if all(check.met for check in checks) else 1)
