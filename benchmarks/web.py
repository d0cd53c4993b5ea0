"""Whole draws per second through the production web server, with their messages and without.

Gunicorn as ``make up`` runs it, one server each with a database of its own, and the same small client for both. No
worker runs: what is compared is what the outbox costs the request. Without means that the benchmark's own WSGI module
takes ``publish`` out of the draw.
"""

import contextlib
import socket
from dataclasses import replace

from benchmarks import sides
from benchmarks.load import draws_per_second
from benchmarks.measuring import Figure, Options, Ratio, in_turns, over, shortened
from benchmarks.side import Plan, Service, Side
from benchmarks.surroundings import put_up

PART = "web"
AT_LEAST = 0.75
COMMANDS = ("benchmarks.peers.commands", "benchmarks.peers.costs")


def run(options: Options) -> list[Ratio]:
    """Load both servers in turns and return the ratio of their draws per second."""
    seconds = options.pick(5, 2)
    with contextlib.ExitStack() as stack:
        ports = {"with messages": _free_port(), "without messages": _free_port()}
        plans = [_plan(name, port, without=name.startswith("without")) for name, port in ports.items()]
        put = stack.enter_context(put_up(plans))
        for side in put:
            side.ask("open_campaign")
            stack.enter_context(side.working())
        figures = {side: [Figure(PART, side.plan.name, "draws", "draws/s", work=0)] for side in put}
        in_turns(figures, lambda side: [_loaded(side, ports[side.plan.name], seconds)], rounds=options.rounds)
    [with_messages], [without] = figures.values()
    with_messages.say()
    without.say()
    return [
        Ratio(
            PART,
            "draws per second, with messages over without",
            over(with_messages, without),
            at_least=AT_LEAST,
            figures=f"{shortened(with_messages.median)} and {shortened(without.median)} draws/s",
        )
    ]


def _loaded(side: Side, port: int, seconds: float) -> float:
    made = draws_per_second(port, seconds)
    side.ask("check_draws", published=side.plan.environment["BENCH_WITHOUT"] == "0")
    return made


def _plan(name: str, port: int, *, without: bool) -> Plan:
    server = [
        *("{python}", "-m", "gunicorn", "benchmarks.peers.makegood.wsgi", "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--workers", "2", "--threads", "4"),
        *("--graceful-timeout", "5", "--no-control-socket"),
    ]
    environment = {**sides.MAKEGOOD.environment, "BENCH_WITHOUT": "1" if without else "0"}
    web = Service("web", server, "Booting worker")
    return replace(sides.MAKEGOOD, name=name, services=[web], environment=environment, commands=COMMANDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
