"""``make test``: run the suite on PostgreSQL and RabbitMQ where they answer, then embedded, and say what ran where.

On the services a part of it is run once more with the engine on another alias.

With CI=true the services must answer and nothing may be skipped on them.
"""

import os
import secrets
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2
from kombu import Connection

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests import left_out  # noqa: E402  # the path must be set first

DATABASE = "postgres://postgres@127.0.0.1:5432/test"
BROKER = "amqp://guest:guest@127.0.0.1:5672//"
RABBITMQCTL = shlex.split(os.environ.get("RABBITMQCTL", "rabbitmqctl"))
"""The tool of the broker that is tested; who starts one that is not this machine's own says how to call its tool."""
PATIENCE_SECONDS = 3
NO_TESTS_COLLECTED = 5
LEFT_TO_A_LANE = "psycopg 3 is not installed here; make lane runs it"
NO_SMALL_DISK = "no tmpfs can be mounted here"
MAY_BE_SKIPPED = {LEFT_TO_A_LANE, NO_SMALL_DISK}
"""Why tests may be skipped on the services with CI=true: .ci/run has them elsewhere, or only root could run them."""
ON_SECOND_ALIAS = [
    "tests/outbox/test_publishing.py",
    "tests/outbox/test_testing.py",
    "tests/outbox/delivery/test_non_atomic.py",
    "tests/outbox/maintenance/test_rescan.py",
    "tests/outbox/monitoring/test_health.py",
    "tests/outbox/operate/test_messages.py",
    "tests/outbox/bulk/test_running.py",
    "tests/outbox/admin/messages/test_list.py",
    "tests/awards/test_draw.py",
]
"""What stands for the whole there. The whole is run by ENGINE_ALIAS=engine, pytest and tests/outbox tests/awards."""
SIDE_BY_SIDE = ["-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"]
"""Three files at a time: much of the suite waits for processes, and the tests of a file may share one. The order is
conftest.py's, by which those come first."""

KNOWN_QUEUES = "import django; django.setup(); from config import celery_app; print(*celery_app.amqp.queues)"

BYTECODE = ROOT / ".makegood" / "bytecode"
"""Where compiled modules are kept for a machine that wants none beside the sources. Hundreds of processes are started,
and half of what a start costs is compiling."""

RUN = f"test-{secrets.token_hex(4)}"
STATE_DIR = ROOT / ".makegood" / RUN


@dataclass
class Result:
    """What one run of the suite came to."""

    title: str
    status: int
    passed: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def sentence(self) -> str:
        """Return the result in plain words."""
        words = f"{self.title}: {self.passed} {'test' if self.passed == 1 else 'tests'} passed"
        if self.failed:
            words += f", {self.failed} FAILED"
        if self.status and not self.failed:
            words += f", and pytest ended with status {self.status}"
        if not self.skipped:
            return f"{words}, none was skipped."
        reasons = "".join(f"\n    {count} × {reason}" for reason, count in self.skipped.most_common())
        return f"{words}, skipped {self.skipped.total()}:{reasons}"


def main(pytest_args: Sequence[str]) -> int:
    """Run both suites and return the exit status."""
    must_not_skip = os.environ.get("CI", "").lower() in ("1", "true", "yes")
    database = os.environ.get("TEST_DATABASE_URL") or os.environ.get("DATABASE_URL") or DATABASE
    broker = os.environ.get("CELERY_BROKER_URL") or BROKER
    missing = [*why_no_database(database), *why_no_broker(broker)]
    STATE_DIR.mkdir(parents=True)
    results: list[Result] = []
    try:
        if not missing:
            results.append(run_on_services(database, broker, pytest_args))
            if not pytest_args:
                results.append(run_on_second_alias(database, broker))
        results.append(run_embedded(pytest_args, alone=not results))
    finally:
        shutil.rmtree(STATE_DIR, ignore_errors=True)
    print("\n" + "=" * 30 + " what ran where " + "=" * 30)
    for reason in missing:
        print(f"Not run on PostgreSQL and RabbitMQ: {reason}")
    for result in results:
        print(result.sentence())
    if must_not_skip and missing:
        print("FAILED: with CI=true the services must answer.")
        return 1
    if must_not_skip and results[0].skipped.keys() - MAY_BE_SKIPPED:
        print("FAILED: with CI=true no test may be skipped on the services.")
        return 1
    return max(result.status for result in results)


def run_on_services(database: str, broker: str, pytest_args: Sequence[str]) -> Result:
    """Run everything on PostgreSQL and RabbitMQ, with a database and queues of this run's own, and clean them up."""
    name = RUN.replace("-", "_")
    environment = {"DATABASE_URL": with_name(database, name), "CELERY_BROKER_URL": broker, "OUTBOX_PREFIX": RUN}
    try:
        return run("PostgreSQL and RabbitMQ", "services", environment, pytest_args)
    finally:
        drop_databases(database, f"test_{name}")
        delete_queues_and_exchanges(broker, RUN)


