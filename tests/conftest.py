"""What all tests share: which of them need services, and how hypothesis searches."""

import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.db import connections
from django.test import TransactionTestCase
from django.utils import translation
from pytest_django.live_server_helper import LiveServer

from tests import scheduling
from tests.harness.databases import WAIT_FOR_NO_DISK
from tests.harness.door import Door
from tests.harness.emptying import empty_quickly
from tests.outbox.delivery.hostile.table import print_cases

hypothesis.settings.register_profile("same every time", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None, max_examples=2_000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same every time"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if settings.EMBEDDED:
        skip = pytest.mark.skip(reason="needs PostgreSQL and RabbitMQ, and this run is embedded (SQLite and files)")
        for item in items:
            if item.get_closest_marker("services"):
                item.add_marker(skip)
    if len(settings.DATABASES) > 1:
        for item in items:
            ask_for_every_database(item)
    items[:] = scheduling.order(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> scheduling.Together | None:
    """Keep files together that share what they start, where files are handed out."""
    return scheduling.Together(config, log) if config.getoption("dist") == "loadfile" else None


def ask_for_every_database(item: pytest.Item) -> None:
    """Have pytest-django make all the databases for a test that needs one."""
    marker = item.get_closest_marker("django_db")
    if marker or {"db", "transactional_db", "django_db_setup"} & set(getattr(item, "fixturenames", ())):
        asked = marker.kwargs if marker else {}
        item.add_marker(pytest.mark.django_db(**{**asked, "databases": list(settings.DATABASES)}), append=False)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Make the test databases, in which no commit waits for the disk."""
    with django_db_blocker.unblock():
        for connection in connections.all():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute(WAIT_FOR_NO_DISK.format(name=connection.settings_dict["NAME"]))
                connection.close()  # a new session has it


@pytest.fixture(scope="session", autouse=True)
def _quick_flush() -> Iterator[None]:
    """Let the tables be emptied by DELETE after a test that commits: TRUNCATE and its signals took most of its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty_quickly)
        yield


@pytest.fixture(autouse=True)
def _own_language() -> Iterator[None]:
    """Let no test speak the language that a request of the one before it has asked for."""
    yield
    translation.deactivate()


@pytest.fixture
def live_server(live_server: LiveServer) -> Iterator[LiveServer]:
    """Let the server answer while the test runs, and have it be still when the database is emptied."""
    httpd = live_server.thread.httpd
    application = httpd.get_app()
    with Door(application) as door:
        httpd.set_app(door)
        yield live_server
    httpd.set_app(application)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    print_cases(terminalreporter)
