"""The embedded mode, SQLite and files, through the same faults as far as it has them."""

import time

import pytest

from tests.harness.oracle import broken
from tests.harness.program import eventually

pytestmark = pytest.mark.processes


def test_a_message_is_delivered_by_hint(embedded):
    embedded.the_client.publish("shop.sold", ["thin"])

    embedded.wait_until_finished("thin", count=1, within=10)

    assert embedded.rows("SELECT status, attempts FROM outbox_message WHERE key = 'thin'") == [("success", 1)]
    assert broken(embedded, watched=False) == {}


def test_what_lost_its_hint_is_found_by_the_rescan(embedded):
    embedded.the_client.publish("shop.sold", ["unhinted"], hints=False)

    embedded.wait_until_finished("unhinted", count=1, within=20)

    assert embedded.statuses("unhinted") == {"success": 1}


def test_a_worker_killed_twice_in_the_middle_loses_and_doubles_nothing(embedded):
    worker = embedded.the_worker
    keys = [f"killed {number}" for number in range(200)]
    embedded.the_client.publish("shop.sold_slowly", keys, {"do": "sleep", "seconds": 0.01}, per_commit=50)

    for _ in range(2):
        eventually(lambda: embedded.statuses("killed ").get("started"), within=20)
        time.sleep(0.05)
        worker.kill()
        embedded.restart(worker)
    embedded.wait_until_finished("killed ", count=len(keys), within=60)

    assert worker.suffered["killed"] == 2
    assert embedded.statuses("killed ") == {"success": len(keys)}
    assert embedded.count("SELECT count(*) FROM outbox_attempt WHERE outcome = 'lost'") > 0
    assert broken(embedded, watched=False) == {}
