"""Three RabbitMQ nodes, one after another killed under load: nothing is lost, and all is delivered soon."""

import time

import pytest

from tests.harness.node import cluster, installed_here
from tests.harness.oracle import broken
from tests.harness.program import eventually

pytestmark = [pytest.mark.processes, pytest.mark.services]

SIZE = 3
ROWS = 120
BACK = 60
"""Seconds within which everything is delivered after a node has died."""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    if not installed_here():
        pytest.skip("RabbitMQ cannot be started here")
    with cluster(tmp_path_factory.mktemp("cluster"), size=SIZE) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def clustered(nodes, install):
    """An installation in full that knows every node, and whose queues have a member on each."""
    with install(broker=";".join(node.url for node in nodes)) as installation:
        yield installation.everything()
        installation.broker = next(node.url for node in nodes if node.answers())


def members(node, queue):
    """Return on how many nodes the queue is kept."""
    for line in node.control("list_queues", "name", "members").splitlines():
        name, _tab, listed = line.partition("\t")
        if name == queue:
            return listed.count("@")
    return 0


@pytest.mark.parametrize("turn", range(SIZE))
def test_a_node_killed_under_load_loses_nothing_and_all_is_delivered_soon(clustered, nodes, turn):
    client, prefix = clustered.the_client, f"node {turn} "
    keys = iter(f"{prefix}{number}" for number in range(10 * ROWS))
    victim, survivor = nodes[turn], nodes[(turn + 1) % SIZE]
    client.publish("shop.sold", [next(keys) for _ in range(ROWS)])
    kept_on = members(survivor, f"{clustered.prefix}.shop.book")

    victim.kill()
    died = time.monotonic()
    client.publish("shop.sold", [next(keys) for _ in range(ROWS)])
    client.publish("shop.ordered", [next(keys) for _ in range(ROWS)])
    eventually(lambda: victim.name not in survivor.running(), within=30, what="the others see it gone", every=1)
    clustered.wait_until_finished(prefix, count=3 * ROWS, within=BACK)
    seconds = time.monotonic() - died
    victim.start()
    eventually(lambda: len(survivor.running()) == SIZE, within=60, what="the node is back", every=1)

    print(f"node {turn + 1} of {SIZE} killed: all delivered after {seconds:.1f} s")
    assert victim.suffered["killed"] == 1
    assert kept_on == SIZE
    assert clustered.statuses(prefix) == {"success": 3 * ROWS}
    assert broken(clustered) == {}
