"""What a message costs the one who writes it: over a whole draw, over a single INSERT, and of a thousand at once.

No consumer runs. Transactions with a message and the same without it are timed in one process, in blocks that
alternate; medians of a round are compared. Celery alone pays the broker inside the request, after commit.
"""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks import sides
from benchmarks.measuring import Figure, Options, Ratio, in_turns, shortened
from benchmarks.side import Plan, Side
from benchmarks.surroundings import put_up

PART = "producer"
DRAW_AT_MOST = 0.35
INSERT_AT_MOST = 0.6
MEASURES = ("draw without", "draw with", "insert without", "insert with", "one of a thousand")
FLOOR = "insert by SQL"
"""The same row written by plain SQL, without checks and hints: what no ``publish`` into such a table can fall below."""
COMMANDS = ("benchmarks.peers.commands", "benchmarks.peers.costs")
ALL = [sides.MAKEGOOD, sides.OUTBOX_TUNED, sides.PROCRASTINATE, sides.CELERY_TUNED]


def run(options: Options, plans: Sequence[Plan] = ALL) -> list[Ratio]:
    """Time each side's producer in turns and return the ratios."""
    repeats = options.pick(300, 60)
    drawing = [replace(plan, commands=COMMANDS, environment={**plan.environment, "BENCH_DRAWS": "1"}) for plan in plans]
    with put_up(drawing) as put:
        figures = {
            side: [Figure(PART, side.plan.name, measure, "ms", work=repeats) for measure in _measures(side.plan.name)]
            for side in put
        }
        in_turns(figures, lambda side: _costs(side, repeats), rounds=options.rounds)
    found = {figure.side + " " + figure.measure: figure for kept in figures.values() for figure in kept}
    for figure in found.values():
        figure.say()
    return ratios(found, [plan.name for plan in plans])


def _costs(side: Side, repeats: int) -> list[float]:
    draw = side.ask("whole_draw", repeats=repeats)
    insert = side.ask("single_insert", repeats=repeats)
    taken = {"one of a thousand": side.ask("many")}
    taken |= {f"draw {how}": value for how, value in draw.items()}
    taken |= {f"insert {how}": value for how, value in insert.items()}
    return [taken[measure] for measure in _measures(side.plan.name)]


def _measures(name: str) -> Sequence[str]:
    return [*MEASURES, FLOOR] if name == sides.MAKEGOOD.name else MEASURES


def ratios(found: dict[str, Figure], names: Sequence[str]) -> list[Ratio]:
    """Return what messages add to a draw, and what one adds to an INSERT beside what it adds with the others."""
    ours = sides.MAKEGOOD.name
    overheads = [
        Ratio(
            PART,
            f"messages over a whole draw, {name}",
            [
                more / least - 1
                for least, more in zip(
                    found[f"{name} draw without"].rounds, found[f"{name} draw with"].rounds, strict=True
                )
            ],
            at_most=DRAW_AT_MOST if name == ours else None,
            figures=f"{_median(found, f'{name} draw with')} ms with, {_median(found, f'{name} draw without')} without",
        )
        for name in names
    ]
    beside = [
        Ratio(
            PART,
            f"a message on one INSERT, Makegood over {name}",
            [mine / other for mine, other in zip(_added(found, ours), _added(found, name), strict=True)],
            at_most=INSERT_AT_MOST if name == sides.OUTBOX_TUNED.name else None,
            figures=f"+{_middle(_added(found, ours))} and +{_middle(_added(found, name))} ms",
        )
        for name in names
        if name != ours
    ]
    tuned = sides.OUTBOX_TUNED.name
    floor = _added(found, ours, FLOOR)
    least = Ratio(
        PART,
        f"the same row by plain SQL, over {tuned}",
        [mine / other for mine, other in zip(floor, _added(found, tuned), strict=True)],
        figures=f"+{_middle(floor)} and +{_middle(_added(found, tuned))} ms",
    )
    return [*overheads, *beside, least]


def _added(found: dict[str, Figure], name: str, measure: str = "insert with") -> list[float]:
    """Return the milliseconds that the message adds, round by round."""
    return [
        more - least
        for least, more in zip(found[f"{name} insert without"].rounds, found[f"{name} {measure}"].rounds, strict=True)
    ]


def _median(found: dict[str, Figure], name: str) -> float:
    return shortened(found[name].median)


def _middle(values: list[float]) -> float:
    return shortened(sorted(values)[len(values) // 2])
