"""Chunks that share a hundred business rows: ``python benchmarks/sharing.py``.

Four worker processes deliver to an ordinary atomic consumer, which makes one ORM update of one of a hundred stocks;
once with chunks in the order of the stock (``sort=``), and once in any order, where chunks meet each other's locks.
Each message takes a random number of pieces, so that a message lost and another doubled would show in the stocks. Rows
per second are those between the first start and the last success, on the database's clock.
"""

import argparse
import random
import statistics
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.depot import rig
from benchmarks.depot.rig import Verdict
from tests.harness.program import Program

# isort: split
from django.db.models import Max, Min

from outbox import Draft
from outbox.models import Attempt, Message
from tests.shop.models import Stock

STOCKS = 100
FULL = 2**31 - 1
"""Pieces in every stock at first: what the column can hold."""
MOST_PIECES = 1_000_000
PROCESSES = 4
AT_LEAST = 1_000
"""Rows per second that are required with ``sort``, the means against getting in each other's way."""
IN_ORDER, ANYHOW = ("depot.taken_in_order", "depot.take_sorted"), ("depot.taken", "depot.take")


@dataclass(frozen=True)
class Round:
    """One round: rows per second, messages that needed more than one start, and what came of the stocks."""

    rows_per_second: float
    started_again: int
    wrong_stocks: int
    unsuccessful: int

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing was lost or doubled."""
        return not self.wrong_stocks and not self.unsuccessful


def main() -> None:
    """Measure both ways in turns and judge the medians."""
    parser = argparse.ArgumentParser(description="Measure chunks that share business rows.")
    parser.add_argument("--messages", type=int, default=20_000, help="per round (default 20000)")
    parser.add_argument("--rounds", type=int, default=3, help="of each way (default 3)")
    parser.add_argument("--quick", action="store_true", help="2000 messages, one round")
    options = parser.parse_args()
    messages, rounds = (2_000, 1) if options.quick else (options.messages, options.rounds)

    with rig.running() as installation:
        worker = installation.workers(PROCESSES)
        installation.control()
        installation.beat()
        play(worker, *IN_ORDER, messages=500, name="warm-up in order")
        play(worker, *ANYHOW, messages=500, name="warm-up anyhow")
        in_order, anyhow = [], []
        for turn in range(rounds):
            in_order.append(play(worker, *IN_ORDER, messages=messages, name=f"in order {turn}"))
            anyhow.append(play(worker, *ANYHOW, messages=messages, name=f"anyhow {turn}"))
        failed = Attempt.objects.count()
    rig.judge(
        [
            *verdicts("sorted", in_order, at_least=AT_LEAST),
            *verdicts("unsorted", anyhow, at_least=0),
            none_failed(failed),
        ]
    )


def play(worker: Program, topic: str, consumer: str, *, messages: int, name: str) -> Round:
    """Publish everything to start at one moment, wait for the end, and hold stocks against messages."""
    luck = random.Random(name)
    Stock.objects.bulk_create(
        [Stock(pk=pk, count=FULL) for pk in range(1, STOCKS + 1)],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["count"],
    )
    drafts = [
        Draft(
            topic=topic,
            key=f"{name} {number}",
            payload={"stock": luck.randint(1, STOCKS), "pieces": luck.randint(1, MOST_PIECES)},
        )
        for number in range(messages)
    ]
    rig.publish_at_once(consumer, drafts)
    worked, transactions = rig.cpu_seconds(worker), rig.transactions()
    rig.wait_until_finished(consumer, within=60 + messages / 20)
    worked, transactions = rig.cpu_seconds(worker) - worked, rig.transactions() - transactions
    return result(name, consumer, drafts, worker_cpu_seconds=round(worked, 2), transactions=transactions)


def result(name: str, consumer: str, drafts: list[Draft], **figures: float) -> Round:
    """Read what became of the messages and of the stocks."""
    rows = Message.objects.filter(consumer=consumer, key__startswith=f"{name} ")
    times = rows.aggregate(first=Min("started_at"), last=Max("finished_at"))
    taken: Counter[int] = Counter()
    for draft in drafts:
        taken[draft.payload["stock"]] += draft.payload["pieces"]
    left = dict(Stock.objects.values_list("pk", "count"))
    played = Round(
        rows_per_second=round(len(drafts) / (times["last"] - times["first"]).total_seconds()),
        started_again=rows.filter(attempts__gt=1).count(),
        wrong_stocks=sum(left[stock] != FULL - taken[stock] for stock in left),
        unsuccessful=len(drafts) - rows.filter(status="success").count(),
    )
    rig.say(name, messages=len(drafts), **vars(played), **figures)
    return played


def verdicts(name: str, rounds: list[Round], *, at_least: int) -> list[Verdict]:
    """Judge the rounds of one way; 0 rows per second require nothing."""
    speed = statistics.median(each.rows_per_second for each in rounds)
    whole = sum(each.is_whole for each in rounds)
    required = f">= {at_least}" if at_least else "-"
    return [
        Verdict(f"{name}: rows per second, median", required, f"{speed:,.0f}", speed >= at_least),
        Verdict(f"{name}: rounds with no row lost or doubled", f"{len(rounds)}", f"{whole}", whole == len(rounds)),
    ]


def none_failed(attempts: int) -> Verdict:
    """Judge that rows which met each other's locks were redone, not failed."""
    return Verdict("attempts that failed", "0", str(attempts), not attempts)


if __name__ == "__main__":
    main()
