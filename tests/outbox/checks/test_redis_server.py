"""What ``check --deploy`` says of the Redis that guards are in."""

import pytest

from outbox.checks import redis_server as checks
from tests.harness.ports import free_port
from tests.harness.redis_server import redis_server


def ids():
    return [said.id for said in checks.check_redis()]


@pytest.fixture
def look(settings, tmp_path):
    """Start a server with these settings and say what the check says of it."""

    def at(*arguments):
        with redis_server(tmp_path, *arguments) as server:
            settings.OUTBOX = {**settings.OUTBOX, "REDIS_URL": server.url}
            return ids()

    return at


def test_a_server_that_forgets_nothing_is_in_order(look):
    assert look("--appendonly", "yes", "--maxmemory-policy", "noeviction") == []


def test_one_that_removes_keys_or_writes_no_log_is_warned_of(look):
    assert look("--appendonly", "no", "--maxmemory-policy", "allkeys-lru") == ["outbox.W034", "outbox.W035"]


def test_one_that_does_not_answer_is_said(settings):
    settings.OUTBOX = {**settings.OUTBOX, "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}

    assert ids() == ["outbox.I004"]


def test_without_redis_nothing_is_asked(settings):
    settings.OUTBOX = {**settings.OUTBOX, "REDIS_URL": ""}

    assert ids() == []


def test_a_client_that_is_not_installed_is_an_error(settings, monkeypatch):
    settings.OUTBOX = {**settings.OUTBOX, "REDIS_URL": "redis://127.0.0.1/0"}
    monkeypatch.setattr(checks, "find_spec", lambda name: None)

    assert ids() == ["outbox.E013"]
