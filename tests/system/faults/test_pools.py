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


@pytest.mark.parametrize("pool", ["threads", "gevent", "eventlet", "solo"])
def test_a_worker_of_this_pool_delivers_everything_once(install, pool):
    with install() as installation:
        installation.everything(pool=pool)
        client = installation.the_client
        topics = [topic for topic in TOPICS if topic not in LEFT.get(pool, [])]
        for number, topic in enumerate(topics):
            client.publish(topic, [f"{pool} {number} {row}" for row in range(ROWS)], {"settle": True})
        client.publish("shop.sold", [f"{pool} fails once"], {"do": "fail once"})

        installation.wait_until_finished(f"{pool} ", count=len(topics) * ROWS + 1, within=60)

        assert installation.statuses(f"{pool} ") == {"success": len(topics) * ROWS + 1}
        assert installation.count("SELECT count(*) FROM shop_effect") == len(topics) * ROWS + 1
        assert broken(installation) == {}
        for topic in LEFT.get(pool, []):
            client.publish(topic, [f"left {topic}"])
            installation.the_worker.wait_for("needs a worker of processes or threads")
        assert installation.the_worker.terminate(within=30) == 0
