"""A storm of failures of one kind, with failure groups and without: ``python benchmarks/storm.py``.

One worker with two processes delivers to two consumers that fail in the same way for good; one of them is spared
fingerprints and counters (``depot/plain.py``). They take turns, so that both meet the same machine, and the median of
the ratios counts. Failures per second are those between the first start and the last failure, on the database's clock.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.depot import rig
from benchmarks.depot.rig import Verdict
from tests.harness.program import Program

# isort: split
from django.db.models import Max, Min

from outbox import Draft
from outbox.models import FailureCount, FailureGroup, Message

PROCESSES = 2
COSTS_AT_MOST = 0.15
GROUPED, PLAIN = ("depot.broken", "depot.break_down"), ("depot.broken_plainly", "depot.break_plainly")


@dataclass(frozen=True)
class Storm:
    """What one storm came to: failures per second, and messages that did not end as failed."""

    per_second: float
    not_failed: int


def main() -> None:
    """Let the storms take turns and judge the ratios."""
    parser = argparse.ArgumentParser(description="Measure what grouping failures costs in a storm.")
    parser.add_argument("--failures", type=int, default=2_000, help="per storm (default 2000)")
    parser.add_argument("--rounds", type=int, default=10, help="pairs of storms (default 10)")
    parser.add_argument("--quick", action="store_true", help="500 failures, three pairs")
    options = parser.parse_args()
    failures, rounds = (500, 3) if options.quick else (options.failures, options.rounds)

    with rig.running() as installation:
        worker = installation.workers(PROCESSES)
        installation.control()
        installation.beat()
        for way in (GROUPED, PLAIN):
            storm(worker, *way, failures=500, name="warm-up")
        before = counted()
        ratios, not_failed = [], 0
        for turn in range(rounds):
            # Whoever goes first changes from turn to turn.
            order = [(GROUPED, "grouped"), (PLAIN, "plain")][:: 1 if turn % 2 else -1]
            storms = {name: storm(worker, *way, failures=failures, name=f"{name} {turn}") for way, name in order}
            ratios.append(storms["grouped"].per_second / storms["plain"].per_second)
            not_failed += sum(each.not_failed for each in storms.values())
            rig.say("ratio", turn=turn, grouped_to_plain=round(ratios[-1], 3))
        groups, in_group = FailureGroup.objects.count(), counted() - before
    rig.judge(verdicts(ratios, not_failed, groups=groups, in_group=in_group, failures=failures * rounds))


def storm(worker: Program, topic: str, consumer: str, *, failures: int, name: str) -> Storm:
    """Publish everything to start at one moment and wait until all of it has failed."""
    key = f"{consumer} {name} "
    drafts = [Draft(topic=topic, key=f"{key}{number}", payload={}) for number in range(failures)]
    rig.publish_at_once(consumer, drafts)
    worked = rig.cpu_seconds(worker)
    rig.wait_until_finished(consumer, within=60 + failures / 50)
    worked = rig.cpu_seconds(worker) - worked
    rows = Message.objects.filter(consumer=consumer, key__startswith=key)
    times = rows.aggregate(first=Min("started_at"), last=Max("finished_at"))
    passed = Storm(
        per_second=round(failures / (times["last"] - times["first"]).total_seconds(), 1),
        not_failed=failures - rows.filter(status="failed", attempts=1).count(),
    )
    rig.say(name, failures=failures, **vars(passed), worker_cpu_seconds=round(worked, 2))
    return passed


def counted() -> int:
    """Return how many failures the groups have counted."""
    return sum(FailureCount.objects.values_list("count", flat=True))


def verdicts(ratios: list[float], not_failed: int, *, groups: int, in_group: int, failures: int) -> list[Verdict]:
    """Judge the median of the ratios, and that the storms were what they were meant to be."""
    cost = 1 - statistics.median(ratios)
    cheap, one = cost <= COSTS_AT_MOST, (in_group, groups) == (failures, 1)
    return [
        Verdict("throughput that grouping costs, median", f"<= {COSTS_AT_MOST:.0%}", f"{cost:.1%}", cheap),
        Verdict("failures counted, all in one group", f"{failures} in 1", f"{in_group} in {groups}", one),
        Verdict("messages that did not fail at their only attempt", "0", str(not_failed), not not_failed),
    ]


if __name__ == "__main__":
    main()
