"""A storm of failures of one kind, with failure groups and without: ``python benchmarks/storm.py``.

One worker with two processes delivers to two consumers that fail in the same way for good; one of them is spared
fingerprints and counters (``app/without_failure_groups.py``). They take turns, so that both meet the same machine, and
the median of the ratios counts. Failures per second are those between the first start and the last failure, on the
database's clock.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.app import harness
from benchmarks.app.harness import Check
from tests.harness.program import Program

# isort: split
from django.db.models import Max, Min

from outbox import Draft
from outbox.models import FailureCount, FailureGroup, Message

PROCESSES = 2
COSTS_AT_MOST = 0.15
GROUPED, UNGROUPED = ("bench.broken", "bench.break_down"), ("bench.broken_ungrouped", "bench.break_ungrouped")


@dataclass(frozen=True)
class Storm:
    """What one storm came to: failures per second, and messages that did not end as failed."""

    per_second: float
    not_failed: int


def main() -> None:
    """Let the storms take turns and check the ratios."""
    parser = argparse.ArgumentParser(description="Measure what grouping failures costs in a storm.")
    parser.add_argument("--failures", type=int, default=2_000, help="per storm (default 2000)")
    parser.add_argument("--rounds", type=int, default=10, help="pairs of storms (default 10)")
    parser.add_argument("--quick", action="store_true", help="500 failures, three pairs")
    options = parser.parse_args()
    failures, rounds = (500, 3) if options.quick else (options.failures, options.rounds)

    with harness.running() as installation:
        worker = installation.workers(PROCESSES)
        installation.control()
        installation.beat()
        for way in (GROUPED, UNGROUPED):
            measure_storm(worker, *way, failures=500, name="warm-up")
        before = count_grouped_failures()
        ratios, not_failed = [], 0
        for turn in range(rounds):
            # Whoever goes first changes from turn to turn.
            order = [(GROUPED, "grouped"), (UNGROUPED, "ungrouped")][:: 1 if turn % 2 else -1]
            storms = {
                name: measure_storm(worker, *way, failures=failures, name=f"{name} {turn}") for way, name in order
            }
            ratios.append(storms["grouped"].per_second / storms["ungrouped"].per_second)
            not_failed += sum(each.not_failed for each in storms.values())
            harness.print_result("ratio", turn=turn, grouped_to_ungrouped=round(ratios[-1], 3))
        groups, in_group = FailureGroup.objects.count(), count_grouped_failures() - before
    harness.report_checks(
        evaluate_storms(ratios, not_failed, groups=groups, in_group=in_group, failures=failures * rounds)
    )


def measure_storm(worker: Program, topic: str, consumer: str, *, failures: int, name: str) -> Storm:
    """Publish everything to start at one moment and wait until all of it has failed."""
    key = f"{consumer} {name} "
    drafts = [Draft(topic=topic, key=f"{key}{number}", payload={}) for number in range(failures)]
    harness.publish_while_paused(consumer, drafts)
    cpu_seconds = harness.cpu_seconds(worker)
    harness.wait_until_finished(consumer, within=60 + failures / 50)
    cpu_seconds = harness.cpu_seconds(worker) - cpu_seconds
    messages = Message.objects.filter(consumer=consumer, key__startswith=key)
    times = messages.aggregate(first=Min("started_at"), last=Max("finished_at"))
    measured = Storm(
        per_second=round(failures / (times["last"] - times["first"]).total_seconds(), 1),
        not_failed=failures - messages.filter(status="failed", attempts=1).count(),
    )
    harness.print_result(name, failures=failures, **vars(measured), worker_cpu_seconds=round(cpu_seconds, 2))
    return measured


def count_grouped_failures() -> int:
    """Return how many failures the groups have counted."""
    return sum(FailureCount.objects.values_list("count", flat=True))


def evaluate_storms(ratios: list[float], not_failed: int, *, groups: int, in_group: int, failures: int) -> list[Check]:
    """Check the median of the ratios, and that the storms were what they were meant to be."""
    cost = 1 - statistics.median(ratios)
    cheap, one = cost <= COSTS_AT_MOST, (in_group, groups) == (failures, 1)
    return [
        Check("throughput that grouping costs, median", f"<= {COSTS_AT_MOST:.0%}", f"{cost:.1%}", cheap),
        Check("failures counted, all in one group", f"{failures} in 1", f"{in_group} in {groups}", one),
        Check("messages that did not fail at their only attempt", "0", str(not_failed), not not_failed),
    ]


if __name__ == "__main__":
    main()
