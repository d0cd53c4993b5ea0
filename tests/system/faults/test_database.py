"""The database ends the workers' sessions in the middle of their work."""

import time

import pytest

from tests.harness.oracle import broken
from tests.harness.program import eventually

pytestmark = [pytest.mark.processes, pytest.mark.services]

IN_TRANSACTION = """
    SELECT pid FROM pg_stat_activity
    WHERE application_name IN (%s, %s) AND xact_start IS NOT NULL"""
END_SESSIONS = """
    SELECT pg_terminate_backend(pid), xact_start IS NOT NULL FROM pg_stat_activity
    WHERE application_name IN (%s, %s)"""


def test_workers_whose_sessions_are_ended_in_the_middle_deliver_everything_once(busy):
    keys = [f"session {number}" for number in range(600)]
    names = [f"{busy.prefix}-worker", f"{busy.prefix}-control"]
    main = busy.the_worker.pid
    busy.the_client.publish("shop.sold_slowly", keys, {"do": "sleep", "seconds": 0.01}, per_commit=50)

    ended = []
    for _ in range(20):
        # A pool whose spare sessions have ended as well takes seconds to have a good one.
        eventually(lambda: busy.rows(IN_TRANSACTION, *names), within=20)
        ended += busy.rows(END_SESSIONS, *names)
        time.sleep(0.3)
        if len(ended) >= 5 and sum(in_transaction for _ended, in_transaction in ended) >= 3:
            break
    busy.wait_until_finished("session ", count=len(keys), within=60)

    assert len(ended) >= 5
    assert sum(in_transaction for _ended, in_transaction in ended) >= 3
    assert busy.statuses("session ") == {"success": len(keys)}
    assert busy.the_worker.pid == main
    assert busy.the_worker.is_running()
    assert busy.the_control.is_running()
    assert broken(busy) == {}
