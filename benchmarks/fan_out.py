"""What it costs that several consumers listen to one topic: deliveries per second with 1, 3 and 10 of them.

Each consumer has a row of its own, and issues an award of its own, so that none waits for another's business row.
"""

from benchmarks import sides
from benchmarks.drain import drain
from benchmarks.measuring import Figure, Options, Ratio, in_turns, over, shortened
from benchmarks.surroundings import put_up

PART = "fan_out"
CONSUMERS = (1, 3, 10)


def run(options: Options) -> list[Ratio]:
    """Drain as many deliveries with each number of consumers, in turns."""
    deliveries = options.pick(12_000, 3_000)
    with put_up([sides.fanned_out(consumers) for consumers in CONSUMERS]) as put:
        messages = {side: deliveries // consumers for side, consumers in zip(put, CONSUMERS, strict=True)}
        figures = {side: [Figure(PART, side.plan.name, "deliveries", "deliveries/s", work=deliveries)] for side in put}
        in_turns(
            figures,
            lambda side: [drain(side, messages[side], awards=messages[side] * CONSUMERS[put.index(side)])],
            rounds=options.rounds,
            warm_up=0,
        )
    kept = [figure for [figure] in figures.values()]
    for figure in kept:
        figure.say()
    return [
        Ratio(
            PART,
            f"{more.side} over {kept[0].side}",
            over(more, kept[0]),
            figures=f"{shortened(more.median)} and {shortened(kept[0].median)} deliveries/s",
        )
        for more in kept[1:]
    ]
