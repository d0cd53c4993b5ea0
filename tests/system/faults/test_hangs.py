"""A message whose handler hangs must end as timed out, and neither its neighbours nor the worker may suffer for it."""

import pytest

from tests.harness.oracle import broken

pytestmark = [pytest.mark.processes, pytest.mark.services, pytest.mark.timeout(180)]

ENDED = "its process is ended"


@pytest.mark.parametrize("kind", ["loop", "ask"])
def test_a_handler_that_hangs_is_broken_off_and_no_process_is_lost(busy, kind):
    keys = [f"hang {kind} {number}" for number in range(40)]
    before = ended(busy)

    busy.the_client.publish("shop.hung", keys, each={keys[17]: {"do": kind}}, per_commit=40)
    busy.wait_until_finished(f"hang {kind} ", count=40, within=60)

    assert told(busy, keys[17]) == ("failed", "timed_out", 2, 0)
    assert outcomes(busy, keys[17]) == [(1, "failed"), (2, "failed")]
    assert busy.statuses(f"hang {kind} ") == {"success": 39, "failed": 1}
    assert charged(busy, f"hang {kind} ", but=keys[17]) == 0
    assert ended(busy) == before
    assert broken(busy) == {}


def test_a_handler_that_cannot_be_broken_off_ends_its_process_and_is_known_to_be_the_guilty_one(busy):
    keys = [f"hold on {number}" for number in range(40)]
    before = ended(busy)

    busy.the_client.publish("shop.hung", keys, each={keys[17]: {"do": "hold on"}}, per_commit=40)
    busy.wait_until_finished("hold on ", count=40, within=90)

    assert told(busy, keys[17]) == ("failed", "timed_out", 2, 2)
    assert outcomes(busy, keys[17]) == [(1, "failed"), (2, "failed")]
    [(stack,)] = busy.rows(
        "SELECT DISTINCT a.traceback LIKE '%%time.sleep(600)%%' FROM outbox_attempt a "
        "JOIN outbox_message m ON m.id = a.message_id WHERE m.key = %s",
        keys[17],
    )
    assert stack
    assert busy.statuses("hold on ") == {"success": 39, "failed": 1}
    assert charged(busy, "hold on ", but=keys[17]) == 0
    assert ended(busy) - before == 2
    assert busy.the_worker.is_running()
    assert broken(busy) == {}


def ended(installation):
    """Count the processes that a handler held on to."""
    return installation.the_worker.said().count(ENDED)


def told(installation, key):
    [row] = installation.rows("SELECT status, reason, attempts, lost FROM outbox_message WHERE key = %s", key)
    return row


def outcomes(installation, key):
    return installation.rows(
        "SELECT a.number, a.outcome FROM outbox_attempt a JOIN outbox_message m ON m.id = a.message_id "
        "WHERE m.key = %s ORDER BY a.number",
        key,
    )


def charged(installation, prefix, *, but):
    """Count the attempts of others that went wrong, or that a worker was lost over."""
    return installation.count(
        "SELECT count(*) FROM outbox_attempt a JOIN outbox_message m ON m.id = a.message_id "
        "WHERE substr(m.key, 1, length(%s)) = %s AND m.key <> %s",
        prefix,
        prefix,
        but,
    )
