"""A node of our own runs out of memory, loses a queue, or denies us what we need."""

import json
import re
import shlex
from itertools import count
from statistics import median
from urllib.parse import quote

import pytest
from amqp.exceptions import NotFound

from outbox.broker.queues import celery_app
from outbox.conf import conf
from outbox.monitoring import causes
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
    numbers = count(1)

    def publish_one() -> None:
        client.publish("shop.sold", [f"deleted {next(numbers)}"])

    def hints_wait_in_the_queue() -> bool:
        # How many messages share a hint hangs on how quick the broker is; how many a frozen worker has, on Celery.
        publish_one()
        return on_node.depth("shop.book") > 5

    with on_node.the_worker.frozen():
        eventually(hints_wait_in_the_queue, within=20)
        node.control("delete_queue", f"{on_node.prefix}.shop.book")
    for _ in range(40):
        publish_one()
    many = next(numbers)
    on_node.wait_until_finished("deleted ", count=many, within=60)

    assert on_node.statuses("deleted ") == {"success": many}
    assert broken(on_node) == {}


@pytest.mark.django_db
def test_a_user_without_rights_to_what_celery_needs_is_named_with_the_command_that_gives_them(
    on_node, node, monkeypatch
):
    ours = "^" + re.escape(f"{conf().prefix}.")
    node.control("add_user", "narrow", "p%4@#/:")
    node.control("set_permissions", "narrow", ours, f"({ours}|^amq\\.default)", ours)
    address = node.url.replace("guest:guest", f"narrow:{quote('p%4@#/:', safe='')}")
    monkeypatch.setitem(celery_app().conf, "broker_write_url", address)

    narrow = causes.sentence(causes.look(None))
    command = shlex.split(narrow.partition("rabbitmqctl ")[2].partition(", with")[0])
    node.control(*command)
    wide = causes.sentence(causes.look(None))

    assert narrow.startswith("RabbitMQ denies “narrow” the exchange celery.pidbox (ACCESS_REFUSED")
    assert wide.startswith("No worker takes from the queue ")


def is_there(installation, consumer: str) -> bool:
    try:
        return installation.depth(consumer) >= 0
    except NotFound:
        return False


def dropped(installation) -> dict[str, str]:
    """Return what the last rescan has seen the broker drop, by queue."""
    [(data,)] = installation.rows("SELECT data FROM outbox_heartbeat WHERE name = 'rescan'")
    return {queue: words["reason"] for queue, words in data["dropped"].items()}


@pytest.mark.parametrize(
    ("name", "policy", "reason"),
    [
        ("drops its head", {"max-length": 1, "overflow": "drop-head"}, "maxlen"),
        ("takes no more", {"max-length": 1, "overflow": "reject-publish"}, "full"),
        ("forgets", {"message-ttl": 200}, "expired"),
    ],
)
def test_a_policy_over_our_queue_costs_time_and_no_message_and_is_named(on_node, node, name, policy, reason):
    client, queue = on_node.the_client, f"{on_node.prefix}.shop.keep_order"
    node.control("set_policy", "--apply-to", "queues", "short", f"^{re.escape(queue)}$", json.dumps(policy))
    try:
        with on_node.the_worker.frozen():
            client.publish("shop.queue.short", [f"{name} {number}" for number in range(20)], every=0.02)
            client.publish("shop.sold", [f"{name}, another {number}" for number in range(5)])
            eventually(lambda: dropped(on_node) == {queue: reason}, within=30, what="the rescan has seen it")
        on_node.wait_until_finished(name, count=25, within=30)
    finally:
        node.control("clear_policy", "short")

    assert on_node.statuses(name) == {"success": 25}
    assert broken(on_node) == {}


def test_a_policy_that_deletes_a_queue_without_workers_costs_nothing(on_node, node):
    queue = f"{on_node.prefix}.shop.keep_order"
    node.control("set_policy", "--apply-to", "queues", "fleeting", f"^{re.escape(queue)}$", '{"expires": 300}')
    try:
        on_node.the_worker.kill()
        on_node.the_client.publish("shop.queue.short", ["fleeting 1"])
        eventually(lambda: not is_there(on_node, "shop.keep_order"), within=10, what="the queue is gone")
        on_node.restart(on_node.the_worker)
        on_node.wait_until_finished("fleeting ", count=1, within=30)
    finally:
        node.control("clear_policy", "fleeting")

    assert on_node.statuses("fleeting ") == {"success": 1}
    assert broken(on_node) == {}
