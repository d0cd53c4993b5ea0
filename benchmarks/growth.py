"""What the engine's steps and the desk take when finished messages pile up: ten thousand, a million, ten million.

A rescan that claims 500 due rows, a chunk of 50 started, handled and settled, and the desk's message list, each in
tables filled by ``INSERT … SELECT``, in turns. The broker is left out: it does not know how large the table is. The
largest table of a plain run is smaller than ten million, for time; ``--rows 10000000`` has them all, and ``--chart``
draws them for the README.
"""

from dataclasses import replace

from benchmarks import sides
from benchmarks.chart import draw
from benchmarks.measuring import Figure, Options, Ratio, in_turns, over, say, shortened
from benchmarks.surroundings import put_up

PART = "growth"
SMALLEST, MILLION = 10_000, 1_000_000
MEASURES = {"rescan of 500 due": 1.2, "chunk of 50 delivered": 1.2, "message list": None}
"""What is timed, and how many times longer it may take with the most rows than with the fewest."""
COMMANDS = ("benchmarks.peers.commands", "benchmarks.peers.makegood.growth")


def run(options: Options) -> list[Ratio]:
    """Fill a table of each size, time the steps in turns, and return how much slower the largest is."""
    sizes = sorted({SMALLEST, min(MILLION, options.rows), options.rows})
    repeats = options.pick(30, 10)
    plans = [replace(sides.MAKEGOOD, name=named(size), commands=COMMANDS) for size in sizes]
    with put_up(plans) as put:
        for side, size in zip(put, sizes, strict=True):
            say(f"  {side.plan.name} finished: {side.ask('grow', rows=size)}")
        figures = {side: [Figure(PART, side.plan.name, name, "ms", work=repeats) for name in MEASURES] for side in put}
        in_turns(figures, lambda side: side.ask("steps", repeats=repeats), rounds=options.rounds)
    kept = list(figures.values())
    for figure in [figure for of_size in kept for figure in of_size]:
        figure.say()
    if options.chart:
        draw({size: [figure.median for figure in of_size] for size, of_size in zip(sizes, kept, strict=True)})
    return [
        Ratio(
            PART,
            f"{name}, {named(sizes[-1])} finished over {named(SMALLEST)}",
            over(largest, smallest),
            at_most=bound,
            figures=f"{shortened(largest.median)} and {shortened(smallest.median)} ms",
        )
        for (name, bound), smallest, largest in zip(MEASURES.items(), kept[0], kept[-1], strict=True)
    ]


def named(size: int) -> str:
    """Return a number of rows as people say it."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit and not size % (unit // 10):
            return f"{size / unit:g} {name}"
    return str(size)
