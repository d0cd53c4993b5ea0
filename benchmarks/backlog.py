"""A long backlog while producers keep on: the broker's queue stays short, and no process grows.

200,000 messages are committed while nothing runs; then Makegood's processes work them off while others go on being
published. Ten times a second the depth of the broker's queue is read, twice a second the memory of every process.
The order and the number of what is waiting are the table's business, so the broker never holds more than its
high-water mark of hints, however long the backlog is.
"""

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks import sides
from benchmarks.measuring import Figure, Options, Ratio, say, shortened
from benchmarks.side import Side
from benchmarks.surroundings import put_up

PART = "backlog"
HIGH_WATER = 50
"""Hints waiting in a queue at which no more are sent: the engine's default."""
RATE = 100
QUEUE = "bench.issue_0"
LONGEST = 75.0
"""Seconds that are watched; what is not worked off by then is told, for the rate is measured elsewhere."""
OVER_HIGH_WATER = 1.2
"""Courier and rescan both look at the depth before they send, so that some of one may come on top of the other's."""
GROWTH_AT_MOST = 1.15


@dataclass
class Watch:
    """What was seen: depths of the queue, and bytes by process."""

    depths: list[int] = field(default_factory=list)
    memory: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def growth(self) -> tuple[str, float]:
        """Return the process that grew most from the second quarter of the time to the last, and how many times."""
        return max(((name, _growth(sizes)) for name, sizes in self.memory.items()), key=lambda each: each[1])


def run(options: Options) -> list[Ratio]:
    """Watch one backlog being worked off and return what was seen beside its bounds."""
    waiting = options.pick(200_000, 15_000)
    longest = LONGEST if not options.quick else 12.0
    with put_up([sides.MAKEGOOD]) as [side]:
        side.ask("fill", messages=waiting)
        say(f"  {waiting} messages are waiting")
        with side.working():
            began = time.monotonic()
            side.tell("trickle", rate=RATE, seconds=longest)
            watch = _watched(side, longest)
            seconds = time.monotonic() - began
            published = side.answer()
        tally = side.ask("tally")
    if tally["issued"] != tally["once"]:
        raise SystemExit(f"{tally['issued'] - tally['once']} awards were issued more than once")
    return _report(watch, tally["once"], waiting, published, seconds)


def _watched(side: Side, seconds: float) -> Watch:
    watch = Watch()
    until = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < until:
        watch.depths.append(side.depth(QUEUE))
        if turn % 5 == 0:
            for program in side.programs:
                for place, process in enumerate(program.family()):
                    watch.memory[f"{program.name} {place}"].append(process.memory_info().rss)
        turn += 1
        time.sleep(0.1)
    return watch


def _report(watch: Watch, issued: int, waiting: int, published: int, seconds: float) -> list[Ratio]:
    grown, growth = watch.growth()
    figures = [
        Figure(PART, "Makegood", "hints in the broker's queue, most", "hints", [max(watch.depths)], waiting),
        Figure(PART, "Makegood", "worked off", "messages/s", [issued / seconds], waiting),
        *(
            Figure(PART, "Makegood", f"memory of {name}", "MB", [size / 1e6 for size in sizes], waiting)
            for name, sizes in watch.memory.items()
        ),
    ]
    for figure in figures:
        figure.say()
    seen = f"{max(watch.depths)} of {HIGH_WATER}; {issued} of {waiting + published} worked off in {seconds:.0f} s"
    return [
        Ratio(
            PART,
            "hints in the queue over the high-water mark",
            [max(watch.depths) / HIGH_WATER],
            at_most=OVER_HIGH_WATER,
            figures=seen,
        ),
        Ratio(
            PART,
            "memory at the end over the beginning, worst process",
            [growth],
            at_most=GROWTH_AT_MOST,
            figures=f"{grown}: {shortened(watch.memory[grown][-1] / 1e6)} MB",
        ),
    ]


def _growth(sizes: list[int]) -> float:
    quarter = max(1, len(sizes) // 4)
    return statistics.median(sizes[-quarter:]) / statistics.median(sizes[quarter : 2 * quarter] or sizes)
