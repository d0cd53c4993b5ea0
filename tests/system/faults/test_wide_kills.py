"""Workers with many calls under way are ended and killed; nothing is lost, and nobody innocent is charged."""

import time
from collections import Counter

import pytest

from tests.harness.program import eventually

pytestmark = [pytest.mark.processes, pytest.mark.services]

MANY = 200


BOTH = pytest.mark.parametrize("topic", ["shop.called", "shop.awaited"], ids=["threads", "loop"])


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book"
    path.touch()
    return path


@pytest.fixture
def around(install, book):
    """An installation whose vendor writes into the book."""
    with install(extra={"VENDOR_BOOK": str(book)}) as installation:
        yield installation


def calls(book):
    return Counter(line.split()[0] for line in book.read_text().splitlines())


def keys(many):
    return [f"order {number:03}".replace(" ", "-") for number in range(many)]


@BOTH
def test_told_to_end_a_worker_finishes_the_calls_under_way_and_begins_no_other(around, book, topic):
    worker = around.worker()
    client = around.client()
    client.publish(topic, keys(MANY), {"seconds": 0.5, "settle": True}, per_commit=MANY)
    eventually(lambda: len(calls(book)) >= 20, within=20)

    worker.terminate()

    begun = calls(book)
    time.sleep(0.5)
    assert calls(book) == begun
    assert around.statuses() == {"success": len(begun), "pending": MANY - len(begun)}
    assert set(begun.values()) == {1}
    assert around.count("SELECT count(*) FROM outbox_attempt") == 0
    assert around.count("SELECT count(*) FROM outbox_places") == 0


@pytest.mark.parametrize("topic", ["shop.awaited"], ids=["loop"])
def test_killed_in_the_middle_innocents_are_called_again_within_half_a_minute_and_not_charged(around, book, topic):
    worker = around.worker()
    around.control()
    around.beat()
    client = around.client()
    client.publish(topic, keys(MANY), {"seconds": 0.5, "settle": True}, per_commit=MANY)
    eventually(lambda: around.count("SELECT count(*) FROM outbox_message WHERE status = 'started'") >= 20, within=20)

    worker.kill()
    held = around.count("SELECT count(*) FROM outbox_message WHERE status = 'started'")
    began = time.monotonic()
    around.restart(worker)
    around.wait_until_finished(count=MANY, within=30)

    print(f"{held} calls were under way; all is done {time.monotonic() - began:.1f} s after the kill")
    assert held >= 20
    assert around.statuses() == {"success": MANY}
    assert around.count("SELECT count(*) FROM shop_effect") == MANY
    assert around.count("SELECT count(*) FROM outbox_message WHERE attempts - attempt_limit <> 1 - 3") == 0
    assert sum(calls(book).values()) <= MANY + held


@pytest.mark.parametrize("topic", ["shop.called"], ids=["threads"])
def test_what_ends_its_worker_is_found_among_fifty_and_only_that_is_charged(around, book, topic):
    around.worker()
    around.control()
    around.beat()
    client = around.client()
    client.publish(topic, ["poison"], {"seconds": 0.3, "do": "kill"}, hints=False)
    client.publish(topic, keys(60), {"seconds": 0.3, "settle": True}, hints=False)

    around.wait_until_finished(count=61, within=120)

    assert around.rows("SELECT key, status, reason FROM outbox_message WHERE status <> 'success'") == [
        ("poison", "failed", "worker_lost")
    ]
    charged = "SELECT count(*) FROM outbox_message WHERE key <> 'poison' AND attempts - attempt_limit <> 1 - 3"
    assert around.count(charged) == 0
