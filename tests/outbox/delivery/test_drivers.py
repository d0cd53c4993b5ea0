"""Delivery on every driver and way of binding: psycopg 2 and 3, values bound by the server, a pool of connections."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from importlib.util import find_spec
from time import monotonic
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import OperationalError, connection, transaction

from outbox.delivery import chunks, starting
from outbox.maintenance import rescan
from outbox.models import Message
from outbox.models.sql import statements
from outbox.models.sql.backlog import measure_backlogs
from tests.harness.messages import MessageState, publish_message, publish_messages, states_of
from tests.harness.threads import in_thread

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched")]

PSYCOPG3 = pytest.mark.skipif(
    find_spec("psycopg") is None or find_spec("psycopg_pool") is None,
    reason="psycopg 3 is not installed here; make lane runs it",
)
DONE = MessageState("success", attempts=1, attempt_limit=3)
CAME_TO = ["success", "success", "success", "pending"]


def deliver_elsewhere(options: str = "") -> dict[str, Any]:
    """Deliver in another process with these options of the database's address; return what it says."""
    address = urlsplit(os.environ["DATABASE_URL"])
    name = connection.settings_dict["NAME"]
    process = subprocess.run(
        [sys.executable, "-m", "tests.outbox.delivery.deliverer"],
        env={**os.environ, "DATABASE_URL": urlunsplit(address._replace(path=f"/{name}", query=options))},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr
    answer: dict[str, Any] = json.loads(process.stdout)
    assert answer["statuses"] == dict.fromkeys(["together", "bulk", "outside", "thread"], CAME_TO)
    assert answer["backlog"] == [2, 0, 0]
    return answer


def test_what_is_fetched_from_is_sent_alone(listen, link):
    listen()
    ids = publish_messages(3)
    sent: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        sent.append(sql.strip().rstrip(";"))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        chunks.deliver("test.till", ids)
        rescan.rescan()
        measure_backlogs(["test.till"], cap=10)

    # Of several statements psycopg 2 returns the last result, psycopg 3 the first; savepoints have none.
    assert [sql for sql in sent if ";" in sql and not sql.startswith("RELEASE SAVEPOINT")] == []
    assert states_of(ids) == [DONE] * 3


def test_the_lock_of_a_chunk_is_waited_for_no_longer_than_said(listen):
    till = listen()
    [fence] = starting.start_named(till, [publish_message()])

    def lock() -> float:
        began = monotonic()
        with pytest.raises(OperationalError), transaction.atomic():
            statements.lock([fence], wait=timedelta(milliseconds=50))
        return monotonic() - began

    with transaction.atomic():
        Message.objects.select_for_update().get(pk=fence.id)
        waited = in_thread(lock)

    assert 0.05 <= waited < 3


def test_a_process_of_its_own_delivers_on_the_driver_that_is_installed():
    answer = deliver_elsewhere()

    assert answer["driver"] == ("psycopg" if find_spec("psycopg") else "psycopg2")
    assert not answer["pooled"]


@PSYCOPG3
def test_the_server_may_bind_the_values():
    answer = deliver_elsewhere("server_side_binding=true")

    assert (answer["driver"], answer["cursor"]) == ("psycopg", "ServerBindingCursor")


@PSYCOPG3
def test_statements_may_be_prepared():
    answer = deliver_elsewhere("server_side_binding=true&prepare_threshold=1")

    assert answer["cursor"] == "ServerBindingCursor"


@PSYCOPG3
def test_connections_may_come_from_djangos_pool():
    answer = deliver_elsewhere("pool=true")

    assert answer["pooled"]
