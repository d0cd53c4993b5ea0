"""What goes wrong at a RabbitMQ node of our own is at Operations and in the metrics within 30 s, with its cause."""

import json
import subprocess
import sys
import threading
import time

import pytest
from amqp import Message as Letter

from outbox.broker.queues import celery_app
from tests.harness.node import Node, installed_here
from tests.harness.ports import free_port
from tests.harness.program import eventually

pytestmark = [pytest.mark.processes, pytest.mark.services]

SOON = 30.0
STARVED, FED = "0.0000001", "0.4"


@pytest.fixture(scope="module")
def watched_node(tmp_path_factory):
    """A RabbitMQ node of our own, with the management plugin."""
    if not installed_here():
        pytest.skip("rabbitmq-server is not installed here, so no node of our own can be started")
    own = Node(tmp_path_factory.mktemp("node"), name=f"watched{free_port()}@localhost", management=True)
    yield own
    own.close()


@pytest.fixture(scope="module", params=["asked", "off"])
def watched(request, install, watched_node):
    """An installation in full on it, whose workers ask the management API, or do not and look more often."""
    off = {"BROKER_MANAGEMENT": "off", "BROKER_LOOK_EVERY": "2"}
    extra = {"BROKER_MANAGEMENT": watched_node.management_url} if request.param == "asked" else off
    with install(broker=watched_node.url, extra=extra) as installation:
        yield installation.everything()


@pytest.fixture
def surfaces(watched):
    """Return a function that tells after how many seconds which words were at Operations and in the metrics."""

    def ask(*words, within=SOON + 30):
        said = subprocess.run(
            [sys.executable, "-m", "tests.harness.surfaces", str(within), *words],
            env=watched.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=within + 60,
        ).stdout
        answer = json.loads(said.splitlines()[-1])
        print(answer)
        return answer

    return ask


@pytest.fixture
def channel(watched_node):
    with celery_app().connection_for_write(watched_node.url) as connection:
        yield connection.channel()


def is_asked(watched) -> bool:
    return watched.environment["BROKER_MANAGEMENT"] != "off"


def test_an_alarm_is_seen_with_its_cause(watched, watched_node, surfaces):
    words = ["RabbitMQ", "/outbox_broker_blocked 1.0"]
    words += ["of memory, limit", '/resource="memory"} 1.0'] if is_asked(watched) else ["takes nothing"]
    surfaces("/outbox_broker_blocked 0.0")
    watched_node.control("set_vm_memory_high_watermark", STARVED)
    try:
        seen = surfaces(*words)
    finally:
        watched_node.control("set_vm_memory_high_watermark", FED)

    assert sorted(seen["found"]) == sorted(words)
    assert max(seen["found"].values()) < SOON
    assert surfaces("/outbox_broker_blocked 0.0", within=SOON)["found"]


def test_a_dead_letter_is_seen_with_its_cause(watched, channel, surfaces):
    headers = {"task": "outbox.deliver", "x-first-death-queue": "q", "x-first-death-reason": "delivery_limit"}
    letter = Letter('[["shop.sold", [1]], {}, {}]', application_headers=headers)
    channel.basic_publish(letter, routing_key=f"{watched.prefix}.dead")

    words = ["is a dead letter", "worker after worker was lost with it", "/outbox_dead_letters{"]
    seen = surfaces(*words)

    assert sorted(seen["found"]) == sorted(words)
    assert max(seen["found"].values()) < SOON


def test_a_queue_with_one_member_is_seen_where_the_management_api_tells(watched, surfaces):
    told = (
        ["Quorum queues with one member", '/state="online"} 1.0'] if is_asked(watched) else ["/outbox_queue_consumers{"]
    )

    assert len(surfaces(*told, within=SOON)["found"]) == len(told)


def test_no_page_is_slow_while_the_broker_is_frozen(watched, watched_node, surfaces):
    surfaces("/outbox_broker_blocked 0.0")
    with watched_node.frozen():
        seen = surfaces("the broker", "never said", within=12)

    assert seen["slowest"] < 5
    watched_node.suffered.clear()
    eventually(watched_node.answers, within=30)
    time.sleep(1)
    assert surfaces("/outbox_broker_blocked 0.0", within=60)["found"]


def test_a_queue_that_grows_is_seen_with_its_cause(watched, surfaces):
    """The last one: what it publishes is left behind."""
    is_seen = threading.Event()

    def publish_until_it_is_seen() -> None:
        for start in range(0, 2_500, 50):
            if not is_seen.is_set():
                keys = [f"grows {number}" for number in range(start, start + 50)]
                watched.the_client.publish("shop.sold", keys, {"do": "sleep", "seconds": 2}, every=0.01)

    publisher = threading.Thread(target=publish_until_it_is_seen)
    publisher.start()

    seen = surfaces("shop.book grows", "They do not keep up")
    is_seen.set()
    publisher.join()

    # It takes no more hints than HIGH_WATER, and stays full.
    assert len(seen["found"]) == 2
    assert max(seen["found"].values()) < SOON
