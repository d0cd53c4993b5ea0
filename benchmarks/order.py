"""What it costs that messages have an ordering key: none of them, all of one key, all of a thousand keys.

From a backlog that was committed while no worker ran, and live: one process commits one message after the other, as
fast as it goes, while the workers are at work. The rate counts from the first award issued to the last.
"""

import time

from benchmarks.contestant import Contestant
from benchmarks.contestants import ordered_by
from benchmarks.drain import POLL_SECONDS, TIMEOUT_SECONDS, drain
from benchmarks.environment import set_up_contestants
from benchmarks.measurements import Measurement, Options, Ratio, measure_in_turns, ratios_by_round, rounded

PART = "order"
AT_LEAST = {1: 0.5, 1_000: 0.8}
"""What share of the rate without keys is required, by the number of keys."""
PER_COMMIT = 1
"""Messages that a transaction commits when they are published live, as a request does."""
HOW = ("backlog", "live")


def run(options: Options) -> list[Ratio]:
    """Measure messages with no key, one and a thousand in turns, and return the ratios."""
    numbers = (0, *AT_LEAST)
    backlog, live = options.pick((6_000, 1_500), (4_000, 1_000))
    with set_up_contestants([ordered_by(keys) for keys in numbers]) as contestants:
        measurements = {
            contestant: [
                Measurement(PART, contestant.name, how, "messages/s", work=work)
                for how, work in zip(HOW, (backlog, live), strict=True)
            ]
            for contestant in contestants
        }
        measure_in_turns(
            measurements,
            lambda contestant: [drain(contestant, backlog), publish_live(contestant, live)],
            rounds=options.rounds,
            warm_up=0,
            alternate=True,
        )
    for kept in measurements.values():
        for measurement in kept:
            measurement.print_json()
    return compare(dict(zip(numbers, measurements.values(), strict=True)))


def publish_live(contestant: Contestant, messages: int) -> float:
    """Start the contestant's processes, have it publish, and return the awards issued per second."""
    contestant.call("clear_tables")
    with contestant.services_running():
        contestant.call("publish_live", messages=messages, per_commit=PER_COMMIT)
        until = time.monotonic() + TIMEOUT_SECONDS
        while unissued := contestant.call("count_unissued"):
            contestant.check_services_run()
            if time.monotonic() > until:
                raise contestant.round_failed(f"{unissued} awards were not issued within {TIMEOUT_SECONDS} s")
            time.sleep(POLL_SECONDS)
    return (messages - 1) / contestant.check_issued_once(messages)


def compare(found: dict[int, list[Measurement]]) -> list[Ratio]:
    """Return what share of the rate without keys is reached with them."""
    return [
        Ratio(
            PART,
            f"{ordered.contestant} over {free.contestant}, {ordered.measure}",
            ratios_by_round(ordered, free),
            at_least=bound,
            figures=f"{rounded(ordered.median)} and {rounded(free.median)} messages/s",
        )
        for keys, bound in AT_LEAST.items()
        for ordered, free in zip(found[keys], found[0], strict=True)
    ]
