"""A vendor that is down for ten minutes with 2,000 gifts waiting: ``python benchmarks/outage.py --minutes 10``.

The vendor's process is ended, so that its port refuses connections; then 2,000 gifts are won. After the outage the
vendor comes back at the worst moment, just after a probe has failed. What the engine must do: nothing is
exhausted, no attempt is spent, the vendor is asked no more than once per probe interval, and all gifts are ordered
within a minute of its return, each once by its own ledger. Connections to the closed port are counted in the kernel's
packets where we may read them (root), and in any case in the attempts of the table: each of them connects once.
"""

import argparse
import contextlib
import random
import sqlite3
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.app import harness
from benchmarks.app.connection_probe import ConnectionProbe
from benchmarks.app.harness import Check
from benchmarks.environment import free_port
from tests.harness.program import Program

# isort: split
from django.db import connection
from django.db.models import F
from django.utils import timezone

from awards.models import Award, Campaign, Draw, Kind, Prize, VendorOrder
from awards.services import draws
from outbox.conf import conf
from outbox.models import Attempt, ConsumerState, Message

CONSUMER = "awards.order_gift"
PROCESSES = 2
MAX_PROBE_INTERVAL = 30
MAX_CONNECTIONS_UNTIL_OPEN = 3 + PROCESSES - 1
"""Connections until the breaker is open: three messages must have failed, and every other process may try one more."""
DRAINED_WITHIN = 60
WARM_UP = 20


def main() -> None:
    """Let the vendor fail, wait, let it come back, and compare its ledger with the awards."""
    parser = argparse.ArgumentParser(description="Measure an outage of the gifts' vendor.")
    parser.add_argument("--minutes", type=float, default=10, help="how long the vendor is down (default 10)")
    parser.add_argument("--awards", type=int, default=2_000, help="gifts won meanwhile (default 2000)")
    parser.add_argument("--quick", action="store_true", help="one minute, 200 gifts")
    options = parser.parse_args()
    minutes, awards = (1, 200) if options.quick else (options.minutes, options.awards)

    port = free_port()
    with harness.running(VENDOR_URL=f"http://127.0.0.1:{port}") as installation:
        ledger = installation.folder / "book.sqlite3"
        manage = [sys.executable, "manage.py", "fake_vendor", "--port", str(port), "--book", str(ledger)]
        vendor = installation.program("vendor", manage, says="fake vendor ready")
        worker = installation.workers(PROCESSES)
        installation.control()
        installation.beat()
        campaign = create_campaign()
        draw_gifts(campaign, WARM_UP, name="early winner")
        wait_for_orders(WARM_UP, within=60)

        vendor.terminate()
        connection_probe, gone = ConnectionProbe(port), time.time()
        draw_gifts(campaign, awards, name="winner")
        harness.print_result("waiting", gifts=awards, drawn_in_seconds=round(time.time() - gone, 1))
        time.sleep(max(0.0, gone + minutes * 60 - time.time()))
        wait_for_failed_probe()
        connection_probe.stop()
        checks = [*evaluate_messages(awards), *evaluate_probes(connection_probe, seconds=time.time() - gone)]

        vendor.start()
        vendor.wait_for("fake vendor ready")
        checks += evaluate_recovery(WARM_UP + awards, ledger, worker)
    harness.report_checks(checks)


def create_campaign() -> Campaign:
    """Make a campaign in which every draw wins a gift."""
    now = timezone.now()
    span = timedelta(days=1)
    campaign = Campaign.objects.create(slug="outage", name="Outage", starts_at=now - span, ends_at=now + span)
    Prize.objects.create(campaign=campaign, name="Mug", kind=Kind.GIFT, weight=1, value=12, vendor_sku="MUG-01")
    return campaign


def draw_gifts(campaign: Campaign, many: int, *, name: str) -> None:
    """Draw as people do; whoever has no e-mail address gets no mail."""
    rng = random.Random(1)
    for number in range(many):
        draws.draw_ticket(
            campaign, person=f"{name} {number}", request_id=f"{name}-{number}".replace(" ", "-"), luck=rng
        )


def wait_for_orders(many: int, *, within: float) -> float:
    """Wait until so many gifts are ordered and settled; return the seconds, or end the run if it takes too long."""
    began = time.monotonic()
    settled = Message.objects.filter(consumer=CONSUMER, status="success")
    while (done := settled.count()) < many:
        if time.monotonic() - began > within:
            raise SystemExit(f"only {done} of {many} gifts were ordered within {within:.0f} s")
        time.sleep(0.1)
    return time.monotonic() - began


def wait_for_failed_probe() -> None:
    """Wait until the next probe has just failed: then the breaker waits longest."""
    probes = Attempt.objects.filter(message__consumer=CONSUMER)
    before = probes.count()
    until = time.monotonic() + MAX_PROBE_INTERVAL * 2
    while probes.count() == before and time.monotonic() < until:
        time.sleep(0.02)


