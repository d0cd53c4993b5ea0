"""A node of our own runs out of memory, or loses a queue."""

from statistics import median

import pytest

from tests.harness.oracle import broken
from tests.harness.program import eventually

pytestmark = [pytest.mark.processes, pytest.mark.services]

STARVED, FED = "0.0000001", "0.4"


def test_a_memory_alarm_blocks_no_publisher_and_is_over_when_it_is_over(on_node, node):
    client = on_node.the_client
    before = client.do("measure", topic="shop.sold", keys=[f"alarm {number}" for number in range(150)], every=0.001)
    on_node.wait_until_finished("alarm ", count=150, within=20)

    node.control("set_vm_memory_high_watermark", STARVED)
    try:
        alarms = node.control("list_connections", "state")
        keys = [f"alarm too {number}" for number in range(150)]
        during = client.do("measure", topic="shop.sold", keys=keys, every=0.001)
        # It is found out by what is sent, which nothing is before it is due.
        sweep = eventually(lambda: (one := client.do("rescan", times=1)[0])["alarmed"] and one, within=10)
        waiting = on_node.statuses("alarm too ")
    finally:
        node.control("set_vm_memory_high_watermark", FED)
    seconds = on_node.wait_until_finished("alarm too ", count=150, within=60)

    print(f"alarm: ratio {median(during) / median(before):.2f}; all delivered {seconds:.1f} s after it was over")
    assert "block" in alarms
    assert waiting["pending"] > 100
    assert (sweep["sent"], sweep["broker_away"], sweep["alarmed"]) == (0, True, True)
    assert median(during) < 3 * median(before)
    assert on_node.statuses("alarm too ") == {"success": 150}
    assert on_node.rows("SELECT max(attempts), max(sends) FROM outbox_message WHERE key LIKE 'alarm too %%'") == [
        (1, 0)
    ]
    assert broken(on_node) == {}


def test_a_queue_that_is_deleted_with_its_hints_is_made_again(on_node, node):
    client = on_node.the_client
    client.publish("shop.sold", ["deleted 0"])
    on_node.wait_until_finished("deleted ", count=1, within=20)

    with on_node.the_worker.frozen():
        client.publish("shop.sold", [f"deleted {number}" for number in range(1, 40)])
        eventually(lambda: on_node.depth("shop.book") > 5, within=10)
        node.control("delete_queue", f"{on_node.prefix}.shop.book")
    client.publish("shop.sold", [f"deleted {number}" for number in range(40, 80)])
    on_node.wait_until_finished("deleted ", count=80, within=60)

    assert on_node.statuses("deleted ") == {"success": 80}
    assert broken(on_node) == {}
