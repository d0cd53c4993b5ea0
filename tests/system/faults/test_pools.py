"""A worker of every pool that Celery has delivers every kind of consumer, each message once."""

import pytest

from tests.harness.oracle import broken

pytestmark = [pytest.mark.processes, pytest.mark.services]

ROWS = 40
TOPICS = [
    "shop.sold",
    "shop.sold_slowly",
    "shop.ordered",
    "shop.counted",
    "shop.queue.1",
    "shop.called",
    "shop.awaited",
]


LEFT = {"gevent": ["shop.awaited"], "eventlet": ["shop.awaited"]}
"""What a worker of greenlets leaves to others."""


@pytest.fixture(scope="module")
def around(install):
    """What is around the worker: one for the chores, beat and a client."""
    with install() as installation:
        installation.control()
        installation.beat()
        installation.the_client = installation.client()
        yield installation


@pytest.mark.parametrize("pool", ["threads", "gevent", "eventlet", "solo"])
def test_a_worker_of_this_pool_delivers_everything_once(around, pool):
    worker, client = around.worker(pool, pool=pool), around.the_client
    topics = [topic for topic in TOPICS if topic not in LEFT.get(pool, [])]
    for number, topic in enumerate(topics):
        client.publish(topic, [f"{pool} {number} {row}" for row in range(ROWS)], {"settle": True})
    client.publish("shop.sold", [f"{pool} fails once"], {"do": "fail once"})

    around.wait_until_finished(f"{pool} ", count=len(topics) * ROWS + 1, within=60)

    assert around.statuses(f"{pool} ") == {"success": len(topics) * ROWS + 1}
    effects = "SELECT count(*), count(DISTINCT key) FROM shop_effect WHERE starts_with(key, %s)"
    assert around.rows(effects, f"{pool} ") == [(len(topics) * ROWS + 1,) * 2]
    assert broken(around) == {}
    for topic in LEFT.get(pool, []):
        client.publish(topic, [f"left by {pool} {topic}"], {"settle": True})  # for the last of them
        worker.wait_for("needs a worker of processes or threads")
    assert worker.terminate(within=30) == 0
