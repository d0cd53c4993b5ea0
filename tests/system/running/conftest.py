"""Installations of our own, with the settings and the consumers of these tests."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from django.conf import settings
from kombu import Connection

from tests.harness.databases import Database, EmbeddedDatabase, name_of_run
from tests.harness.installation import SHORT, Installation, installed, migrate
from tests.system.running.processes import manage

SERVER = os.environ.get("DATABASE_URL", "")
TALKERS = ["running.inside", "running.outside", "running.together"]
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.system.running.settings"}

_numbers = count(1)


@pytest.fixture(scope="module")
def install(template: Database, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Return a function that opens an installation with all tables, of which by default nothing is in use yet."""

    @contextmanager
    def open_one(tables: Database = template) -> Iterator[Installation]:
        number = next(_numbers)
        with installed(
            Database(SERVER, f"{name_of_run()}_running_{number}", template=tables.name, durable=False),
            broker=settings.CELERY_BROKER_URL,
            prefix=f"{settings.OUTBOX['PREFIX']}-running{number}",
            folder=tmp_path_factory.mktemp(f"installation{number}"),
            seconds=SHORT,
            extra=SETTINGS,
        ) as installation:
            yield installation
        # Those of the other consumers are gone by now; of these only the processes knew.
        with Connection(installation.broker) as connection:
            for name in TALKERS:
                connection.channel().queue_delete(f"{installation.prefix}.{name}")

    return open_one


@pytest.fixture(scope="module")
def site(install: Callable[..., Any]) -> Iterator[Installation]:
    """An installation with its tables and a history of every status change; nothing runs yet."""
    with install() as installation:
        yield installation


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An embedded installation: SQLite, a broker of files, a worker with threads."""
    folder = tmp_path_factory.mktemp("embedded")
    with installed(
        EmbeddedDatabase(folder),
        broker="outbox-files://",
        prefix="embedded",
        folder=folder,
        seconds=SHORT,
        extra={**SETTINGS, "EMBEDDED": "1", "STATE_DIR": str(folder)},
    ) as installation:
        migrate(installation.environment)
        yield installation


@pytest.fixture(scope="module")
def prizes(template: Database) -> Iterator[Database]:
    """A database with a raffle in which everybody wins, points or a coupon; it is copied for each raffle."""
    database = Database(SERVER, f"{name_of_run()}_prizes", template=template.name, durable=False)
    try:
        manage({**os.environ, **SETTINGS, "DATABASE_URL": database.url}, "seed_awards")
        database.rows("UPDATE awards_campaign SET losing_weight = 0")
        database.rows("DELETE FROM awards_prize WHERE kind = 'gift'")
        database.close()  # no copy is made of what somebody is connected to
        yield database
    finally:
        database.drop()


@pytest.fixture
def raffle(install: Callable[..., Any], prizes: Database) -> Iterator[Installation]:
    """An installation with that raffle; nothing runs yet."""
    with install(prizes) as installation:
        yield installation


@pytest.fixture(scope="module")
def running(site: Installation) -> Installation:
    """An installation in full: a worker, one for the chores, beat, and a client. Tests use keys of their own."""
    return site.everything()
