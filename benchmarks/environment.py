"""Where the services are, what the machine is, and the Python environments that peers are installed into."""

import contextlib
import hashlib
import os
import platform
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import psycopg2
from kombu.transport import native_delayed_delivery as delayed_delivery

from benchmarks.broker import delete_queues_and_exchanges, queue_exists, server_version
from benchmarks.contestant import Contestant, Plan
from tests.harness.program import ROOT
from tests.run import why_no_broker, why_no_database

DATABASE = "postgres://postgres@127.0.0.1:5432/postgres"
BROKER = "amqp://guest:guest@127.0.0.1:5672//"
ENVIRONMENTS = ROOT / ".makegood" / "bench-venv"
PEERS = ROOT / "benchmarks" / "peers"


def database_server_url() -> str:
    """Return the address of the PostgreSQL server on which databases are made."""
    return os.environ.get("DATABASE_URL") or os.environ.get("TEST_DATABASE_URL") or DATABASE


def broker_url() -> str:
    """Return the address of RabbitMQ."""
    return os.environ.get("CELERY_BROKER_URL") or BROKER


def interpreter_of(peer: str) -> str:
    """Return the interpreter for a peer: the project's own, or of an environment with what the peer requires.

    Environments are kept; one is made anew when the requirements change.
    """
    extra = PEERS / peer / "requirements.txt"
    if not extra.exists():
        return sys.executable
    wanted = hashlib.sha256((ROOT / "requirements.txt").read_bytes() + extra.read_bytes()).hexdigest()
    folder = ENVIRONMENTS / peer
    python, stamp = folder / "bin" / "python", folder / "requirements.sha256"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making an environment for {peer} ...", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run(
            [*install, "-r", str(ROOT / "requirements.txt"), "-r", str(extra)], check=True, stderr=subprocess.DEVNULL
        )
        stamp.write_text(wanted)
    return str(python)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def missing_services() -> list[str]:
    """Return what keeps a measurement from being made, in plain words."""
    return [*why_no_database(database_server_url()), *why_no_broker(broker_url())]


def describe_environment() -> dict[str, Any]:
    """Return what the figures were measured on."""
    connection = psycopg2.connect(database_server_url())
    with connection, connection.cursor() as cursor:
        settings = {}
        for name in ("server_version", "fsync", "synchronous_commit", "shared_buffers"):
            cursor.execute(f"SHOW {name}")
            [settings[name]] = cursor.fetchone()
    connection.close()
    versions = {name: metadata.version(name) for name in ("Django", "celery", "kombu", "psycopg2-binary")}
    return {
        "processors": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "postgresql": settings,
        "rabbitmq": server_version(broker_url()),
        **versions,
    }


@contextlib.contextmanager
def set_up_contestants(plans: Sequence[Plan]) -> Iterator[list[Contestant]]:
    """Make the contestants of ``plans``, and remove their databases and queues at the end, whatever that end is."""
    run = f"bench-{secrets.token_hex(3)}"
    interpreters = {plan.peer: interpreter_of(plan.peer) for plan in plans}
    with tempfile.TemporaryDirectory(prefix=run) as folder, contextlib.ExitStack() as stack:
        stack.enter_context(_delayed_delivery_queues_removed())
        contestants: list[Contestant] = []
        migrated: dict[tuple[str, Path], Contestant] = {}
        for plan in plans:
            like = migrated.get((plan.peer, plan.folder))
            contestant = Contestant(
                plan,
                run=run,
                server=database_server_url(),
                broker=broker_url(),
                python=interpreters[plan.peer],
                folder=Path(folder),
                template=like.database.name if like else "",
            )
            stack.callback(contestant.close)
            contestants.append(contestant)
            if like is None:
                contestant.call("migrate")
                migrated[plan.peer, plan.folder] = contestant
        yield contestants


@contextlib.contextmanager
def _delayed_delivery_queues_removed() -> Iterator[None]:
    """Remove the queues for delayed delivery that django-celery-outbox declares for all, if nobody had them before."""
    levels = [delayed_delivery.level_name(level) for level in range(delayed_delivery.MAX_LEVEL + 1)]
    had_them = queue_exists(broker_url(), levels[0])
    try:
        yield
    finally:
        if not had_them:
            exchange = delayed_delivery.CELERY_DELAYED_DELIVERY_EXCHANGE
            delete_queues_and_exchanges(broker_url(), [*levels, exchange])
