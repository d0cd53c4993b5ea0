"""Redis for one test: a server of the session's own, emptied before each test."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from outbox.contrib import redis_heart
from tests.harness.redis_server import RedisServer, redis_server


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(_server: RedisServer, configure: Callable[..., None]) -> RedisServer:
    """The server that the guards of this test are in."""
    _server.client.flushall()
    configure(REDIS_URL=_server.url)
    return _server


@pytest.fixture
def quickly_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_heart, "STALE", timedelta(seconds=0.3))


@pytest.fixture(autouse=True)
def _heart_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    heart = redis_heart._Heart()
    monkeypatch.setattr(redis_heart, "_heart", heart)
    yield
    # What still waits to be settled would keep its thread, and have it log an error every few seconds.
    with heart.lock:
        heart.taken.clear()
        heart.late.clear()