def run_on_second_alias(database: str, broker: str) -> Result:
    """Run a part of it with the engine's tables in a database of their own, and the host's in another."""
    name = RUN.replace("-", "_")
    environment = {"DATABASE_URL": with_name(database, name), "CELERY_BROKER_URL": broker, "OUTBOX_PREFIX": RUN}
    try:
        return run(
            "The engine on another alias",
            "alias",
            {**environment, "ENGINE_ALIAS": "engine"},
            ["-rfE", *ON_SECOND_ALIAS],
        )
    finally:
        for tests in (f"test_{name}", f"test_test_host_{name.removeprefix('test_')}"):
            drop_databases(database, tests)
        delete_queues_and_exchanges(broker, RUN)


def run_embedded(pytest_args: Sequence[str], *, alone: bool) -> Result:
    """Run what does not need services on SQLite and files.

    Unless it is the only run, the pages in a browser and what does the same here have been seen already.
    """
    environment = {"EMBEDDED": "1", "OUTBOX_PREFIX": RUN}
    title = "Embedded (SQLite and files)" + ("" if alone else ", all that may differ")
    # What needs services is skipped by conftest.py, which says so; a line for each would bury the failures.
    seen = [] if alone else ["-m", "not browser", *(without(path) for path in [*left_out.ALIKE, *left_out.PROVEN_ONCE])]
    return run(title, "embedded", environment, ["-rfE", *seen, *pytest_args])


def without(path: str) -> str:
    """Return pytest's option that leaves a folder, a file or a test out."""
    return f"--deselect={path}" if "::" in path else f"--ignore={path}"


def run(title: str, name: str, environment: dict[str, str], pytest_args: Sequence[str]) -> Result:
    """Run pytest as a process of its own and read its report."""
    print("\n" + "=" * 30 + f" {title} " + "=" * 30, flush=True)
    report = STATE_DIR / f"{name}.xml"
    inherited = {key: value for key, value in compiling_once().items() if key not in ("EMBEDDED", "DATABASE_URL")}
    status = subprocess.call(
        [sys.executable, "-m", "pytest", f"--junitxml={report}", *SIDE_BY_SIDE, *pytest_args],
        cwd=ROOT,
        env={**inherited, "STATE_DIR": str(STATE_DIR), **environment},
    )
    result = Result(title, 0 if status == NO_TESTS_COLLECTED and pytest_args else status)
    if report.exists():
        for case in ElementTree.parse(report).iter("testcase"):
            count(case, result)
    return result


def compiling_once() -> dict[str, str]:
    """Return our environment, changed so that no process compiles what another one has compiled."""
    environment = dict(os.environ)
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):
        environment.setdefault("PYTHONPYCACHEPREFIX", str(BYTECODE))
    return environment


def count(case: ElementTree.Element, result: Result) -> None:
    """Add one test of the report to the result."""
    skipped = case.find("skipped")
    if skipped is not None and skipped.get("type") == "pytest.skip":
        result.skipped[skipped.get("message") or "no reason given"] += 1
    elif case.find("failure") is not None or case.find("error") is not None:
        result.failed += 1
    else:
        result.passed += 1


def why_no_database(url: str) -> list[str]:
    """Connect to PostgreSQL; return what is wrong, or nothing."""
    try:
        psycopg2.connect(url, connect_timeout=PATIENCE_SECONDS).close()
    except psycopg2.Error as error:
        return [f"PostgreSQL at {_shown(url)} does not answer: {str(error).strip()}"]
    return []


def why_no_broker(url: str) -> list[str]:
    """Connect to RabbitMQ; return what is wrong, or nothing."""
    connection = Connection(url, connect_timeout=PATIENCE_SECONDS)
    try:
        connection.transport.close_connection(connection.transport.establish_connection())
    except Exception as error:  # whatever it is, there is no RabbitMQ to test on
        return [f"RabbitMQ at {_shown(url)} does not answer: {error!r}"]
    return []


def drop_databases(url: str, prefix: str) -> None:
    """Drop what a killed run left behind."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix])
        for (name,) in cursor.fetchall():
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    connection.close()


def delete_queues_and_exchanges(url: str, prefix: str) -> None:
    """Delete what this run has declared, so that it does not pile up on the broker."""
    with Connection(url) as connection:
        channel: Any = connection.channel()
        for name in names_on_the_broker("queues", prefix):
            channel.queue_delete(name)
        for name in names_on_the_broker("exchanges", prefix):
            channel.exchange_delete(name)


def names_on_the_broker(kind: str, prefix: str) -> list[str]:
    """Return which queues or exchanges begin with ``prefix``.

    AMQP cannot tell, so the broker's own tool is asked; a broker elsewhere is left with the names of the queues that
    the code knows, which have exchanges of the same names only in tests of other projects.
    """
    ask_broker = [*RABBITMQCTL, "--quiet", f"list_{kind}", "--no-table-headers", "name"]
    ask_code = [sys.executable, "-c", KNOWN_QUEUES]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "EMBEDDED": "1", "OUTBOX_PREFIX": prefix}
    for command in [ask_broker, ask_code] if shutil.which(RABBITMQCTL[0]) else [ask_code]:
        listed = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        if listed.returncode == 0:
            return [name for name in listed.stdout.split() if name.startswith(prefix)]
    return []


def with_name(url: str, name: str) -> str:
    """Return the address of another database on the same server."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{name}"))


def _shown(url: str) -> str:
    """Return the address without its password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}{parts.path}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
