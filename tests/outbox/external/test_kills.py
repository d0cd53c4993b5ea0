"""A producer that is killed at any line, or is frozen before its write: in the end both sides agree.

Nobody is asked. The other side is a second PostgreSQL database, or a Redis.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import connection

from outbox.conf import conf
from outbox.external.halves import running
from outbox.models import Half, Message
from tests.harness.databases import Database
from tests.harness.program import ROOT, eventually
from tests.harness.redis_server import redis_server
from tests.shop.halves import TABLE, other_redis

pytestmark = [pytest.mark.services, pytest.mark.processes, pytest.mark.usefixtures("transactional_db", "dispatched")]

KILLS = {"database": 16, "redis": 12}
"""How many turns each side has here; ``make trials`` has a hundred."""


FIRST_LINES = (25, 45, 65)
"""Where they begin, of 76 lines: around the half's own commit, around the write, and around the end."""


class OtherSide:
    """Where the writes are; knows what was written by its keys, and what was made void."""

    def __init__(self, side: str, database: Database | None) -> None:
        self.side, self._database = side, database

    def written(self) -> set[str]:
        if self._database is not None:
            return {str(key) for (key,) in self._database.rows("SELECT key FROM write WHERE state = 'written'")}
        return set(other_redis().smembers("written"))

    def state_of(self, write_id: object) -> str:
        if self._database is not None:
            [(state,)] = self._database.rows("SELECT state FROM write WHERE write_id = %s", str(write_id))
            return str(state)
        return str(other_redis().get(f"write:{write_id}"))


@pytest.fixture(params=["database", "redis"])
def other(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OtherSide]:
    if request.param == "redis":
        with redis_server(tmp_path) as server:
            monkeypatch.setenv("OTHER_REDIS", server.url)
            yield OtherSide("redis", None)
        return
    given = connection.settings_dict
    database = Database(url_of(given), f"{given['NAME']}_other", durable=False)
    database.rows(TABLE)
    monkeypatch.setenv("OTHER_DATABASE", database.outside)
    try:
        yield OtherSide("database", database)
    finally:
        database.drop()


def url_of(given: dict[str, Any]) -> str:
    return f"postgres://{given['USER']}:{given['PASSWORD']}@{given['HOST']}:{given['PORT']}/{given['NAME']}"


def producer(*arguments: str) -> "subprocess.Popen[str]":
    environment = {
        **os.environ,
        "DATABASE_URL": url_of(connection.settings_dict),
        "OUTBOX_PREFIX": conf().prefix,
        "SUITE_WORKER": os.environ.get("PYTEST_XDIST_WORKER", ""),
    }
    argv = [sys.executable, "-m", "tests.harness.half_producer", *arguments]
    return subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def settle_all() -> None:
    """Have the checks asked, as beat does, until nothing is open."""
    eventually(lambda: running.go_on() == 0 and not Half.objects.unsettled().exists(), within=60)


def published() -> set[str]:
    return set(Message.objects.filter(topic="shop.written").values_list("key", flat=True))


def test_both_sides_agree_wherever_the_producer_was_killed(other: OtherSide) -> None:
    killed = 0
    for first in FIRST_LINES:
        with producer(other.side, f"order-{first}", str(first), str(KILLS[other.side])) as process:
            said, _errors = process.communicate(timeout=120)
        killed += json.loads(said)["killed"]
        settle_all()

        assert published() == other.written()
    states = Counter(Half.objects.values_list("state", flat=True))
    assert killed > 2 * KILLS[other.side]
    assert (states["published"] > 1, states["taken_back"] > 1, states["unknown"]) == (True, True, 0)


def test_a_producer_that_wakes_up_after_the_check_can_write_no_more(other: OtherSide) -> None:
    process = producer(other.side, "order-1", "freeze")
    try:
        eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED, within=60)
        half = Half.objects.get()
        assert half.state == "open"

        settle_all()

        half.refresh_from_db()
        assert (half.state, half.settled_by, other.state_of(half.write_id)) == ("taken_back", "check", "void")
        process.send_signal(signal.SIGCONT)
        assert process.wait(30) == 1
    finally:
        process.kill()
        process.communicate()
    half.refresh_from_db()
    assert (half.state, other.written(), published()) == ("taken_back", set(), set())
