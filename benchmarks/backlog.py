"""A long backlog while producers keep on: the broker's queue stays short, and no process grows.

200,000 messages are committed while nothing runs; then Makegood's processes work them off while others go on being
published. Ten times a second the depth of the broker's queue is sampled, twice a second the memory of every process.
The order and the number of what is waiting are the table's business, so the broker never holds more than its
high-water mark of hints, however long the backlog is.
"""

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks.contestant import Contestant
from benchmarks.contestants import MAKEGOOD
from benchmarks.environment import set_up_contestants
from benchmarks.measurements import Measurement, Options, Ratio, print_progress, rounded

PART = "backlog"
HIGH_WATER = 50
"""Hints waiting in a queue at which no more are sent: the engine's default."""
RATE = 100
QUEUE = "bench.issue_0"
WATCHED_SECONDS = 75.0
"""What is not worked off by then is only reported, for the rate is measured elsewhere."""
OVER_HIGH_WATER = 1.2
"""Dispatcher and rescan both check the depth before they send, so that hints of one may come on top of the other's."""
GROWTH_AT_MOST = 1.15


@dataclass
class Samples:
    """What was seen: depths of the queue, and bytes by process."""

    depths: list[int] = field(default_factory=list)
    memory: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def growth(self) -> tuple[str, float]:
        """Return the process that grew most from the second quarter of the time to the last, and how many times."""
        return max(((name, _growth_of(sizes)) for name, sizes in self.memory.items()), key=lambda each: each[1])


def run(options: Options) -> list[Ratio]:
    """Watch one backlog being worked off and return what was seen beside its bounds."""
    waiting = options.pick(200_000, 15_000)
    longest = WATCHED_SECONDS if not options.quick else 12.0
    with set_up_contestants([MAKEGOOD]) as [contestant]:
        contestant.call("publish_backlog", messages=waiting)
        print_progress(f"  {waiting} messages are waiting")
        with contestant.services_running():
            began = time.monotonic()
            contestant.send_command("publish_at_rate", rate=RATE, seconds=longest)
            samples = _sample(contestant, longest)
            seconds = time.monotonic() - began
            published = contestant.receive_answer()
        counts = contestant.call("count_issued")
    if counts["issued"] != counts["once"]:
        raise SystemExit(f"{counts['issued'] - counts['once']} awards were issued more than once")
    return _report(samples, counts["once"], waiting, published, seconds)


def _sample(contestant: Contestant, seconds: float) -> Samples:
    samples = Samples()
    until = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < until:
        samples.depths.append(contestant.queue_depth(QUEUE))
        if turn % 5 == 0:
            for program in contestant.programs:
                for place, process in enumerate(program.family()):
                    samples.memory[f"{program.name} {place}"].append(process.memory_info().rss)
        turn += 1
        time.sleep(0.1)
    return samples


def _report(samples: Samples, issued: int, waiting: int, published: int, seconds: float) -> list[Ratio]:
    grown, growth = samples.growth()
    measurements = [
        Measurement(PART, "Makegood", "hints in the broker's queue, most", "hints", [max(samples.depths)], waiting),
        Measurement(PART, "Makegood", "worked off", "messages/s", [issued / seconds], waiting),
        *(
            Measurement(PART, "Makegood", f"memory of {name}", "MB", [size / 1e6 for size in sizes], waiting)
            for name, sizes in samples.memory.items()
        ),
    ]
    for measurement in measurements:
        measurement.print_json()
    seen = f"{max(samples.depths)} of {HIGH_WATER}; {issued} of {waiting + published} worked off in {seconds:.0f} s"
    return [
        Ratio(
            PART,
            "hints in the queue over the high-water mark",
            [max(samples.depths) / HIGH_WATER],
            at_most=OVER_HIGH_WATER,
            figures=seen,
        ),
        Ratio(
            PART,
            "memory at the end over the beginning, worst process",
            [growth],
            at_most=GROWTH_AT_MOST,
            figures=f"{grown}: {rounded(samples.memory[grown][-1] / 1e6)} MB",
        ),
    ]


def _growth_of(sizes: list[int]) -> float:
    quarter = max(1, len(sizes) // 4)
    return statistics.median(sizes[-quarter:]) / statistics.median(sizes[quarter : 2 * quarter] or sizes)
