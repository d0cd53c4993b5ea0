"""A failover to a standby on which sessions live and cannot write, until it is promoted."""

import tempfile
import time
from pathlib import Path

import psycopg2
import pytest
from django.conf import settings

from tests.harness.databases import Database, with_name
from tests.harness.installation import SHORT, installed, migrate
from tests.harness.postgres import Server, programs
from tests.harness.program import eventually
from tests.harness.proxy import Proxy
from tests.shop.consumers import QUICK

pytestmark = [pytest.mark.processes, pytest.mark.services]

READ_ONLY_SECONDS = 4
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = '{}' AND pg_is_in_recovery()"
TRIES_LEFT = "SELECT DISTINCT attempt_limit - attempts FROM outbox_message"
LEFT = "SELECT pg_is_in_recovery(), count(*) FROM outbox_message WHERE finished_at IS NULL"


@pytest.fixture
def servers():
    """A server and its standby."""
    if programs() is None:
        pytest.skip("PostgreSQL's server programs are not installed here")
    # Not below pytest's own folder, which nobody else may enter, and the servers run as nobody.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        places = [Path(folder, name) for name in ("one", "two")]
        for place in places:
            place.mkdir()
        running = []
        try:
            running.append(Server(places[0]))
            running.append(Server(places[1], standby_of=running[0]))
            yield running
        finally:
            for server in running:
                server.close()


def ask(server, name, sql):
    connection = psycopg2.connect(with_name(server.url, name))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    finally:
        connection.close()


def test_a_failover_that_leaves_sessions_alive_and_read_only_spends_no_attempt(servers, tmp_path):
    first, second = servers
    proxy = Proxy(first.url)
    keys = [f"failover {number}" for number in range(300)]
    with installed(
        Database(proxy.url, "failover"),
        broker=settings.CELERY_BROKER_URL,
        prefix=f"{settings.OUTBOX['PREFIX']}-failover",
        folder=tmp_path,
        seconds={**SHORT, "LEASE": 40},
    ) as installation:
        migrate(installation.environment)
        installation.everything()
        installation.the_client.publish("shop.sold_slowly", keys, {"do": "sleep", "seconds": 0.02}, per_commit=50)
        eventually(lambda: installation.statuses("failover ").get("started"), within=20)
        installation.database.close()

        proxy.lead_to(second.url)
        first.stop()
        worker = SESSIONS.format(f"{installation.prefix}-worker")
        lived = eventually(lambda: ask(second, "failover", worker), within=10)
        time.sleep(READ_ONLY_SECONDS)
        [(in_recovery, left)] = ask(second, "failover", LEFT)
        second.promote()

        installation.wait_until_finished("failover ", count=len(keys), within=60)
        assert lived
        assert in_recovery
        assert left > 0
        assert "the database is away" in installation.the_worker.said()
        assert installation.statuses("failover ") == {"success": len(keys)}
        assert installation.rows(TRIES_LEFT) == [(QUICK.limit - 1,)]
        assert installation.rows("SELECT outcome, error FROM outbox_attempt WHERE outcome <> 'unavailable'") == []
        assert installation.count("SELECT count(*) FROM shop_effect") == len(keys)
        assert installation.the_worker.is_running()
    proxy.close()
