"""One message that kills whoever handles it must end as failed, and take nobody with it."""

import re
import time

import pytest

from tests.harness.oracle import broken
from tests.harness.program import eventually

pytestmark = [pytest.mark.processes, pytest.mark.services]

DIED = re.compile(r"pid:(\d+) exited with 'signal 9 \(SIGKILL\)'")


def test_a_message_that_kills_its_worker_ends_failed_and_its_neighbours_succeed(busy):
    keys = [f"poison {number}" for number in range(1_000)]
    poison = keys[617]
    main = busy.the_worker.pid

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
    assert outcomes(busy, poison) == [(number, "lost") for number in range(1, 5)]
    handled = processes_of(busy, poison)
    eventually(lambda: handled <= killed(busy), within=10)
    assert len(handled) == attempts
    assert broken(busy) == {}

    time.sleep(3)  # what is redelivered now, if anything, finds nothing to start
    assert processes_of(busy, poison) == handled
    assert busy.depth("shop.book") == 0
    assert (busy.the_worker.is_running(), busy.the_worker.pid) == (True, main)


def test_neighbours_of_a_loss_are_charged_nothing_and_go_alone_afterwards(busy):
    lost_once = busy.rows(
        "SELECT m.key, m.attempts, m.attempt_limit, m.lost FROM outbox_message m JOIN outbox_attempt a "
        "ON a.message_id = m.id WHERE m.key LIKE 'poison %%' AND m.status = 'success'"
    )

    assert lost_once, "the poison took no neighbour with it, so nothing was shown"
    assert {row[1:] for row in lost_once} == {(2, 4, 0)}


def killed(installation):
    """Return the processes that the worker's main process has seen die by SIGKILL, here and in tests before."""
    return set(DIED.findall(installation.the_worker.said()))


def processes_of(installation, key):
    """Return the processes that were handling the message, by its attempts."""
    workers = installation.rows(
        "SELECT a.worker FROM outbox_attempt a JOIN outbox_message m ON m.id = a.message_id WHERE m.key = %s", key
    )
    return {worker.split(":")[1] for (worker,) in workers}


def outcomes(installation, key):
    return installation.rows(
        "SELECT a.number, a.outcome FROM outbox_attempt a JOIN outbox_message m ON m.id = a.message_id "
        "WHERE m.key = %s ORDER BY a.number",
        key,
    )
