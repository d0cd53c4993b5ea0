"""Behind PgBouncer in transaction mode everything works, on fewer sessions than there are processes."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.harness.oracle import broken
from tests.harness.pooler import Pooler
from tests.harness.program import ROOT

pytestmark = [pytest.mark.processes, pytest.mark.services]

SESSIONS = 3
SAFE = {"client_connection_check_interval": "2s", "idle_in_transaction_session_timeout": "30s"}


@pytest.fixture(scope="module")
def pooled(install):
    """An installation in full, every process of which speaks to the database through a pooler."""
    # Not below pytest's own folder, which nobody else may enter, and the pooler runs as nobody.
    with install() as installation, tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        pooler = Pooler(installation.database.url, Path(folder), sessions=SESSIONS)
        installation.environment["DATABASE_URL"] = pooler.url
        try:
            yield installation
            installation.close()
        finally:
            pooler.close()


def manage(installation, *arguments):
    """Run a command of the project as the installation's processes run."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **installation.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def sessions_of(installation):
    return installation.count("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", installation.database.name)


def test_the_check_asks_the_server_how_sessions_are_opened_and_not_the_url(pooled):
    before = manage(pooled, "check", "--database", "default").stderr
    for name, value in SAFE.items():
        pooled.rows(f"ALTER DATABASE \"{pooled.database.name}\" SET {name} = '{value}'")
    pooled.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
        pooled.database.name,
    )

    after = manage(pooled, "check", "--database", "default").stderr

    assert "outbox.W001" in before
    assert "outbox.W005" in before
    assert "ALTER ROLE" in before
    assert "outbox.W001" not in after
    assert "outbox.W005" not in after


def test_every_kind_of_consumer_delivers_once_on_three_sessions(pooled):
    pooled.everything()
    client, topics = pooled.the_client, ["shop.sold", "shop.sold_slowly", "shop.ordered", "shop.counted"]
    for number, topic in enumerate(topics):
        client.publish(topic, [f"pooled {number} {row}" for row in range(100)])
    client.publish("shop.sold", ["pooled fails once"], {"do": "fail once"})

    pooled.wait_until_finished("pooled", count=401, within=60)

    assert pooled.statuses("pooled") == {"success": 401}
    assert sessions_of(pooled) <= SESSIONS + 1  # and the one that asks
    assert broken(pooled) == {}


ENTRIES = """
from django.db import connection, transaction
from outbox.audit import append

with transaction.atomic():
    for number in range(1_500):
        append(
            actor="ada", origin="", action="note", subject=str(number), message_id=None, before={}, after={}, reason=""
        )
"""
VERIFY = """
from threading import Thread
from django.db import connections
from outbox import audit

connections.settings["default"]["DISABLE_SERVER_SIDE_CURSORS"] = False  # as a host has it who did not think of it
broken = []

def verify():
    for _ in range(5):
        broken.append(audit.verify_chain())

threads = [Thread(target=verify) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(broken == [None] * 40)
"""


def test_the_audit_s_chain_is_read_without_a_cursor_of_one_session(pooled):
    made = manage(pooled, "shell", "-c", ENTRIES)
    assert made.returncode == 0, made.stderr

    verified = manage(pooled, "shell", "-c", VERIFY)
    archived = manage(pooled, "outbox_audit", "--json")

    assert verified.stdout.endswith("True\n"), verified.stderr[-500:]
    assert archived.returncode == 0, archived.stderr
    assert len(archived.stdout.splitlines()) >= 1_500
