"""The broker goes away in every way a broker can; nobody who publishes notices, and nothing is spent or lost."""

import time
from statistics import median

import pytest
from django.conf import settings

from tests.harness.oracle import broken
from tests.harness.program import eventually
from tests.harness.proxy import FROZEN, MUTE, OPEN, REFUSING, Proxy

pytestmark = [pytest.mark.processes, pytest.mark.services]

BLOCK = 150
BLOCKS = 3
NO_WAITING = 1.0
"""Seconds: who waits for the broker waits for a time-out of 2 s at least. The exact ratios are printed."""


@pytest.fixture(scope="module")
def linked(install):
    """An installation in full whose every connection to the broker goes through a proxy that can be broken."""
    proxy = Proxy(settings.CELERY_BROKER_URL)
    with install(broker=proxy.url) as installation:
        installation.proxy = proxy
        yield installation.everything()
        proxy.become(OPEN)
        installation.broker = settings.CELERY_BROKER_URL
    proxy.close()


@pytest.mark.parametrize("state", [REFUSING, MUTE, FROZEN])
def test_publishing_does_not_notice_that_the_broker_is_away(linked, state):
    client, proxy = linked.the_client, linked.proxy
    times = {OPEN: [], state: []}
    keys = (f"{state} {number}" for number in range(10**6))
    sent = [next(keys) for _ in range(20)]
    client.do("measure", topic="shop.sold", keys=sent, every=0)

    for _ in range(BLOCKS):
        for way in (OPEN, state):
            proxy.become(way)
            time.sleep(1.1 if way == OPEN else 0.1)  # the dispatcher's rest after a failure
            block = [next(keys) for _ in range(BLOCK)]
            times[way] += client.do("measure", topic="shop.sold", keys=block, every=0.001)
            sent += block
    sweeps = client.do("rescan", times=1)
    spent = linked.rows(
        "SELECT max(sends), max(attempts) FROM outbox_message WHERE substr(key, 1, length(%s)) = %s "
        "AND status = 'pending'",
        state,
        state,
    )
    proxy.become(OPEN)
    seconds = linked.wait_until_finished(f"{state} ", count=len(sent), within=60)

    ratio = median(times[state]) / median(times[OPEN])
    print(
        f"{state}: p50 {median(times[OPEN]) * 1e3:.2f} ms with the broker, {median(times[state]) * 1e3:.2f} ms "
        f"without, ratio {ratio:.2f}; all delivered {seconds:.1f} s after its return"
    )
    assert sweeps[0]["broker_away"] is True
    assert state != MUTE or proxy.accepted[MUTE] > 0
    assert spent == [(0, 0)]
    assert max(times[state]) < NO_WAITING
    assert linked.statuses(f"{state} ") == {"success": len(sent)}
    assert linked.rows(
        "SELECT max(attempts), max(sends) FROM outbox_message WHERE substr(key, 1, length(%s)) = %s", state, state
    ) == [(1, 0)]
    assert broken(linked) == {}


def test_while_the_broker_is_away_workers_rescan_and_note_it(linked):
    noted = "SELECT count(*) FROM outbox_heartbeat WHERE name = 'rescan' AND data->>'broker_away' = 'true'"
    eventually(lambda: linked.count(noted) == 0, within=40)

    linked.proxy.become(REFUSING)
    try:
        eventually(lambda: linked.count(noted) == 1, within=40, what="a worker has met no broker")
    finally:
        linked.proxy.become(OPEN)

    eventually(lambda: linked.count(noted) == 0, within=40)


def test_work_that_is_under_way_when_the_link_is_cut_goes_on_and_costs_no_attempt(linked):
    client, proxy = linked.the_client, linked.proxy
    client.publish("shop.sold", ["under way"], {"do": "sleep", "seconds": 3})
    client.publish("shop.ordered", ["under way"], {"do": "sleep", "seconds": 3})
    under_way = "SELECT count(*) FROM outbox_message WHERE key = 'under way' AND status = 'started'"
    eventually(lambda: linked.count(under_way) == 2, within=20)

    for _ in range(2):
        proxy.become(REFUSING)
        time.sleep(0.5)
        proxy.become(OPEN)
        time.sleep(0.5)
    linked.wait_until_finished("under way", count=2, within=30)

    assert linked.rows("SELECT consumer, status, attempts FROM outbox_message WHERE key = 'under way' ORDER BY 1") == [
        ("shop.book", "success", 1),
        ("shop.order", "success", 1),
    ]
    assert linked.the_worker.is_running()
    assert broken(linked) == {}


def test_a_broker_that_is_killed_and_comes_back_has_cost_no_attempt(on_node, node):
    client = on_node.the_client
    sent = [f"killed {number}" for number in range(600)]
    with_broker = client.do("measure", topic="shop.sold", keys=sent[:200], every=0.001)
    on_node.wait_until_finished("killed ", count=200, within=20)

    node.kill()
    without = client.do("measure", topic="shop.sold", keys=sent[200:400], every=0.001)
    time.sleep(2)  # rescans of beat and workers meet the dead broker
    [sweep] = client.do("rescan", times=1)
    spent = on_node.rows(
        "SELECT max(sends), max(attempts) FROM outbox_message WHERE key LIKE 'killed %%' AND status = 'pending'"
    )
    node.start()
    again = client.do("measure", topic="shop.sold", keys=sent[400:], every=0.001)
    seconds = on_node.wait_until_finished("killed ", count=600, within=60)

    ratio = median(without) / median(with_broker + again)
    print(f"killed: ratio {ratio:.2f}; all delivered {seconds:.1f} s after its return")
    assert node.suffered["killed"] == 1
    assert (sweep["broker_away"], spent) == (True, [(0, 0)])
    assert max(without) < NO_WAITING
    assert on_node.statuses("killed ") == {"success": 600}
    assert on_node.rows("SELECT max(attempts), max(sends) FROM outbox_message WHERE key LIKE 'killed %%'") == [(1, 0)]
    assert broken(on_node) == {}
