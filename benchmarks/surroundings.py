"""Where the services are, and the Python environments that peers are installed into, apart from the project's own."""

import contextlib
import hashlib
import os
import platform
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import psycopg2
from kombu import Connection

from benchmarks.side import Plan, Side
from tests.harness.program import ROOT
from tests.run import why_no_broker, why_no_database

DATABASE = "postgres://postgres@127.0.0.1:5432/postgres"
BROKER = "amqp://guest:guest@127.0.0.1:5672//"
ENVIRONMENTS = ROOT / ".makegood" / "bench-venv"
PEERS = ROOT / "benchmarks" / "peers"


def server() -> str:
    """Return the address of the PostgreSQL server on which databases are made."""
    return os.environ.get("DATABASE_URL") or os.environ.get("TEST_DATABASE_URL") or DATABASE


def broker() -> str:
    """Return the address of RabbitMQ."""
    return os.environ.get("CELERY_BROKER_URL") or BROKER


def python_of(peer: str) -> str:
    """Return the interpreter for a peer: the project's own, or of an environment with what the peer requires.

    Environments are kept; one is made anew when the requirements change.
    """
    extra = PEERS / peer / "requirements.txt"
    if not extra.exists():
        return sys.executable
    wanted = hashlib.sha256((ROOT / "requirements.txt").read_bytes() + extra.read_bytes()).hexdigest()
    place = ENVIRONMENTS / peer
    python, stamp = place / "bin" / "python", place / "requirements.sha256"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making an environment for {peer} ...", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", ROOT / "requirements.txt", "-r", extra], check=True, stderr=subprocess.DEVNULL)
        stamp.write_text(wanted)
    return str(python)


def missing() -> list[str]:
    """Return what keeps a measurement from being made, in plain words."""
    return [*why_no_database(server()), *why_no_broker(broker())]


def about() -> dict[str, Any]:
    """Return what the figures were measured on."""
    connection = psycopg2.connect(server())
    with connection, connection.cursor() as cursor:
        settings = {}
        for name in ("server_version", "fsync", "synchronous_commit", "shared_buffers"):
            cursor.execute(f"SHOW {name}")
            [settings[name]] = cursor.fetchone()
    connection.close()
    with Connection(broker(), connect_timeout=5) as link:
        link.connect()
        rabbit = link.connection.server_properties
    versions = {name: metadata.version(name) for name in ("Django", "celery", "kombu", "psycopg2-binary")}
    return {
        "processors": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "postgresql": settings,
        "rabbitmq": rabbit.get("version", "unknown"),
        **versions,
    }


@contextlib.contextmanager
def put_up(plans: Sequence[Plan]) -> Iterator[list[Side]]:
    """Make the sides of ``plans``, and remove their databases and queues at the end, whatever that end is."""
    run = f"bench-{secrets.token_hex(3)}"
    pythons = {plan.peer: python_of(plan.peer) for plan in plans}
    with tempfile.TemporaryDirectory(prefix=run) as folder, contextlib.ExitStack() as stack:
        stack.enter_context(_delayed_delivery_queues_removed())
        place = {"run": run, "server": server(), "broker": broker(), "folder": Path(folder)}
        sides: list[Side] = []
        migrated: dict[str, Side] = {}
        for plan in plans:
            like = migrated.get(plan.peer)
            template = like.database.name if like else ""
            sides.append(side := Side(plan, python=pythons[plan.peer], template=template, **place))
            stack.callback(side.close)
            if like is None:
                side.ask("migrate")
                migrated[plan.peer] = side
        yield sides


@contextlib.contextmanager
def _delayed_delivery_queues_removed() -> Iterator[None]:
    """Remove the queues for delayed delivery that django-celery-outbox declares for all, if nobody had them before."""
    from kombu.transport import native_delayed_delivery as delayed

    levels = [delayed.level_name(level) for level in range(delayed.MAX_LEVEL + 1)]
    with Connection(broker(), connect_timeout=5) as connection:
        had = _exists(connection, levels[0])
    yield
    if not had:
        with Connection(broker(), connect_timeout=5) as connection:
            channel = connection.channel()
            for name in levels:
                channel.queue_delete(name)
                channel.exchange_delete(name)
            channel.exchange_delete(delayed.CELERY_DELAYED_DELIVERY_EXCHANGE)


def _exists(connection: Connection, queue: str) -> bool:
    try:
        connection.channel().queue_declare(queue, passive=True)
    except connection.channel_errors:
        return False
    return True
