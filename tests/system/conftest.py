"""Databases, brokers and installations for the tests with real processes; nothing of them is left behind.

What works all the time ends with this folder's tests: what it does would cost those that follow a part of a core.
"""

import os
from collections.abc import Callable, Iterator
from itertools import count

import psycopg2
import pytest
from django.conf import settings

from tests.harness.databases import Database, EmbeddedDatabase, name_of_run
from tests.harness.installation import SHORT, Installation, installed, migrate
from tests.harness.node import Node, installed_here
from tests.harness.oracle import HISTORY

SERVER = os.environ.get("DATABASE_URL", "")
BROKER = settings.CELERY_BROKER_URL

_numbers = count(1)


@pytest.fixture(scope="session")
def template() -> Iterator[Database]:
    """A database with all tables and a history of every status change, which is copied for each installation."""
    database = Database(SERVER, f"{name_of_run()}_template", durable=False)
    try:
        migrate({**os.environ, "DATABASE_URL": database.url, "DJANGO_SETTINGS_MODULE": "tests.settings"})
        connection = psycopg2.connect(database.outside)
        with connection, connection.cursor() as cursor:
            cursor.execute(HISTORY)
        connection.close()
        yield database
    finally:
        database.drop()


@pytest.fixture(scope="session")
def install(template, tmp_path_factory) -> Iterator[Callable[..., Installation]]:
    """Return a function that opens an installation: ``with install(broker=…) as installation``."""

    def open_one(**arguments):
        number = next(_numbers)
        return installed(
            Database(SERVER, f"{name_of_run()}_{number}", template=template.name, durable=False),
            **{
                "broker": BROKER,
                "prefix": f"{settings.OUTBOX['PREFIX']}-faults{number}",
                "folder": tmp_path_factory.mktemp(f"installation{number}"),
                "seconds": SHORT,
                **arguments,
            },
        )

    return open_one


@pytest.fixture(scope="package")
def busy(install) -> Iterator[Installation]:
    """An installation in full: a worker, a worker for the chores, beat, and a client. Tests use keys of their own."""
    with install() as installation:
        yield installation.everything()


@pytest.fixture(scope="package")
def node(tmp_path_factory) -> Iterator[Node]:
    """A RabbitMQ node of our own, to be killed and starved."""
    if not installed_here():
        pytest.skip("rabbitmq-server is not installed here, so no node of our own can be started")
    own = Node(tmp_path_factory.mktemp("node"))
    yield own
    own.close()


@pytest.fixture(scope="package")
def on_node(install, node) -> Iterator[Installation]:
    """An installation in full on the node of our own."""
    with install(broker=node.url) as installation:
        yield installation.everything()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory) -> Iterator[Installation]:
    """An embedded installation in full: SQLite, a broker of files, a worker with threads."""
    folder = tmp_path_factory.mktemp("embedded")
    with installed(
        EmbeddedDatabase(folder),
        broker="outbox-files://",
        prefix="embedded",
        folder=folder,
        seconds=SHORT,
        extra={"EMBEDDED": "1", "STATE_DIR": str(folder)},
    ) as installation:
        migrate(installation.environment)
        yield installation.everything(pool="threads")
