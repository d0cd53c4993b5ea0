"""What it costs that messages have an ordering key: none of them, all of one key, all of a thousand keys.

Messages of one key are called one after the other, so one process works and the other looks on. What a worker of one
process does without keys stands beside it: it is what one key can reach.

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
OF_ONE_PROCESS = 0.9
"""What share of the backlog's rate without keys in one process is required of one key."""
PER_COMMIT = 1
"""Messages that a transaction commits when they are published live, as a request does."""
HOW = ("backlog", "live")


def run(options: Options) -> list[Ratio]:
    """Measure messages with no key, one and a thousand in turns, and return the ratios."""
    numbers = (0, *AT_LEAST)
    backlog, live = options.pick((15_000, 3_000), (4_000, 1_000))
    with set_up_contestants([*map(ordered_by, numbers), ordered_by(0, processes=1)]) as contestants:
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
    *found, in_one_process = measurements.values()
    return compare(dict(zip(numbers, found, strict=True)), in_one_process)


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


def compare(found: dict[int, list[Measurement]], in_one_process: list[Measurement]) -> list[Ratio]:
    """Return what share of the rate without keys is reached with them."""
    ratios = [
        _ratio(ordered, free, at_least=bound)
        for keys, bound in AT_LEAST.items()
        for ordered, free in zip(found[keys], found[0], strict=True)
    ]
    return [
        *ratios,
        *(_ratio(one, free) for one, free in zip(in_one_process, found[0], strict=True)),
        _ratio(found[1][0], in_one_process[0], at_least=OF_ONE_PROCESS),
        _ratio(found[1][1], in_one_process[1]),
    ]


def _ratio(measured: Measurement, free: Measurement, *, at_least: float | None = None) -> Ratio:
    return Ratio(
        PART,
        f"{measured.contestant} over {free.contestant}, {measured.measure}",
        ratios_by_round(measured, free),
        at_least=at_least,
        figures=f"{rounded(measured.median)} and {rounded(free.median)} messages/s",
    )
