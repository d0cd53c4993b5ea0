"""What the engine's steps and the desk take when finished messages pile up: ten thousand, a million, ten million.

A rescan that claims 500 due rows, a chunk of 50 started, handled and settled, and the desk's message list, each in
tables filled by ``INSERT … SELECT``, in turns. The broker is left out: it does not know how large the table is. The
largest table of a plain run is smaller than ten million, for time; ``--rows 10000000`` has them all, and ``--chart``
draws them for the manual.
"""

from dataclasses import replace

from benchmarks.chart import write_chart
from benchmarks.contestants import MAKEGOOD
from benchmarks.environment import set_up_contestants
from benchmarks.measurements import (
    Measurement,
    Options,
    Ratio,
    measure_in_turns,
    print_progress,
    ratios_by_round,
    rounded,
)

PART = "growth"
SMALLEST, MILLION = 10_000, 1_000_000
MEASURES = {"rescan of 500 due": 1.2, "chunk of 50 delivered": 1.2, "message list": None}
"""What is timed, and how many times longer it may take with the most rows than with the fewest."""
COMMANDS = ("benchmarks.peers.commands", "benchmarks.peers.makegood.growth")


def run(options: Options) -> list[Ratio]:
    """Fill a table of each size, time the steps in turns, and return how much slower the largest is."""
    sizes = sorted({SMALLEST, min(MILLION, options.rows), options.rows})
    repeats = options.pick(30, 10)
    plans = [replace(MAKEGOOD, name=format_row_count(size), commands=COMMANDS) for size in sizes]
    with set_up_contestants(plans) as contestants:
        for contestant, size in zip(contestants, sizes, strict=True):
            print_progress(f"  {contestant.name} finished: {contestant.call('write_finished', rows=size)}")
        measurements = {
            contestant: [Measurement(PART, contestant.name, name, "ms", work=repeats) for name in MEASURES]
            for contestant in contestants
        }
        measure_in_turns(
            measurements, lambda contestant: contestant.call("measure_steps", repeats=repeats), rounds=options.rounds
        )
    kept = list(measurements.values())
    for measurement in [measurement for of_size in kept for measurement in of_size]:
        measurement.print_json()
    if options.chart:
        write_chart(
            {size: [measurement.median for measurement in of_size] for size, of_size in zip(sizes, kept, strict=True)}
        )
    return [
        Ratio(
            PART,
            f"{name}, {format_row_count(sizes[-1])} finished over {format_row_count(SMALLEST)}",
            ratios_by_round(largest, smallest),
            at_most=bound,
            figures=f"{rounded(largest.median)} and {rounded(smallest.median)} ms",
        )
        for (name, bound), smallest, largest in zip(MEASURES.items(), kept[0], kept[-1], strict=True)
    ]


def format_row_count(size: int) -> str:
    """Return a number of rows as people say it."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit and not size % (unit // 10):
            return f"{size / unit:g} {name}"
    return str(size)
