"""How fast a slow vendor is called: two worker processes of fifty calls at once each, at 200 ms, 5 ms and 2 s a call.

The vendor is an HTTP server of its own process that keeps a book. The messages are committed while no worker runs; then
the contestant's processes are started, and the rate counts from the first call that the vendor gets to its last answer:
to its last call, the last wave of a hundred would cost nothing. A round in which a key was not called exactly once has
failed. The most that a hundred calls at once can come to is 500 a second at 200 ms and 50 at 2 s; at 5 ms it is the
processors that set the limit. Where it is the width, whoever keeps all places busy comes to the same, give or take one
wave of fifty: there Makegood must not fall behind its peers by more than that, and at 5 ms it must be ahead.

The bare loops make the same calls by the same client with nothing around them. Of Celery alone a task under way is lost
with its process. Beside the rate are shown the CPU time of the workers and of the database for each call, and the
most connections to the database that one worker process had.
"""

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.contestant import Contestant, Plan
from benchmarks.contestants import (
    BARE_ASYNC,
    BARE_THREADS,
    CELERY_GEVENT,
    CELERY_THREADS,
    MAKEGOOD_ASYNC,
    MAKEGOOD_THREADS,
    PROCRASTINATE_ASYNC,
)
from benchmarks.environment import free_port, set_up_contestants
from benchmarks.measurements import (
    Measurement,
    Options,
    Ratio,
    measure_in_turns,
    print_progress,
    ratios_by_round,
    rounded,
)
from benchmarks.usage import Usage
from benchmarks.vendor.client import Vendor, vendor_running

PART = "outside"
TIMEOUT_SECONDS = 120.0
SETTLE_SECONDS = 20.0
POLL_SECONDS = 0.25
LOOK_SECONDS = 0.5
"""Between two looks at connections and CPU times; they take some of the time that is measured."""
SLOW_SECONDS = 10.0
"""How long the one call takes that must not hold up the others."""
CONNECTIONS_AT_MOST = 4
BESIDE_PEERS = {"5 ms": 1.0, "200 ms": 0.98, "2 s": 0.98}
"""Times the rate of each peer that calls like with like."""


@dataclass(frozen=True)
class Speed:
    """How slow the vendor is, how many messages a round has, in full and quick, and who is measured."""

    name: str
    latency: float
    messages: tuple[int, int]
    plans: Sequence[Plan]
    quick: Sequence[Plan]


OURS = [MAKEGOOD_ASYNC, BARE_ASYNC, MAKEGOOD_THREADS, BARE_THREADS]
PEERS = [PROCRASTINATE_ASYNC, CELERY_THREADS, CELERY_GEVENT]
BOUNDED = [*OURS, *PEERS]
OF_PEERS = [MAKEGOOD_ASYNC, MAKEGOOD_THREADS, *PEERS]
SPEEDS = [
    Speed("200 ms", 0.2, (5_000, 2_000), BOUNDED, BOUNDED),
    Speed("5 ms", 0.005, (6_000, 3_000), BOUNDED, OF_PEERS),
    Speed("2 s", 2.0, (500, 400), BOUNDED, OF_PEERS),
]
MEASURES = {
    "calls": "calls/s",
    "calls in full swing": "calls/s",
    "connections of a process": "",
    "CPU of the workers": "ms/call",
    "CPU of the database": "ms/call",
    "CPU of the vendor": "ms/call",
}
"""What each round comes to, and in which unit."""


def run(options: Options) -> list[Ratio]:
    """Have each contestant call the vendor in turns, at each of its speeds, and return the ratios."""
    ratios: list[Ratio] = []
    with contextlib.ExitStack() as stack:
        vendor = stack.enter_context(vendor_running(free_port()))
        plans = {plan.name: plan for speed in SPEEDS for plan in options.pick(speed.plans, speed.quick)}
        contestants = stack.enter_context(set_up_contestants([_at(plan, vendor) for plan in plans.values()]))
        by_name = {contestant.name: contestant for contestant in contestants}
        for speed in SPEEDS:
            print_progress(f" {speed.name} a call")
            chosen = [by_name[plan.name] for plan in options.pick(speed.plans, speed.quick)]
            found = measure_speed(chosen, vendor, speed, options)
            ratios += compare(found, speed.name)
        ratios.append(measure_no_barrier(by_name[MAKEGOOD_ASYNC.name], vendor, options))
    return ratios


def measure_speed(
    contestants: Sequence[Contestant], vendor: Vendor, speed: Speed, options: Options
) -> dict[str, dict[str, Measurement]]:
    """Measure the contestants in turns while the vendor is that slow; return their measurements by name and measure."""
    messages = options.pick(*speed.messages)
    measurements = {
        contestant: [
            Measurement(PART, contestant.name, f"{measure}, {speed.name}", unit, work=messages)
            for measure, unit in MEASURES.items()
        ]
        for contestant in contestants
    }

    def measure(contestant: Contestant) -> list[float]:
        vendor.set_up(latency=speed.latency)
        return make_calls(contestant, vendor, messages)

    measure_in_turns(measurements, measure, rounds=options.rounds, warm_up=0)
    for kept in measurements.values():
        for measurement in kept:
            measurement.print_json()
    return {contestant.name: dict(zip(MEASURES, kept, strict=True)) for contestant, kept in measurements.items()}


