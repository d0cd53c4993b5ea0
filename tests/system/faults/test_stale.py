"""Workers that were stopped for longer than their lease, and wake up believing that their work is still theirs."""

import contextlib
import time

import pytest

from tests.harness.oracle import broken
from tests.harness.program import eventually

pytestmark = [pytest.mark.processes, pytest.mark.services]


@pytest.fixture(scope="module")
def pair(install):
    """An installation with two workers, so that one can take over from the other."""
    with install() as installation:
        installation.everything()
        installation.workers = [installation.the_worker, installation.worker("second")]
        yield installation


def test_a_stopped_worker_that_still_holds_its_row_locks_finishes_what_it_had_and_nobody_else_does(pair):
    keys = [f"held {number}" for number in range(200)]
    pair.the_client.publish("shop.sold_slowly", keys, {"do": "sleep", "seconds": 0.03}, per_commit=50)

    with stopped_in_the_middle(pair) as (sleeper, held):
        wait_until_only_left(pair, "held ", held)
        time.sleep(4)  # twice the lease, while the rescan looks again every second
        assert {key for (key,) in unfinished(pair, "held ")} == set(held)
    pair.wait_until_finished("held ", count=200, within=30)

    assert sleeper.suffered["frozen seconds"] >= 4
    assert pair.statuses("held ") == {"success": 200}
    # What the sleeper's chunk has no time left for it gives back, which costs nothing; nothing was taken from it.
    assert (
        pair.count(
            "SELECT count(*) FROM outbox_attempt a JOIN outbox_message m ON m.id = a.message_id WHERE m.key = ANY(%s)",
            held,
        )
        == 0
    )
    assert pair.rows("SELECT DISTINCT attempt_limit - attempts FROM outbox_message WHERE key = ANY(%s)", held) == [(2,)]
    assert broken(pair) == {}


def test_a_stopped_worker_whose_session_the_database_ended_is_taken_over_from_and_doubles_nothing(pair):
    keys = [f"ended {number}" for number in range(200)]
    pair.the_client.publish("shop.sold_slowly", keys, {"do": "sleep", "seconds": 0.03}, per_commit=50)

    with stopped_in_the_middle(pair) as (sleeper, held):
        ended = pair.count(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s",
            f"{pair.prefix}-{sleeper.name}",
        )
        pair.wait_until_finished("ended ", count=200, within=30)
        effects = pair.rows("SELECT key, attempt, pid FROM shop_effect WHERE key LIKE 'ended %%' ORDER BY key")
    time.sleep(2)  # the sleeper wakes in its handler, goes on, and finds that nothing is its own any more

    assert ended >= 1
    assert pair.statuses("ended ") == {"success": 200}
    attempts = pair.rows("SELECT DISTINCT attempts FROM outbox_message WHERE key = ANY(%s)", held)
    assert attempts == [(2,)]
    assert effects == pair.rows("SELECT key, attempt, pid FROM shop_effect WHERE key LIKE 'ended %%' ORDER BY key")
    assert sleeper.is_running()
    assert broken(pair) == {}


@pytest.mark.parametrize("settle", [False, True], ids=["by returning", "by settling()"])
def test_the_result_of_a_stale_worker_from_the_world_outside_is_refused_and_kept_as_late(pair, settle):
    key = f"outside {settle}"
    pair.the_client.publish("shop.ordered", [key], {"do": "sleep", "seconds": 1, "settle": settle})
    sleeper = eventually(lambda: holder_of(pair, key), within=10)

    with sleeper.frozen():
        pair.wait_until_finished(key, count=1, within=30)
    eventually(lambda: ("late", 1) in outcomes(pair, key), within=10)

    assert outcomes(pair, key) == [("lost", 1), ("late", 1)]
    assert pair.rows("SELECT status, attempts FROM outbox_message WHERE key = %s", key) == [("success", 2)]
    assert pair.rows("SELECT attempt FROM shop_effect WHERE key = %s ORDER BY 1", key) == [(1,), (2,)]
    assert pair.count("SELECT count(*) FROM shop_tag WHERE name = %s", f"order {key}") == int(settle)
    assert sleeper.suffered["frozen seconds"] >= 4  # the consumer's timeout and the lease
    assert broken(pair) == {}


@contextlib.contextmanager
def stopped_in_the_middle(installation):
    """Stop a worker at a moment when everything it has started is locked by its transactions."""
    worker, held = eventually(lambda: stop_one(installation), within=20)
    try:
        yield worker, held
    finally:
        worker.thaw()


def stop_one(installation):
    for worker in installation.workers:
        worker.freeze()
        held = held_by(worker, installation)
        free = installation.rows(
            "SELECT key FROM outbox_message WHERE key = ANY(%s) FOR NO KEY UPDATE SKIP LOCKED", held
        )
        if held and not free:
            return worker, held
        worker.thaw()
    return None


def held_by(worker, installation):
    family = {str(process.pid) for process in worker.family()}
    started = installation.rows("SELECT key, worker FROM outbox_message WHERE status = 'started'")
    return [key for key, name in started if name.split(":")[1] in family]


def holder_of(installation, key):
    return next((worker for worker in installation.workers if key in held_by(worker, installation)), None)


def unfinished(installation, prefix):
    return installation.rows(
        "SELECT key FROM outbox_message WHERE finished_at IS NULL AND key LIKE %s ORDER BY key", f"{prefix}%"
    )


def wait_until_only_left(installation, prefix, keys):
    eventually(lambda: {key for (key,) in unfinished(installation, prefix)} <= set(keys), within=30)


def outcomes(installation, key):
    return installation.rows(
        "SELECT a.outcome, a.number FROM outbox_attempt a JOIN outbox_message m ON m.id = a.message_id "
        "WHERE m.key = %s ORDER BY a.id",
        key,
    )
