"""A server that is really full: no room on its disk (53100), no place for another session (53300)."""

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg2
import pytest
from django.conf import settings

from tests.harness.databases import Database
from tests.harness.installation import SHORT, installed, migrate
from tests.harness.postgres import Server, programs
from tests.harness.program import ROOT, eventually
from tests.run import NO_SMALL_DISK

pytestmark = [pytest.mark.processes, pytest.mark.services]

PLACES = 24
LAST_RESCAN = "SELECT data FROM outbox_heartbeat WHERE name = 'rescan'"


@pytest.fixture(scope="module")
def disk():
    """A small disk of our own."""
    # Not below pytest's own folder, which nobody else may enter, and the server runs as nobody.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        small = Path(folder, "small")
        small.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=48m,mode=777", "tmpfs", small], capture_output=True
        )
        if mounted.returncode:
            pytest.skip(NO_SMALL_DISK)
        try:
            yield small
        finally:
            subprocess.run(["umount", "--lazy", small], check=True)


@pytest.fixture(scope="module")
def server():
    if programs() is None:
        pytest.skip("PostgreSQL's server programs are not installed here")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = Path(folder, "server")
        home.mkdir()
        running = Server(home, settings=["-c", f"max_connections={PLACES}"])
        try:
            yield running
        finally:
            running.close()


@pytest.fixture(scope="module")
def crowded(server, disk, tmp_path_factory):
    """An installation whose database, but not its server's log, is on the small disk."""
    place = disk / "tables"
    place.mkdir()
    place.chmod(0o700)
    subprocess.run(["chown", "nobody", place], check=True)
    connection = psycopg2.connect(server.url)
    connection.autocommit = True
    connection.cursor().execute(f"CREATE TABLESPACE small LOCATION '{place}'")
    connection.cursor().execute("ALTER ROLE postgres SET default_tablespace = small")
    connection.close()
    with installed(
        Database(server.url, "crowded"),
        broker=settings.CELERY_BROKER_URL,
        prefix=f"{settings.OUTBOX['PREFIX']}-crowded",
        folder=tmp_path_factory.mktemp("crowded"),
        seconds={**SHORT, "LEASE": 3},
    ) as installation:
        migrate(installation.environment)
        yield installation.everything()


def status(installation) -> str:
    command = [sys.executable, "manage.py", "outbox_status"]
    asked = subprocess.run(command, cwd=ROOT, env=installation.environment, capture_output=True, text=True, timeout=60)
    return asked.stdout + asked.stderr


def left_and_done(installation, prefix):
    """Return how many tries the messages with these keys have left, how many effects there are, and of how many keys.

    A row that could not be given back within its lease was taken back as lost, which is free once.
    """
    tries = installation.rows(
        "SELECT DISTINCT attempt_limit - attempts FROM outbox_message WHERE starts_with(key, %s)", prefix
    )
    effects = installation.rows(
        "SELECT count(*), count(DISTINCT key) FROM shop_effect WHERE starts_with(key, %s)", prefix
    )
    return tries, effects


def test_a_full_disk_spends_nothing_and_is_named_and_over_when_there_is_room(crowded, disk):
    keys = [f"full {number}" for number in range(60)]
    crowded.the_client.publish("shop.sold_slowly", keys, {"do": "sleep", "seconds": 0.02}, per_commit=60)
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))

    try:
        eventually(lambda: "No space left on device" in crowded.the_worker.said(), within=60)
        # Each pass takes some of the room that pages still have, and says so when there is none.
        eventually(lambda: "No space left on device" in str(crowded.rows(LAST_RESCAN)), within=60)
        said = status(crowded)
    finally:
        ballast.unlink()
    crowded.wait_until_finished("full ", count=len(keys), within=60)

    assert "warning   shop.book_few: the rescan failed for it (OperationalError: could not extend file" in said
    assert left_and_done(crowded, "full ") == ([(2,)], [(60, 60)])
    assert crowded.statuses("full ") == {"success": 60}


def test_a_server_without_a_place_for_a_session_spends_nothing_and_is_named(crowded, server):
    keys = [f"crowd {number}" for number in range(60)]
    crowded.rows("SELECT 1")
    taken = []

    def take_all():
        with contextlib.suppress(psycopg2.OperationalError):
            while True:
                taken.append(psycopg2.connect(server.url))
        return "too many clients" in crowded.the_worker.said()

    try:
        crowded.the_client.publish("shop.sold_slowly", keys, {"do": "sleep", "seconds": 0.1}, per_commit=60)
        eventually(lambda: crowded.statuses("crowd ").get("success"), within=20)
        take_all()
        worker = f"{crowded.prefix}-worker"
        crowded.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", worker)
        eventually(take_all, within=20)
        said = status(crowded)
    finally:
        for connection in taken:
            connection.close()
    crowded.wait_until_finished("crowd ", count=len(keys), within=60)

    assert "CommandError: the database does not answer: connection " in said
    assert "FATAL:  sorry, too many clients already" in said
    assert left_and_done(crowded, "crowd ") == ([(2,)], [(60, 60)])
    assert crowded.statuses("crowd ") == {"success": 60}