def make_calls(contestant: Contestant, vendor: Vendor, messages: int, *, beside: int = 0) -> list[float]:
    """Commit the messages, start the contestant's processes, and return what the calls came to: see ``MEASURES``.

    ``beside`` says how many of the messages are for the vendor's slow key; the book does not count them.
    """
    contestant.call("clear_tables")
    contestant.call("publish_backlog", messages=messages)
    usage = Usage()
    with contestant.services_running():
        progress = _wait_for_first_call(contestant, vendor)
        cpu_seconds, before = progress["cpu_seconds"], progress["calls"]
        look_at = 0.0
        until = time.monotonic() + TIMEOUT_SECONDS
        while progress["answered"] < messages:
            contestant.check_services_run()
            if time.monotonic() > until:
                raise contestant.round_failed(f"of {messages} calls {progress} within {TIMEOUT_SECONDS} s")
            if time.monotonic() > look_at:
                usage.look(contestant)
                look_at = time.monotonic() + LOOK_SECONDS
            time.sleep(POLL_SECONDS)
            progress = vendor.progress()
        usage.look(contestant)
        _wait_until_settled(contestant)
        book = vendor.book()
    check_called_once(contestant, book, messages - beside)
    calls = max(1, progress["calls"] - before)
    return [
        rate_of(book),
        book["in_full_swing"],
        float(max(usage.connections.values(), default=0)),
        sum(usage.processes.values()) * 1e3 / calls,
        sum(usage.backends.values()) * 1e3 / calls,
        (progress["cpu_seconds"] - cpu_seconds) * 1e3 / calls,
    ]


def _wait_for_first_call(contestant: Contestant, vendor: Vendor) -> dict[str, Any]:
    until = time.monotonic() + TIMEOUT_SECONDS
    while not (progress := vendor.progress())["calls"]:
        contestant.check_services_run()
        if time.monotonic() > until:
            raise contestant.round_failed(f"the vendor was not called within {TIMEOUT_SECONDS} s")
        time.sleep(POLL_SECONDS)
    return progress


def _wait_until_settled(contestant: Contestant) -> None:
    """Wait until the contestant has written down what it did, and give a second call for a key the time to be made."""
    until = time.monotonic() + SETTLE_SECONDS
    while unsettled := contestant.call("count_unsettled"):
        if time.monotonic() > until:
            raise contestant.round_failed(f"{unsettled} messages were not settled {SETTLE_SECONDS} s after their calls")
        time.sleep(POLL_SECONDS)
    time.sleep(POLL_SECONDS)


def check_called_once(contestant: Contestant, book: Mapping[str, Any], keys: int) -> None:
    """Raise if the vendor was not called exactly once for each of so many keys."""
    if not book["keys"] == book["once"] == keys or book["doubles"]:
        raise contestant.round_failed(f"of {keys} keys {dict(book)}")


def rate_of(book: Mapping[str, Any]) -> float:
    """Return the calls per second from the first call to the last answer."""
    return float(book["once"] / book["seconds"])


def measure_no_barrier(contestant: Contestant, vendor: Vendor, options: Options) -> Ratio:
    """Return the rate of the others beside one call of ten seconds, over the rate without it."""
    latency, messages = SPEEDS[0].latency, options.pick(*SPEEDS[0].messages)
    slow, without = (
        [Measurement(PART, f"{contestant.name}, {how}", "calls, 200 ms", "calls/s", work=messages)]
        for how in ("one of them slow", "none slow")
    )

    def measure(slow_key: str) -> list[float]:
        vendor.set_up(latency=latency, slow_key=slow_key, slow_latency=SLOW_SECONDS)
        return make_calls(contestant, vendor, messages, beside=1 if slow_key else 0)[:1]

    measure_in_turns({"1": slow, "": without}, measure, rounds=options.rounds, warm_up=0, alternate=True)
    for [measurement] in (slow, without):
        measurement.print_json()
    return Ratio(
        PART,
        "beside a call of 10 s over without it",
        ratios_by_round(slow[0], without[0]),
        at_least=0.95,
        figures=f"{rounded(slow[0].median)} and {rounded(without[0].median)} calls/s",
    )


def compare(found: Mapping[str, Mapping[str, Measurement]], speed: str) -> list[Ratio]:
    """Return how many times faster Makegood calls than each of the others, and the connections that it takes."""
    loop, threads = MAKEGOOD_ASYNC.name, MAKEGOOD_THREADS.name
    of_bare = 0.8 if speed == SPEEDS[0].name else None
    bounds: list[tuple[str, str, float | None]] = [
        (loop, BARE_ASYNC.name, of_bare),
        (threads, BARE_THREADS.name, of_bare),
        (loop, PROCRASTINATE_ASYNC.name, BESIDE_PEERS[speed]),
        # Like with like: Celery calls plain functions, and so do our threads.
        *((threads, plan.name, BESIDE_PEERS[speed]) for plan in (CELERY_THREADS, CELERY_GEVENT)),
        *((loop, plan.name, None) for plan in (CELERY_THREADS, CELERY_GEVENT)),
    ]
    ratios = [
        Ratio(
            PART,
            f"{speed}: {ours} over {other}",
            ratios_by_round(found[ours]["calls"], found[other]["calls"]),
            at_least=bound,
            figures=f"{rounded(found[ours]['calls'].median)} and {rounded(found[other]['calls'].median)} calls/s",
        )
        for ours, other, bound in bounds
        if ours in found and other in found
    ]
    return [
        *ratios,
        *(
            Ratio(
                PART,
                f"{speed}: connections of a process, {name}",
                found[name]["connections of a process"].rounds,
                at_most=CONNECTIONS_AT_MOST if name == loop else None,
                unit="",
            )
            for name in (loop, threads)
            if name in found
        ),
    ]


def _at(plan: Plan, vendor: Vendor) -> Plan:
    """Return the plan of a contestant that knows the vendor's address."""
    return replace(plan, environment={**plan.environment, "BENCH_VENDOR": vendor.url})
