"""Everything told to stop under load, together or one by one: nothing is lost, doubled, or counted as an attempt."""

import threading
import time
from collections import Counter
from itertools import count

import httpx
import pytest

from tests.harness.oracle import broken
from tests.harness.program import eventually
from tests.system.running.processes import Web, purge

pytestmark = [pytest.mark.processes, pytest.mark.services, pytest.mark.timeout(240)]

DRAWERS = 4
DRAW_TIMEOUT_SECONDS = 120
SLOW = 120
BEFORE, AFTER = 40, 20
"""Draws that are answered before all is told to stop, and once it is up again."""
PAIRED = """
    SELECT (SELECT count(*) FROM awards_award a WHERE a.status = 'issued'),
        (SELECT count(*) FROM awards_pointsentry) + (SELECT count(*) FROM awards_coupon WHERE award_id IS NOT NULL)
"""


class Drawers:
    """Clients that each draw again and again until it is enough, each draw under its key until it is answered."""

    def __init__(self, web):
        self.web = web
        self.answered = []
        self.refused = 0
        self.cut = []
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._draw, args=(number,)) for number in range(DRAWERS)]
        for thread in self._threads:
            thread.start()

    def _draw(self, drawer):
        until = time.monotonic() + DRAW_TIMEOUT_SECONDS
        for number in count():
            key = f"drawer-{drawer}-{number}"
            while key not in self.answered and time.monotonic() < until:
                try:
                    if self.web.draw(key).is_success:
                        self.answered.append(key)
                except httpx.ConnectError:
                    self.refused += 1
                    time.sleep(0.1)
                except httpx.TransportError as error:
                    self.cut.append(repr(error))
            if self._enough.is_set() or time.monotonic() > until:
                return

    def finish(self):
        """Have each draw that is under way answered, and no more of them begun."""
        self._enough.set()
        for thread in self._threads:
            thread.join(DRAW_TIMEOUT_SECONDS + 40)


def test_all_that_up_started_is_told_to_stop_under_load_and_started_again(raffle, tmp_path):
    up, client = Web(raffle, tmp_path, ["up"]), raffle.client()
    up.wait_until_served()
    drawers = Drawers(up)
    eventually(lambda: len(drawers.answered) > BEFORE and raffle.statuses().get("success"), within=60)
    slow = [f"slow {number}" for number in range(SLOW)]
    client.publish("shop.sold", slow, {"do": "sleep", "seconds": 0.05}, per_commit=40)
    eventually(lambda: raffle.statuses("slow ").get("started"), within=20)

    began = time.monotonic()
    status = up.terminate(within=60)
    seconds = time.monotonic() - began
    at_rest, before = raffle.statuses(), len(drawers.answered)
    up.start()
    eventually(lambda: len(drawers.answered) > before + AFTER, within=90)
    drawers.finish()
    draws = len(drawers.answered)
    raffle.wait_until_finished(count=3 * draws + SLOW, within=90)

    print(f"stopped in {seconds:.1f} s, then {at_rest}; {drawers.refused} refused, cut: {Counter(drawers.cut)}")
    assert status == 0
    assert drawers.refused > 0
    assert "started" not in at_rest
    assert at_rest["pending"] > 0
    assert "did not end within" not in up.said()
    assert raffle.rows("SELECT outcome, count(*) FROM outbox_attempt GROUP BY outcome") == []
    assert raffle.statuses() == {"success": 3 * draws + SLOW}
    assert raffle.rows("SELECT count(*) FROM awards_draw") == [(draws,)]
    assert raffle.rows(PAIRED) == [(draws, draws)]
    assert broken(raffle) == {}


@pytest.mark.parametrize("role", ["worker", "control", "beat"])
def test_each_that_is_told_to_stop_under_load_ends_in_order_and_costs_nothing(running, role):
    program = {"worker": running.the_worker, "control": running.the_control, "beat": running.the_beat}[role]

    for time_told in ("once", "twice"):
        inside, outside = ([f"{role} {time_told} {number} {where}" for number in range(60)] for where in ("in", "out"))
        running.the_client.publish("shop.sold", inside, {"do": "sleep", "seconds": 0.05}, per_commit=20, hints=False)
        running.the_client.publish("shop.ordered", outside, {"do": "sleep", "seconds": 0.05}, per_commit=20)
        eventually(lambda: running.statuses(f"{role} ").get("started"), within=20)
        assert program.terminate() == 0
        assert role != "worker" or "started" not in running.statuses(f"{role} ")
        running.restart(program)
    running.wait_until_finished(f"{role} ", count=240, within=60)

    assert running.statuses(f"{role} ") == {"success": 240}
    assert (
        running.rows(
            "SELECT a.outcome, m.key FROM outbox_attempt a JOIN outbox_message m ON m.id = a.message_id "
            "WHERE substr(m.key, 1, length(%s)) = %s",
            role,
            role,
        )
        == []
    )
    assert broken(running) == {}


def test_a_broker_that_has_forgotten_everything_costs_time_and_nothing_else(running):
    keys = [f"purged {number}" for number in range(400)]
    with running.the_worker.frozen():
        running.the_client.publish("shop.sold", keys, per_commit=1)
        eventually(lambda: running.depth("shop.book") > 0, within=20)
        forgotten = purge(running)
        assert running.statuses("purged ")["pending"] >= 350
    seconds = running.wait_until_finished("purged ", count=len(keys), within=60)

    print(f"{forgotten} hints were purged; all was delivered {seconds:.1f} s later")
    assert forgotten > 0
    assert running.statuses("purged ") == {"success": len(keys)}
    assert running.rows("SELECT max(attempts) FROM outbox_message WHERE key LIKE 'purged %%'") == [(1,)]
    assert broken(running) == {}
