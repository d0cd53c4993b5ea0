"""How long from commit to success at an even rate, with real processes; run as a file, for Makegood alone.

One process commits awards with their messages at an even rate, as a web process would; the contestant's processes do
the rest, on PostgreSQL and RabbitMQ. Begins when COMMIT has returned, ends when the message became a success (Makegood)
or its award was issued (peers, who thereby end a moment earlier), both on the database's clock.
"""

import argparse
import json
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.contestant import Contestant
from benchmarks.contestants import CELERY, CELERY_TUNED, MAKEGOOD, OUTBOX_TUNED, PROCRASTINATE
from benchmarks.environment import set_up_contestants
from benchmarks.measurements import Measurement, Options, Ratio, measure_in_turns, quantile, ratios_by_round, rounded

PART = "latency"
RATES = (50, 400)
WARM_UP_SECONDS = 3
TIMEOUT_SECONDS = 60
REQUIRED: dict[int, tuple[float | None, float]] = {50: (10.0, 50.0), 400: (None, 50.0)}
"""Milliseconds at most by rate: the median, and what 99 of 100 stay under."""
BESIDE_CELERY = 1.3
"""Times Celery's own median at most, at the lowest rate."""
ALL = [MAKEGOOD, CELERY, CELERY_TUNED, OUTBOX_TUNED, PROCRASTINATE]
BOUNDED = ALL[:2]
"""Those between which a ratio is required; the others are shown in full runs."""


def run(options: Options) -> list[Ratio]:
    """Measure each contestant at each rate in turns and return the ratios."""
    plans = options.pick(ALL, BOUNDED)
    seconds = 2
    with set_up_contestants(plans) as contestants:
        measurements = {contestant: _measurements(contestant.name, seconds) for contestant in contestants}
        measure_in_turns(
            measurements, lambda contestant: _measure_rates(contestant, seconds), rounds=options.rounds, warm_up=0
        )
    found = {
        measurement.contestant + measurement.measure: measurement
        for kept in measurements.values()
        for measurement in kept
    }
    for measurement in found.values():
        measurement.print_json()
    return compare(found)


def _measurements(name: str, seconds: float) -> list[Measurement]:
    names = [(rate, *measure) for rate in RATES for measure in (("p50", "ms"), ("p99", "ms"), ("rate reached", "/s"))]
    return [
        Measurement(PART, name, f"{what} at {rate}/s", unit, work=round(rate * seconds)) for rate, what, unit in names
    ]


def _measure_rates(contestant: Contestant, seconds: float) -> list[float]:
    """Start the processes, warm them up, and return median, 99th percentile and reached rate for each rate.

    Where a request costs so much that the rate is not reached, latency looks better than it would at that rate.
    """
    with contestant.services_running():
        contestant.call("measure_latency", rate=100, seconds=WARM_UP_SECONDS / 2, within=TIMEOUT_SECONDS)
        measured = [
            contestant.call("measure_latency", rate=rate, seconds=seconds, within=TIMEOUT_SECONDS) for rate in RATES
        ]
    for latency in measured:
        _check_issued_once(contestant, latency)
    return [
        value
        for latency in measured
        for value in (quantile(latency["waits"], 0.5), quantile(latency["waits"], 0.99), latency["rate"])
    ]


def _check_issued_once(contestant: Contestant, latency: dict[str, Any]) -> None:
    if latency["once"] != len(latency["waits"]):
        raise contestant.round_failed(f"of {len(latency['waits'])} awards {latency['once']} were issued once")


def compare(found: dict[str, Measurement]) -> list[Ratio]:
    """Return Makegood's own bounds, and its medians beside the others'."""
    ours = MAKEGOOD.name
    own = [
        Ratio(PART, f"{ours} {name} at {rate}/s", found[f"{ours}{name} at {rate}/s"].rounds, at_most=bound, unit=" ms")
        for rate, bounds in REQUIRED.items()
        for name, bound in zip(("p50", "p99"), bounds, strict=True)
    ]
    return own + [
        Ratio(
            PART,
            f"Makegood over {plan.name}, p50 at {rate}/s",
            ratios_by_round(found[f"{ours}p50 at {rate}/s"], found[f"{plan.name}p50 at {rate}/s"]),
            at_most=BESIDE_CELERY if (plan, rate) == (CELERY, RATES[0]) else None,
            figures=" and ".join(f"{rounded(found[f'{name}p50 at {rate}/s'].median)} ms" for name in (ours, plan.name)),
        )
        for rate in RATES
        for plan in ALL[1:]
        if f"{plan.name}p50 at {rate}/s" in found
    ]


@dataclass(frozen=True)
class Result:
    """What one rate came to; times in milliseconds from commit to success, ``start`` from commit to start."""

    rate: int
    published: int
    published_per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    start_p50_ms: float
    publish_p50_ms: float
    retried: int


def main() -> None:
    """Measure Makegood alone, rate after rate."""
    parser = argparse.ArgumentParser(description="Measure the latency from commit to success.")
    parser.add_argument("--seconds", type=float, default=20, help="how long to publish at each rate (default 20)")
    parser.add_argument("--rates", type=int, nargs="+", default=RATES, help="messages per second (default 50 400)")
    options = parser.parse_args()
    results = []
    with set_up_contestants([MAKEGOOD]) as [contestant], contestant.services_running():
        contestant.call("measure_latency", rate=50, seconds=WARM_UP_SECONDS, within=TIMEOUT_SECONDS)
        for rate in options.rates:
            latency = contestant.call("measure_latency", rate=rate, seconds=options.seconds, within=TIMEOUT_SECONDS)
            _check_issued_once(contestant, latency)
            results.append(_result(rate, latency))
            print(json.dumps(asdict(results[-1])), flush=True)
    print_table(results)


def _result(rate: int, latency: dict[str, Any]) -> Result:
    waits = latency["waits"]
    return Result(
        rate=rate,
        published=len(waits),
        published_per_second=round(latency["rate"], 1),
        p50_ms=round(quantile(waits, 0.5), 2),
        p90_ms=round(quantile(waits, 0.9), 2),
        p99_ms=round(quantile(waits, 0.99), 2),
        max_ms=round(max(waits), 2),
        start_p50_ms=round(statistics.median(latency["starts"]), 2),
        publish_p50_ms=round(statistics.median(latency["commits"]), 2),
        retried=latency["retried"],
    )


def print_table(results: list[Result]) -> None:
    """Print the measurements for people, beside what is required of them."""
    print(f"\n{'rate':>8} {'p50':>9} {'p90':>9} {'p99':>9} {'max':>9}   required")
    for result in results:
        middle, most = REQUIRED.get(result.rate, (None, None))
        required = ", ".join(
            f"{name} <= {bound:.0f} ms: {'met' if value <= bound else 'MISSED'}"
            for name, value, bound in (("p50", result.p50_ms, middle), ("p99", result.p99_ms, most))
            if bound is not None
        )
        measurements = " ".join(
            f"{value:>6.1f} ms" for value in (result.p50_ms, result.p90_ms, result.p99_ms, result.max_ms)
        )
        print(f"{result.rate:>6}/s {measurements}   {required or '-'}")


if __name__ == "__main__":
    main()
