"""Databases and queues for the stranger's projects; nothing of them is left behind."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from kombu import Connection

from tests.harness.databases import Database
from tests.system.hosts.host import Host

QUEUES = ["control", "dead", "orders.add_points", "orders.congratulate", "shipping.ship", "tasks", "parcels", "bulk"]


@pytest.fixture(scope="session")
def prefix() -> str:
    """What the names of a stranger's queues begin with in this run."""
    return f"{settings.OUTBOX['PREFIX']}-stranger{os.getpid()}"


@pytest.fixture(scope="module")
def database() -> Iterator[Callable[[str], Database]]:
    """Return a function that makes a PostgreSQL database which lives as long as the module's tests."""
    made: list[Database] = []

    def make(name: str) -> Database:
        made.append(
            Database(os.environ["DATABASE_URL"].partition("?")[0], f"test_stranger_{os.getpid()}_{name}", durable=False)
        )
        return made[-1]

    yield make
    for one in made:
        one.drop()


@contextmanager
def project(folder: Path, prefix: str, **arguments: object) -> Iterator[Host]:
    """Make a project, and delete its queues afterwards."""
    host = Host(folder, **arguments)
    try:
        yield host
    finally:
        delete_queues(prefix)


def delete_queues(prefix: str) -> None:
    with Connection(settings.CELERY_BROKER_URL, connect_timeout=5) as connection:
        channel = connection.channel()
        for name in QUEUES:
            channel.queue_delete(f"{prefix}.{name}")
            channel.exchange_delete(f"{prefix}.{name}")


def django_database(database: Database) -> dict[str, object]:
    """Return the database as a stranger who knows only Django's own documentation writes it into the settings."""
    server = urlsplit(database.server)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": database.name,
        "HOST": server.hostname,
        "PORT": server.port or 5432,
        "USER": server.username or "postgres",
        "PASSWORD": server.password or "",
    }
