"""The way of a message through real processes when nothing, or only a hint, goes wrong."""

import pytest

from tests.harness.oracle import broken

pytestmark = [pytest.mark.processes, pytest.mark.services]


def test_a_message_is_delivered_by_a_worker_within_a_moment_of_its_commit(busy):
    [id] = busy.the_client.publish("shop.sold", ["thin"])

    busy.wait_until_finished("thin", count=1, within=10)

    [(status, attempts, worker, by_hint)] = busy.rows(
        "SELECT status, attempts, worker, finished_at < created_at + interval '1 second' FROM outbox_message "
        "WHERE id = %s",
        id,
    )
    assert (status, attempts, by_hint) == ("success", 1, True)
    assert int(worker.split(":")[1]) in {process.pid for process in busy.the_worker.family()}
    assert busy.rows("SELECT attempt FROM shop_effect WHERE message_id = %s", id) == [(1,)]
    assert broken(busy) == {}


def test_what_lost_its_hint_is_found_by_the_rescan_that_beat_calls(busy):
    keys = [f"unhinted {number}" for number in range(200)]
    busy.wait_until_idle()  # a worker that is at work looks for what is due, hinted or not
    busy.the_client.publish("shop.sold", keys, hints=False)

    busy.wait_until_finished("unhinted", count=len(keys), within=20)

    assert busy.statuses("unhinted") == {"success": 200}
    [(earliest,)] = busy.rows(
        "SELECT min(finished_at) - min(created_at) FROM outbox_message WHERE key LIKE 'unhinted %%'"
    )
    assert earliest.total_seconds() >= 1  # the grace: no hint was under way
    assert "Sending due task outbox: rescan" in busy.the_beat.said()
    assert "outbox.rescan" in busy.the_control.said()
    assert broken(busy) == {}


def test_without_any_beat_workers_find_what_lost_its_hint(install):
    with install(seconds={}) as installation:
        installation.worker()
        keys = [f"unhinted {number}" for number in range(200)]
        installation.client().publish("shop.sold", keys, hints=False)

        seconds = installation.wait_until_finished(count=len(keys), within=60)

        assert installation.statuses() == {"success": 200}
        assert seconds > 3  # with the defaults: the grace and the patience with beat
        assert broken(installation) == {}
