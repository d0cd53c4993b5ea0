"""What a message costs the one who writes it: over a whole draw, over a single INSERT, and of a thousand at once.

No consumer runs. Transactions with a message and the same without it are timed in one process, in blocks that
alternate; medians of a round are compared. Celery alone pays the broker inside the request, after commit.
"""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.contestant import Contestant
from benchmarks.contestants import CELERY_TUNED, MAKEGOOD, OUTBOX_TUNED, PROCRASTINATE
from benchmarks.environment import set_up_contestants
from benchmarks.measurements import Measurement, Options, Ratio, measure_in_turns, rounded

PART = "producer"
DRAW_AT_MOST = 0.35
INSERT_AT_MOST = 0.6
MEASURES = ("draw without", "draw with", "insert without", "insert with", "one of a thousand")
FLOOR = "insert by SQL"
"""The same row written by plain SQL, without checks and hints: what no ``publish`` into such a table can fall below."""
COMMANDS = ("benchmarks.peers.commands", "benchmarks.peers.producer_costs")
ALL = [MAKEGOOD, OUTBOX_TUNED, PROCRASTINATE, CELERY_TUNED]


def run(options: Options) -> list[Ratio]:
    """Time each contestant's producer in turns and return the ratios."""
    repeats = options.pick(300, 60)
    drawing = [replace(plan, commands=COMMANDS, environment={**plan.environment, "BENCH_DRAWS": "1"}) for plan in ALL]
    with set_up_contestants(drawing) as contestants:
        measurements = {
            contestant: [
                Measurement(PART, contestant.name, measure, "ms", work=repeats)
                for measure in _measures(contestant.name)
            ]
            for contestant in contestants
        }
        measure_in_turns(measurements, lambda contestant: _measure_costs(contestant, repeats), rounds=options.rounds)
    found = {
        measurement.contestant + " " + measurement.measure: measurement
        for kept in measurements.values()
        for measurement in kept
    }
    for measurement in found.values():
        measurement.print_json()
    return compare(found, [plan.name for plan in ALL])


def _measure_costs(contestant: Contestant, repeats: int) -> list[float]:
    draw = contestant.call("measure_draw", repeats=repeats)
    insert = contestant.call("measure_insert", repeats=repeats)
    taken = {"one of a thousand": contestant.call("measure_many")}
    taken |= {f"draw {how}": value for how, value in draw.items()}
    taken |= {f"insert {how}": value for how, value in insert.items()}
    return [taken[measure] for measure in _measures(contestant.name)]


def _measures(name: str) -> Sequence[str]:
    return [*MEASURES, FLOOR] if name == MAKEGOOD.name else MEASURES


def compare(found: dict[str, Measurement], names: Sequence[str]) -> list[Ratio]:
    """Return what messages add to a draw, and what one adds to an INSERT beside what it adds with the others."""
    ours = MAKEGOOD.name
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
            figures=f"{_median(found, name, 'draw with')} ms with, {_median(found, name, 'draw without')} without",
        )
        for name in names
    ]
    beside = [
        Ratio(
            PART,
            f"a message on one INSERT, Makegood over {name}",
            [mine / other for mine, other in zip(_added(found, ours), _added(found, name), strict=True)],
            at_most=INSERT_AT_MOST if name == OUTBOX_TUNED.name else None,
            figures=f"+{_middle(_added(found, ours))} and +{_middle(_added(found, name))} ms",
        )
        for name in names
        if name != ours
    ]
    tuned = OUTBOX_TUNED.name
    floor = _added(found, ours, FLOOR)
    least = Ratio(
        PART,
        f"the same row by plain SQL, over {tuned}",
        [mine / other for mine, other in zip(floor, _added(found, tuned), strict=True)],
        figures=f"+{_middle(floor)} and +{_middle(_added(found, tuned))} ms",
    )
    return [*overheads, *beside, least]


def _added(found: dict[str, Measurement], name: str, measure: str = "insert with") -> list[float]:
    """Return the milliseconds that the message adds, round by round."""
    return [
        more - least
        for least, more in zip(found[f"{name} insert without"].rounds, found[f"{name} {measure}"].rounds, strict=True)
    ]


def _median(found: dict[str, Measurement], name: str, measure: str) -> float:
    return rounded(found[f"{name} {measure}"].median)


def _middle(values: list[float]) -> float:
    return rounded(sorted(values)[len(values) // 2])
