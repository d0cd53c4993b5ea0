"""Orderly ends and odd neighbours: a worker told to stop, beats and rescans doubled, hints doubled, old code."""

import random
import threading

import pytest

from tests.harness.oracle import broken
from tests.harness.program import eventually

pytestmark = [pytest.mark.processes, pytest.mark.services]

SLEEP = {"do": "sleep", "seconds": 0.01}


def test_a_worker_told_to_stop_under_load_finishes_what_it_holds_and_loses_nothing(busy):
    worker = busy.the_worker
    keys = [f"term {number}" for number in range(500)]
    busy.the_client.publish("shop.sold", keys, SLEEP, per_commit=100)

    for _ in range(2):
        eventually(lambda: busy.statuses("term ").get("started"), within=10)
        assert worker.terminate() == 0
        assert "started" not in busy.statuses("term ")
        busy.restart(worker)
    busy.wait_until_finished("term ", count=len(keys), within=60)

    assert worker.suffered["terminated"] == 2
    assert busy.statuses("term ") == {"success": len(keys)}
    assert recorded(busy, "term ") == 0
    assert broken(busy) == {}


def test_a_worker_told_to_stop_when_a_process_has_not_begun_its_hint_waits_for_it_and_stops_at_once(busy):
    worker = busy.the_worker
    busy.wait_until_idle()
    processes = worker.family()[1:]
    for process in processes:
        process.suspend()
    received = worker.said().count("received")
    busy.the_client.publish("shop.sold", ["handed over"])
    eventually(lambda: worker.said().count("received") > received, within=10)
    threading.Timer(2, lambda: [process.resume() for process in processes]).start()

    try:
        assert worker.terminate(within=15) == 0
        said = worker.said()
    finally:
        busy.restart(worker)
    busy.wait_until_finished("handed over", count=1, within=30)

    assert "were not begun" not in said
    assert broken(busy) == {}


def test_two_beats_and_rescans_on_top_of_each_other_double_nothing(busy):
    second_beat = busy.beat("second-beat")
    clients = [busy.client(), busy.client()]
    keys = [f"doubled {number}" for number in range(500)]
    busy.wait_until_idle()
    busy.the_client.publish("shop.sold", keys, SLEEP, per_commit=100, hints=False)

    threads = [threading.Thread(target=client.do, args=("rescan",), kwargs={"times": 40}) for client in clients]
    for thread in threads:
        thread.start()
    busy.wait_until_finished("doubled ", count=len(keys), within=60)
    for thread in threads:
        thread.join(60)

    for beat in (busy.the_beat, second_beat):
        assert "Sending due task outbox: rescan" in beat.said()
    second_beat.end()
    assert busy.statuses("doubled ") == {"success": len(keys)}
    assert doubled(busy, "doubled ") == []
    assert broken(busy) == {}


def test_hints_sent_ten_times_and_shuffled_double_nothing(busy):
    keys = [f"shuffled {number}" for number in range(50)]
    ids = busy.the_client.publish("shop.sold", keys, per_commit=100, hints=False)
    rng = random.Random(11)
    hints = [[id, *rng.sample(ids, 5)] for id in ids * 10]
    rng.shuffle(hints)

    taken = busy.the_client.do("send hints", consumer="shop.book", hints=hints)
    busy.wait_until_finished("shuffled ", count=len(keys), within=60)
    eventually(lambda: busy.depth("shop.book") == 0, within=60)

    assert taken == 500
    assert busy.statuses("shuffled ") == {"success": len(keys)}
    assert doubled(busy, "shuffled ") == []
    assert broken(busy) == {}


def test_hints_that_an_old_release_does_not_know_are_found_again_for_the_new_one(install):
    with install() as installation:
        old = installation.worker("old", DJANGO_SETTINGS_MODULE="tests.system.faults.old_release")
        client = installation.client()
        keys = [f"deployed {number}" for number in range(40)]
        client.publish("shop.sold", keys, every=0.01)
        eventually(lambda: old.said().count("was left to the rescan") >= 5, within=10)
        assert installation.statuses() == {"pending": len(keys)}

        installation.worker("new")
        left_by_old = old.said().count("was left to the rescan")
        client.publish("shop.sold", [f"deployed too {number}" for number in range(40)], every=0.01)
        eventually(lambda: old.said().count("was left to the rescan") > left_by_old, within=10)
        eventually(lambda: installation.statuses("deployed too ").get("success"), within=10)
        assert old.terminate() == 0
        installation.wait_until_finished(count=80, within=60)

        assert installation.statuses() == {"success": 80}
        assert broken(installation) == {}


def recorded(installation, prefix):
    """Count the attempts that did not simply succeed."""
    return installation.count(
        "SELECT count(*) FROM outbox_attempt a JOIN outbox_message m ON m.id = a.message_id WHERE m.key LIKE %s",
        f"{prefix}%",
    )


def doubled(installation, prefix):
    """Return the keys that were started more often than once and once for each attempt that was cut short.

    A worker that gets no processor for a whole lease, two seconds here, is one that is overtaken.
    """
    return installation.rows(
        "SELECT m.key, m.attempts FROM outbox_message m WHERE m.key LIKE %s"
        " AND m.attempts <> 1 + (SELECT count(*) FROM outbox_attempt a WHERE a.message_id = m.id)",
        f"{prefix}%",
    )