def evaluate_messages(awards: int) -> list[Check]:
    """Check what the outage has cost the messages: nothing."""
    waiting = Message.objects.filter(consumer=CONSUMER, status="pending")
    limits = Counter(waiting.values_list(F("attempt_limit") - F("attempts"), flat=True))
    outcomes = Counter(Attempt.objects.filter(message__consumer=CONSUMER).values_list("outcome", flat=True))
    exhausted = Message.objects.exhausted().count()
    harness.print_result(
        "messages", waiting=waiting.count(), tries_left=dict(limits), outcomes=dict(outcomes), exhausted=exhausted
    )
    untouched = waiting.filter(attempts=0).count()
    left = dict(limits) == {8: awards}
    return [
        Check("messages exhausted", "0", str(exhausted), not exhausted),
        Check("waiting with all 8 tries left", str(awards), f"{limits[8]} ({untouched} never started)", left),
    ]


def evaluate_probes(connection_probe: ConnectionProbe, *, seconds: float) -> list[Check]:
    """Check how often the vendor was asked: until the breaker opened, then once per interval of 5, 10, 20, 30 … s."""
    attempts = Attempt.objects.filter(message__consumer=CONSUMER, outcome="unavailable").order_by("started_at")
    starts = [at.timestamp() for at in attempts.values_list("started_at", flat=True) if at is not None]
    connections = connection_probe.attempted_at if connection_probe.is_available else starts
    first = conf().probe_after.total_seconds()
    opening = [at for at in connections if at < connections[0] + first]
    probes = connections[len(opening) :]
    intervals = [min(first * 2**turn, MAX_PROBE_INTERVAL) for turn in range(len(probes))]
    gaps = [after - before for before, after in zip([opening[-1], *probes], probes, strict=False)]
    # A packet is seen a moment before the failure that the interval begins with.
    early = [round(gap, 2) for gap, interval in zip(gaps, intervals, strict=True) if gap < interval - 0.1]
    state = ConsumerState.objects.get(consumer=CONSUMER)
    harness.print_result(
        "probes",
        seconds=round(seconds),
        counted_by="packets" if connection_probe.is_available else "attempts",
        connections=len(connections),
        attempts=len(starts),
        until_open=len(opening),
        gaps=[round(gap, 1) for gap in gaps],
        breaker=state.breaker,
    )
    return [
        Check(
            "asked until the breaker opened",
            f"<= {MAX_CONNECTIONS_UNTIL_OPEN}",
            str(len(opening)),
            len(opening) <= MAX_CONNECTIONS_UNTIL_OPEN,
        ),
        Check("probes before their interval was over", "0", f"{len(early)} of {len(probes)}", not early),
        Check(
            "connections to the port = attempts",
            str(len(starts)),
            str(len(connections)),
            len(connections) == len(starts),
        ),
    ]


def evaluate_recovery(gifts: int, ledger: Path, worker: Program) -> list[Check]:
    """Check how long it took after the vendor's return, and what its ledger says."""
    began, cpu_seconds = time.time(), harness.cpu_seconds(worker)
    wait_for_orders(gifts, within=DRAINED_WITHIN * 5)
    seconds, cpu_seconds = time.time() - began, harness.cpu_seconds(worker) - cpu_seconds
    with contextlib.closing(sqlite3.connect(ledger)) as vendor:
        shipped = Counter(award for [award] in vendor.execute("SELECT award FROM shipped"))
        numbers = {f"V-{id:07d}" for [id] in vendor.execute("SELECT id FROM shipped")}
    won = {str(award) for award in Award.objects.values_list("public_id", flat=True)}
    recorded = set(VendorOrder.objects.values_list("number", flat=True))
    issued = Award.objects.filter(status="issued").count()
    harness.print_result(
        "recovery",
        seconds=round(seconds, 1),
        **measure_pace(began),
        worker_cpu_seconds=round(cpu_seconds, 1),
        shipped=shipped.total(),
        recorded=len(recorded),
        issued=issued,
        draws=Draw.objects.count(),
    )
    once = sum(shipped[award] == 1 for award in won)
    whole = once == gifts == shipped.total() == issued and numbers == recorded
    in_time = seconds <= DRAINED_WITHIN
    return [
        Check("seconds from its return to the last order", f"<= {DRAINED_WITHIN}", f"{seconds:.1f}", in_time),
        Check("shipped once by the vendor's ledger, and recorded", str(gifts), str(once), whole),
    ]


def measure_pace(returned: float) -> dict[str, Any]:
    """Return when the first order was settled after the vendor's return, and how many were settled per second."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM min(finished_at)), extract(epoch FROM max(finished_at)), count(*) "
            "FROM outbox_message WHERE consumer = %s AND finished_at > to_timestamp(%s)",
            [CONSUMER, returned],
        )
        first, last, many = cursor.fetchone()
    return {
        "until_the_first": round(float(first) - returned, 1),
        "per_second": round(many / max(float(last - first), 0.001)),
    }


if __name__ == "__main__":
    main()
