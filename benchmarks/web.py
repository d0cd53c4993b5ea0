"""Whole draws per second through the production web server, with their messages and without.

Gunicorn as ``make up`` runs it, one server each with a database of its own, and the same small client for both. No
worker runs: what is compared is what the outbox costs the request. Without means that the benchmark's own WSGI module
takes ``publish`` out of the draw.
"""

import contextlib
from dataclasses import replace

from benchmarks.contestant import Contestant, Plan, Service
from benchmarks.contestants import MAKEGOOD
from benchmarks.environment import free_port, set_up_contestants
from benchmarks.http_load import draws_per_second
from benchmarks.measurements import Measurement, Options, Ratio, measure_in_turns, ratios_by_round, rounded

PART = "web"
AT_LEAST = 0.75
COMMANDS = ("benchmarks.peers.commands", "benchmarks.peers.producer_costs")


def run(options: Options) -> list[Ratio]:
    """Load both servers in turns and return the ratio of their draws per second."""
    seconds = options.pick(5, 2)
    with contextlib.ExitStack() as stack:
        ports = {"with messages": free_port(), "without messages": free_port()}
        plans = [_plan(name, port, without=name.startswith("without")) for name, port in ports.items()]
        contestants = stack.enter_context(set_up_contestants(plans))
        for contestant in contestants:
            contestant.call("open_campaign")
            stack.enter_context(contestant.services_running())
        measurements = {
            contestant: [Measurement(PART, contestant.name, "draws", "draws/s", work=0)] for contestant in contestants
        }
        measure_in_turns(
            measurements,
            lambda contestant: [_measure_draws(contestant, ports[contestant.name], seconds)],
            rounds=options.rounds,
        )
    [with_messages], [without] = measurements.values()
    with_messages.print_json()
    without.print_json()
    return [
        Ratio(
            PART,
            "draws per second, with messages over without",
            ratios_by_round(with_messages, without),
            at_least=AT_LEAST,
            figures=f"{rounded(with_messages.median)} and {rounded(without.median)} draws/s",
        )
    ]


def _measure_draws(contestant: Contestant, port: int, seconds: float) -> float:
    rate = draws_per_second(port, seconds)
    contestant.call("check_draws", published=contestant.plan.environment["BENCH_WITHOUT"] == "0")
    return rate


def _plan(name: str, port: int, *, without: bool) -> Plan:
    server = [
        *("{python}", "-m", "gunicorn", "benchmarks.peers.makegood.wsgi", "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--workers", "2", "--threads", "4"),
        *("--graceful-timeout", "5", "--no-control-socket"),
    ]
    environment = {**MAKEGOOD.environment, "BENCH_WITHOUT": "1" if without else "0"}
    web = Service("web", server, "Booting worker")
    return replace(MAKEGOOD, name=name, services=[web], environment=environment, commands=COMMANDS)
