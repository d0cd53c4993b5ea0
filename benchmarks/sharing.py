"""Chunks that share a hundred business rows: ``python benchmarks/sharing.py``.

Four worker processes deliver to an ordinary atomic consumer, which makes one ORM update of one of a hundred stocks;
once with chunks in the order of the stock (``sort=``), and once in any order, where chunks meet each other's locks.
Each message takes a random number of pieces, so that a message lost and another doubled would show in the stocks.
Messages per second are those between the first start and the last success, on the database's clock.
"""

import argparse
import random
import statistics
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.app import harness
from benchmarks.app.harness import Check
from tests.harness.program import Program

# isort: split
from django.db.models import Max, Min

from outbox import Draft
from outbox.models import Attempt, Message
from tests.shop.models import Stock

STOCKS = 100
FULL_STOCK = 2**31 - 1
"""Pieces in every stock at first: what the column can hold."""
MOST_PIECES = 1_000_000
PROCESSES = 4
AT_LEAST = 1_000
"""Messages per second that are required with ``sort``, by which chunks do not wait for each other's locks."""
SORTED, UNSORTED = ("bench.taken_in_order", "bench.take_sorted"), ("bench.taken", "bench.take")


@dataclass(frozen=True)
class Round:
    """One round: messages per second, messages that needed more than one start, and what came of the stocks."""

    messages_per_second: float
    started_again: int
    wrong_stocks: int
    unsuccessful: int

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing was lost or doubled."""
        return not self.wrong_stocks and not self.unsuccessful


def main() -> None:
    """Measure both ways in turns and check the medians."""
    parser = argparse.ArgumentParser(description="Measure chunks that share business rows.")
    parser.add_argument("--messages", type=int, default=20_000, help="per round (default 20000)")
    parser.add_argument("--rounds", type=int, default=3, help="of each way (default 3)")
    parser.add_argument("--quick", action="store_true", help="2000 messages, one round")
    options = parser.parse_args()
    messages, rounds = (2_000, 1) if options.quick else (options.messages, options.rounds)

    with harness.running() as installation:
        worker = installation.workers(PROCESSES)
        installation.control()
        installation.beat()
        measure_round(worker, *SORTED, messages=500, name="warm-up sorted")
        measure_round(worker, *UNSORTED, messages=500, name="warm-up unsorted")
        sorted_rounds, unsorted_rounds = [], []
        for turn in range(rounds):
            sorted_rounds.append(measure_round(worker, *SORTED, messages=messages, name=f"sorted {turn}"))
            unsorted_rounds.append(measure_round(worker, *UNSORTED, messages=messages, name=f"unsorted {turn}"))
        failed = Attempt.objects.count()
    harness.report_checks(
        [
            *evaluate_rounds("sorted", sorted_rounds, at_least=AT_LEAST),
            *evaluate_rounds("unsorted", unsorted_rounds, at_least=0),
            evaluate_attempts(failed),
        ]
    )


def measure_round(worker: Program, topic: str, consumer: str, *, messages: int, name: str) -> Round:
    """Publish everything to start at one moment, wait for the end, and compare the stocks with the messages."""
    rng = random.Random(name)
    Stock.objects.bulk_create(
        [Stock(pk=pk, count=FULL_STOCK) for pk in range(1, STOCKS + 1)],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["count"],
    )
    drafts = [
        Draft(
            topic=topic,
            key=f"{name} {number}",
            payload={"stock": rng.randint(1, STOCKS), "pieces": rng.randint(1, MOST_PIECES)},
        )
        for number in range(messages)
    ]
    harness.publish_while_paused(consumer, drafts)
    cpu_seconds, transactions = harness.cpu_seconds(worker), harness.count_transactions()
    harness.wait_until_finished(consumer, within=60 + messages / 20)
    cpu_seconds, transactions = harness.cpu_seconds(worker) - cpu_seconds, harness.count_transactions() - transactions
    return count_results(name, consumer, drafts, worker_cpu_seconds=round(cpu_seconds, 2), transactions=transactions)


def count_results(name: str, consumer: str, drafts: list[Draft], **figures: float) -> Round:
    """Count what became of the messages and of the stocks."""
    messages = Message.objects.filter(consumer=consumer, key__startswith=f"{name} ")
    times = messages.aggregate(first=Min("started_at"), last=Max("finished_at"))
    taken: Counter[int] = Counter()
    for draft in drafts:
        taken[draft.payload["stock"]] += draft.payload["pieces"]
    left = dict(Stock.objects.values_list("pk", "count"))
    measured = Round(
        messages_per_second=round(len(drafts) / (times["last"] - times["first"]).total_seconds()),
        started_again=messages.filter(attempts__gt=1).count(),
        wrong_stocks=sum(left[stock] != FULL_STOCK - taken[stock] for stock in left),
        unsuccessful=len(drafts) - messages.filter(status="success").count(),
    )
    harness.print_result(name, messages=len(drafts), **vars(measured), **figures)
    return measured


def evaluate_rounds(name: str, rounds: list[Round], *, at_least: int) -> list[Check]:
    """Check the rounds of one way; 0 messages per second require nothing."""
    rate = statistics.median(each.messages_per_second for each in rounds)
    whole = sum(each.is_whole for each in rounds)
    required = f">= {at_least}" if at_least else "-"
    return [
        Check(f"{name}: messages per second, median", required, f"{rate:,.0f}", rate >= at_least),
        Check(f"{name}: rounds with no message lost or doubled", f"{len(rounds)}", f"{whole}", whole == len(rounds)),
    ]


def evaluate_attempts(attempts: int) -> Check:
    """Check that messages which met each other's locks were redone, not failed."""
    return Check("attempts that failed", "0", str(attempts), not attempts)


if __name__ == "__main__":
    main()
