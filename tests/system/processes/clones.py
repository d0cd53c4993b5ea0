"""Programs started as in a fresh clone, in an environment of its own: nobody shares its state and its database."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg2
from amqp.exceptions import NotFound
from kombu import Connection

from config.demo import clone
from tests.harness.databases import name_of_run, with_name, without_options

ROOT = Path(__file__).resolve().parents[3]
OF_THE_RUN = ("DATABASE_URL", "CELERY_BROKER_URL", "EMBEDDED", "OUTBOX_PREFIX", "SECRET_KEY", "VENDOR_URL")
DECLARED = ("tasks", "control", "dead", "awards.issue_points", "awards.order_gift", "awards.hand_out_coupon")

Environment = dict[str, str]


def empty_environment(state: Path) -> Environment:
    """Return the environment of a clone with nothing in its state yet, on SQLite and files."""
    own = {key: value for key, value in os.environ.items() if key not in OF_THE_RUN}
    return own | {"STATE_DIR": str(state), "DJANGO_SETTINGS_MODULE": "config.settings"}


def on_services(environment: Environment, *, database: str) -> Environment:
    """Return the environment on the run's services, with a database of this name."""
    broker = os.environ["CELERY_BROKER_URL"]
    return {**environment, "DATABASE_URL": url_of(database), "CELERY_BROKER_URL": broker}


def make_database(name: str, *, template: str = "") -> None:
    """Make it anew: empty, or as a copy."""
    drop_database(name)
    _on_server(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))


def drop_database(name: str) -> None:
    _on_server(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def name_of_database(kind: str) -> str:
    """Return what a database of this run is called."""
    return f"{name_of_run()}_{kind}"


def url_of(database: str) -> str:
    return with_name(os.environ["DATABASE_URL"], database)


def _on_server(statement: str) -> None:
    connection = psycopg2.connect(without_options(url_of("postgres")))
    connection.autocommit = True
    connection.cursor().execute(statement)
    connection.close()


def migrate(environment: Environment) -> None:
    """Make the tables, as the demo would at its start."""
    whole = {**environment, **clone.environment(environment)}
    migrating = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrating, cwd=ROOT, env=whole, check=True)


def start(
    environment: Environment, *arguments: str, program: Iterable[str] = ("-m", "config.demo.clone")
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(lines: Iterable[str], text: str) -> Iterator[str]:
    """Yield the lines up to the first one with the text in it."""
    for line in lines:
        yield line
        if text in line:
            return
    raise AssertionError(f"the output ended without {text!r}")


def declared(prefix: str) -> list[tuple[str, str]]:
    """Return the names of queues and exchanges that would stay for ever; a worker's own mailbox goes by itself."""
    with Connection(os.environ["CELERY_BROKER_URL"]) as connection:
        left = []
        for name in DECLARED:
            for declare in ("queue_declare", "exchange_declare"):
                arguments = {"type": "direct"} if declare == "exchange_declare" else {}
                try:
                    getattr(connection.channel(), declare)(f"{prefix}.{name}", passive=True, **arguments)
                except NotFound:
                    continue
                left.append((declare, name))
        return left
