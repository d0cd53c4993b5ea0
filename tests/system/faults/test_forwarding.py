"""Real workers forward to a real broker: killed in the middle of it, and with a hole in the line to a real receiver."""

import json
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pika
import pytest
from kombu import Connection

from tests.harness.installation import SHORT, Installation
from tests.harness.program import ROOT, Program, eventually
from tests.harness.subscribers import parameters_of, pika_subscriber
from tests.system.conftest import BROKER

pytestmark = [pytest.mark.services, pytest.mark.processes]

TOPIC, CONSUMER = "shop.forwarded", "shop.forward"
STREAM = f"{CONSUMER}/{TOPIC}"
KILLS = 6
KEYS, OF_EACH, FREE = 20, 150, 300
"""Ordering keys, messages of each, and messages of none in each turn."""
SENT = KEYS * OF_EACH + KILLS * FREE
MANY, DROPPED = 10_000, 4_711
LIMIT, HEARTBEAT, CHORE = 3.0, 1.0, 5.0
"""Seconds: how long a number may be missing, how often a sender tells how far it is, and how often its chore looks."""


class Line:
    """Takes what an exchange gives to a queue of its own and passes it on into another, but for one message."""

    def __init__(self, exchange: str, to: str, *, but: int) -> None:
        self._to, self._but = to, but
        self.passed = 0
        self.lost: list[tuple[Any, bytes]] = []
        self.lost_at = 0.0
        self._connection = pika.BlockingConnection(parameters_of(BROKER))
        self._channel = self._connection.channel()
        self._channel.exchange_declare(exchange, "topic", durable=True)
        queue = self._channel.queue_declare("", exclusive=True).method.queue
        self._channel.queue_bind(queue, exchange, "#")
        self._channel.basic_qos(prefetch_count=1000)
        self._channel.basic_consume(queue, self._pass_on)
        self._thread = threading.Thread(target=self._channel.start_consuming, daemon=True)
        self._thread.start()

    def _pass_on(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        is_notice = "x-outbox-notice" in properties.headers
        if properties.headers.get("x-outbox-sequence") == self._but and not is_notice and not self.lost:
            self.lost_at = time.monotonic()
            self.lost.append((properties, body))
        else:
            channel.basic_publish("", self._to, body, properties)
            self.passed += not is_notice
        channel.basic_ack(method.delivery_tag)

    def find(self) -> None:
        """Pass on what was lost, after all."""
        [(properties, body)] = self.lost
        self._connection.add_callback_threadsafe(lambda: self._channel.basic_publish("", self._to, body, properties))

    def close(self) -> None:
        self._connection.add_callback_threadsafe(self._channel.stop_consuming)
        self._thread.join(10)
        self._connection.close()


@pytest.fixture
def exchange() -> Iterator[str]:
    """An exchange of the test's own."""
    name = f"faults.{uuid4().hex[:8]}"
    yield name
    delete(exchanges=[name])


def delete(*, queues: tuple[str, ...] = (), exchanges: list[str] | tuple[str, ...] = ()) -> None:
    with Connection(BROKER, connect_timeout=5) as connection:
        channel: Any = connection.channel()
        for name in queues:
            channel.queue_delete(name)
        for name in exchanges:
            channel.exchange_delete(name)


def command(installation: Installation, *argv: str) -> tuple[int, list[dict[str, Any]]]:
    """Run a command there; return its exit status, and the objects of JSON that it has written."""
    done = subprocess.run(
        [sys.executable, "manage.py", *argv, "--json"],
        cwd=ROOT,
        env=installation.environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def kill_at_work(worker: Program, installation: Installation) -> int:
    """Kill the worker with messages in its hands; return how many."""

    def caught() -> int:
        worker.freeze()
        family = {str(process.pid) for process in worker.family()}
        held = installation.rows("SELECT worker FROM outbox_message WHERE status = 'started'")
        mine = sum(holder.split(":")[1] in family for (holder,) in held)
        if not mine:
            worker.thaw()
        return mine

    mine = eventually(caught, within=30, every=0.005)
    worker.kill()
    return mine


def test_killed_in_the_middle_each_message_arrives_at_least_once_and_in_order_of_its_key(install, exchange):
    expected: dict[str, list[str]] = defaultdict(list)
    with install() as installation, pika_subscriber(BROKER, exchange) as subscriber:
        installation.environment["SHOP_FORWARDS"] = exchange
        installation.everything()
        worker, client, held = installation.the_worker, installation.the_client, []

        for turn in range(KILLS):
            with worker.frozen():
                for number in range(KEYS):
                    share = [f"{number} {turn} {each}" for each in range(OF_EACH // KILLS)]
                    client.publish(TOPIC, share, per_commit=len(share), ordering_key=f"key {number}")
                client.publish(TOPIC, [f"free {turn} {each}" for each in range(FREE)], per_commit=FREE)
            held.append(kill_at_work(worker, installation))
            installation.restart(worker)
        installation.wait_until_finished(count=SENT, within=120)

        rows = installation.rows("SELECT ordering_key, drawn_key FROM outbox_message ORDER BY id")
        for ordering_key, id in rows:
            expected[ordering_key].append(str(id))
        eventually(lambda: len(subscriber.first_ids) >= len(rows), within=20)
        arrived: dict[str, list[str]] = defaultdict(list)
        for one in {one.message_id: one for one in reversed(subscriber.received)}.values():
            arrived[one.headers.get("x-outbox-ordering-key", "")].insert(0, one.message_id)
        statuses = installation.statuses()
        delete(queues=(f"{installation.prefix}.{CONSUMER}",))

    assert worker.suffered["killed"] == len(held) == KILLS
    assert min(held) > 0
    assert statuses == {"success": SENT}
    assert sorted(arrived.pop("")) == sorted(expected.pop(""))
    assert arrived == expected
    print(f"{held} messages were started as it was killed; {len(subscriber.ids) - len(rows)} arrived more than once")


def test_one_of_ten_thousand_that_is_lost_is_named_by_a_real_receiver_and_a_late_one_closes_it(install, exchange):
    seconds = {**SHORT, "SEQUENCE_HEARTBEAT": HEARTBEAT, "GAP_LIMIT": LIMIT}
    with install(seconds=seconds) as sender, install(seconds=seconds) as receiving:
        queue = f"{receiving.prefix}.partner"
        sender.environment |= {"SHOP_FORWARDS": exchange, "SHOP_NUMBERED": "1"}
        receiving.environment |= {"SHOP_RECEIVES": queue, "SHOP_TAKES": "shop.sold", "LOG_LEVEL": "INFO"}
        receiver = Program(
            "receiver",
            [sys.executable, "manage.py", "outbox_receiver"],
            environment=receiving.environment,
            log=receiving.folder / "receiver.log",
        )
        receiving.programs.append(receiver)
        receiver.wait_for("receiver ready")
        line = Line(exchange, queue, but=DROPPED)
        try:
            sender.everything()
            sender.the_client.publish(TOPIC, [f"{number}" for number in range(MANY)], per_commit=500)
            eventually(lambda: line.lost, within=60)
            eventually(lambda: missing(receiving), within=60, what="the receiver names it")
            named_after = time.monotonic() - line.lost_at
            sender.wait_until_finished(count=MANY, within=60)
            eventually(lambda: taken(receiving) == MANY - 1, within=60, what="the others are taken in")

            status, [gap] = command(receiving, "outbox_gaps", "list")
            _status, [explained] = command(sender, "outbox_sequences", "explain", STREAM, str(DROPPED))
            line.find()
            eventually(lambda: not missing(receiving), within=30, what="the late one closes the gap")
        finally:
            line.close()
        ended = receiving.rows('SELECT first, last, "end" FROM outbox_gap')
        [(lost, _body)] = line.lost
        [(expected,)] = sender.rows("SELECT id FROM outbox_message WHERE drawn_key = %s", lost.message_id)
        came, taken_in = line.passed, taken(receiving)
        exit_status = receiver.terminate()
        delete(queues=(queue, f"{sender.prefix}.{CONSUMER}"))

    assert came == MANY - 1
    assert LIMIT <= named_after <= LIMIT + HEARTBEAT + CHORE + 10
    assert (status, gap["first"], gap["last"], gap["said"]) == (1, DROPPED, DROPPED, "sent")
    assert (explained["answer"], explained["message"]) == ("sent", expected)
    assert ended == [(DROPPED, DROPPED, "came")]
    assert (taken_in, exit_status) == (MANY, 0)
    print(f"the missing number was named after {named_after:.1f} s, with a limit of {LIMIT:.0f} s")


def taken(installation: Installation) -> int:
    return installation.count("SELECT count(*) FROM outbox_message WHERE topic = 'shop.sold'")


def missing(installation: Installation) -> bool:
    return installation.count("SELECT count(*) FROM outbox_gap WHERE closed_at IS NULL") > 0
