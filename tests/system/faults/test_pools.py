"""A worker of every pool that Celery has delivers every kind of consumer, each message once."""

import pytest

from tests.harness.oracle import broken

pytestmark = [pytest.mark.processes, pytest.mark.services]

ROWS = 40
TOPICS = ["shop.sold", "shop.sold_slowly", "shop.ordered", "shop.counted", "shop.queue.1"]


@pytest.mark.parametrize("pool", ["threads", "gevent", "eventlet", "solo"])
def test_a_worker_of_this_pool_delivers_everything_once(install, pool):
    with install() as installation:
        installation.everything(pool=pool)
        client = installation.the_client
        for number, topic in enumerate(TOPICS):
            client.publish(topic, [f"{pool} {number} {row}" for row in range(ROWS)])
        client.publish("shop.sold", [f"{pool} fails once"], {"do": "fail once"})

        installation.wait_until_finished(f"{pool} ", count=len(TOPICS) * ROWS + 1, within=60)

        assert installation.statuses(f"{pool} ") == {"success": len(TOPICS) * ROWS + 1}
        assert installation.count("SELECT count(*) FROM shop_effect") == len(TOPICS) * ROWS + 1
        assert broken(installation) == {}
        assert installation.the_worker.terminate(within=30) == 0
