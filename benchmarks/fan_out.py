"""What it costs that several consumers listen to one topic: deliveries per second with 1, 3 and 10 of them.

Each consumer has a row of its own, and issues an award of its own, so that none waits for another's business row.
"""

from benchmarks.contestants import fanned_out
from benchmarks.drain import drain
from benchmarks.environment import set_up_contestants
from benchmarks.measurements import Measurement, Options, Ratio, measure_in_turns, ratios_by_round, rounded

PART = "fan_out"
CONSUMERS = (1, 3, 10)


def run(options: Options) -> list[Ratio]:
    """Drain as many deliveries with each number of consumers, in turns."""
    deliveries = options.pick(12_000, 3_000)
    with set_up_contestants([fanned_out(consumers) for consumers in CONSUMERS]) as contestants:
        messages = {
            contestant: deliveries // consumers for contestant, consumers in zip(contestants, CONSUMERS, strict=True)
        }
        measurements = {
            contestant: [Measurement(PART, contestant.name, "deliveries", "deliveries/s", work=deliveries)]
            for contestant in contestants
        }
        measure_in_turns(
            measurements,
            lambda contestant: [
                drain(
                    contestant,
                    messages[contestant],
                    awards=messages[contestant] * CONSUMERS[contestants.index(contestant)],
                )
            ],
            rounds=options.rounds,
            warm_up=0,
        )
    kept = [measurement for [measurement] in measurements.values()]
    for measurement in kept:
        measurement.print_json()
    return [
        Ratio(
            PART,
            f"{more.contestant} over {kept[0].contestant}",
            ratios_by_round(more, kept[0]),
            figures=f"{rounded(more.median)} and {rounded(kept[0].median)} deliveries/s",
        )
        for more in kept[1:]
    ]
