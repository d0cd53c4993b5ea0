"""What the database-tagged check finds out by asking the server, whoever has set it."""

from datetime import timedelta

import pytest
from django.core.checks import Tags, run_checks
from django.db import connection

from outbox.broker import queues
from outbox.conf import conf

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db")]

SAFE = {
    "client_connection_check_interval": "2s",
    "idle_in_transaction_session_timeout": "30s",
    "default_transaction_isolation": "read committed",
}


@pytest.fixture
def on_session():
    """Have the session opened with these settings, as a role, a pooler or the options of a URL would."""

    def open_with(**settings):
        with connection.cursor() as cursor:
            for name, value in {**SAFE, **settings}.items():
                cursor.execute("SELECT set_config(%s, %s, false)", [name, value])

    yield open_with
    close_session()


def close_session():
    """Close it, whether it was opened while there was a pool or not: Django asks for the pool that it came from."""
    if connection.connection is not None and not hasattr(connection.connection, "_pool"):
        connection.connection.close()
        connection.connection = None
    connection.close()


def found():
    messages = run_checks(tags=[Tags.database], databases=[conf().database])
    assert all(message.hint for message in messages)
    return {message.id.removeprefix("outbox.") for message in messages}


@pytest.mark.parametrize(
    ("opened", "ids"),
    [
        ({}, set()),
        ({"client_connection_check_interval": "0"}, {"W001"}),
        ({"idle_in_transaction_session_timeout": "0"}, {"W005"}),
        ({"idle_in_transaction_session_timeout": "14s"}, {"W019"}),
        ({"default_transaction_isolation": "serializable"}, {"W007"}),
        ({"default_transaction_isolation": "repeatable read"}, {"W007"}),
    ],
)
def test_the_server_is_asked_how_its_sessions_are_opened(only, on_session, opened, ids):
    only(timeout=timedelta(seconds=15))
    on_session(**opened)

    assert found() == ids


@pytest.mark.parametrize(
    ("pool", "concurrency", "ids"),
    [("threads", 10_000, {"W052"}), ("gevent", 10_000, {"W052"}), ("threads", 2, set()), ("prefork", 10_000, set())],
)
def test_threads_that_need_more_sessions_than_the_server_has_are_found(
    only, on_session, monkeypatch, pool, concurrency, ids
):
    only(timeout=timedelta(seconds=15))
    close_session()
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "pool", None)  # it has a limit of its own
    on_session()
    monkeypatch.setitem(queues.celery_app().conf, "worker_pool", pool)
    monkeypatch.setitem(queues.celery_app().conf, "worker_concurrency", concurrency)

    assert found() == ids


def test_nobody_asks_a_database_that_may_not_be_asked(only, on_session):
    only()
    on_session(client_connection_check_interval="0")

    assert run_checks(tags=[Tags.database], databases=[]) == []
