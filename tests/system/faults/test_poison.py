"""One message that kills whoever handles it must end as failed, and take nobody with it."""

import time

import pytest

from tests.harness.oracle import broken
from tests.harness.program import eventually

pytestmark = [pytest.mark.processes, pytest.mark.services]

DIED = "exited with 'signal 9 (SIGKILL)'"


def test_a_message_that_kills_its_worker_ends_failed_and_its_neighbours_succeed(busy):
    keys = [f"poison {number}" for number in range(1_000)]
    poison = keys[617]
    main = busy.the_worker.pid
    kills_before = kills(busy)

    busy.the_client.publish("shop.sold", keys, each={poison: {"do": "kill"}}, per_commit=100)
    busy.wait_until_finished("poison", count=1_000, within=60)

    [(status, attempts, limit, lost, reason)] = busy.rows(
        "SELECT status, attempts, attempt_limit, lost, reason FROM outbox_message WHERE key = %s", poison
    )
    assert (status, attempts, limit, lost) == ("failed", 4, 4, 4)  # three that count, and the first loss is free
    assert reason == "worker_lost"
    assert busy.statuses("poison") == {"success": 999, "failed": 1}
    [(most,)] = busy.rows("SELECT max(attempts) FROM outbox_message WHERE key LIKE 'poison %%' AND key <> %s", poison)
    assert most <= 2
    eventually(lambda: kills(busy) - kills_before >= attempts, within=10)
    assert outcomes(busy, poison) == [(number, "lost") for number in range(1, 5)]
    assert broken(busy) == {}

    time.sleep(3)  # what is redelivered now, if anything, finds nothing to start
    assert kills(busy) - kills_before == attempts
    assert busy.depth("shop.book") == 0
    assert (busy.the_worker.is_running(), busy.the_worker.pid) == (True, main)


def test_neighbours_of_a_loss_are_charged_nothing_and_go_alone_afterwards(busy):
    lost_once = busy.rows(
        "SELECT m.key, m.attempts, m.attempt_limit, m.lost FROM outbox_message m JOIN outbox_attempt a "
        "ON a.message_id = m.id WHERE m.key LIKE 'poison %%' AND m.status = 'success'"
    )

    assert lost_once, "the poison took no neighbour with it, so nothing was shown"
    assert {row[1:] for row in lost_once} == {(2, 4, 0)}


def kills(installation):
    """Count the processes that the worker's main process has seen die."""
    return installation.the_worker.said().count(DIED)


def outcomes(installation, key):
    return installation.rows(
        "SELECT a.number, a.outcome FROM outbox_attempt a JOIN outbox_message m ON m.id = a.message_id "
        "WHERE m.key = %s ORDER BY a.number",
        key,
    )
