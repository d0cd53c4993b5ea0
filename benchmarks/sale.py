"""A flash sale, three ways in one run: the stock in the database, in Redis, and draws that wait in a queue.

One hot prize of 1,000 pieces, and 20,000 people who come at once over 64 connections. Gunicorn as ``make up`` runs it,
and a worker of one process for what the sale itself lives on; what follows a win rests meanwhile. A draw counts when
its person is answered, so those who ask for a queued draw are part of what is measured.

Then the rate: what a refusal costs beside a draw, and how long those who are let in wait at ten times the load. Of the
client, which shares the machine, nothing is taken off. The CPU seconds are those of the servers alone.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.contestant import Contestant, Plan, Service
from benchmarks.contestants import MAKEGOOD
from benchmarks.environment import free_port, set_up_contestants
from benchmarks.measurements import Measurement, Options, Ratio, print_progress, rounded
from benchmarks.sale_load import Load, run_load
from tests.harness.redis_server import redis_server

PART = "sale"
WAYS = ("database", "redis", "queued")
QUEUED_OVER_DATABASE = 5.0
REFUSED_OVER_DRAWN = 20.0
P99_AT_TEN_TIMES = 1.5
ROUNDS = 3
"""Rounds of that, at most: a p99 is the fifth worst of some four hundred and more."""
KNOWN_AFTER = 2.0
"""Seconds after which each process of the web knows the rate."""
CONSUMERS = ("draw_queued", "write_stock", "give_back", "note_sold_out", "warm_sale")
COMMANDS = ("benchmarks.peers.sale_commands", "benchmarks.peers.commands")
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND client_port > 0"


@dataclass(frozen=True)
class Run:
    """What one load came to: its answers, and the CPU seconds of the servers."""

    answers: dict[str, Any]
    cpu: float

    @property
    def per_second(self) -> float:
        """How many were answered a second."""
        return float((self.answers["answered"] + self.answers["refused"]) / self.answers["seconds"])

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds of the servers for each of them."""
        return self.cpu * 1e3 / float(self.answers["answered"] + self.answers["refused"])


def run(options: Options) -> list[Ratio]:
    """Run the sale three ways, then the rate, and return the ratios."""
    people, pieces = options.pick((20_000, 1_000), (600, 100))
    with tempfile.TemporaryDirectory(prefix="bench-redis") as folder, redis_server(Path(folder), "--save", "") as redis:
        ports = {way: free_port() for way in WAYS}
        with set_up_contestants([_plan(way, port, redis.url) for way, port in ports.items()]) as contestants:
            ways = dict(zip(WAYS, contestants, strict=True))
            runs = {way: _sell(ways[way], way, ports[way], people, pieces) for way in WAYS}
            refused = _refuse(ways["redis"], ports["redis"], options.pick(20_000, 1_000))
            most = _win(ways["redis"], ports["redis"], options.pick(3_000, 300))
            turns = range(min(options.rounds, ROUNDS))
            flat = [_ten_times(ways["redis"], ports["redis"], most, options.pick(25.0, 4.0)) for _ in turns]
    once, ten_times = zip(*flat, strict=True)
    database, queued = runs["database"], runs["queued"]
    return [
        Ratio(
            PART,
            "draws per second, queued over database",
            [queued.per_second / database.per_second],
            at_least=QUEUED_OVER_DATABASE,
            figures=f"{rounded(queued.per_second)} and {rounded(database.per_second)} draws/s",
        ),
        Ratio(
            PART,
            "draws per second, Redis over database",
            [runs["redis"].per_second / database.per_second],
            figures=f"{rounded(runs['redis'].per_second)} and {rounded(database.per_second)} draws/s",
        ),
        Ratio(
            PART,
            "CPU of the servers, a draw over a refusal",
            [database.cpu_ms / refused.cpu_ms],
            at_least=REFUSED_OVER_DRAWN,
            figures=f"{rounded(database.cpu_ms)} and {rounded(refused.cpu_ms)} ms; "
            f"{rounded(refused.per_second)} refusals/s",
        ),
        Ratio(
            PART,
            "p99 of who is let in, ten times the load over once",
            [more / less for less, more in flat],
            at_most=P99_AT_TEN_TIMES,
            figures=f"{rounded(median(ten_times))} and {rounded(median(once))} ms",
        ),
    ]


def _sell(contestant: Contestant, way: str, port: int, people: int, pieces: int) -> Run:
    """Run one sale, see that each was answered once and nothing was oversold, and print its figures."""
    contestant.call("open_sale", how=way, pieces=pieces)
    statements = contestant.call("count_statements", people=50)
    contestant.call("open_sale", how=way, pieces=pieces)
    with contestant.services_running():
        _warm_up(port)
        contestant.call("open_sale", how=way, pieces=pieces)
        result = _load(contestant, Load(port=port, people=people, name=way))
        found = contestant.call("check_sale", pieces=pieces, people=people)
    answers = result.answers
    won = answers["by_kind"].get("won", 0)
    once = sum(answers["by_kind"].values()) == people == won + answers["by_kind"].get("sold_out", 0)
    if not once or found["oversold"] or won != found["sold"] != pieces:
        raise contestant.round_failed(f"{answers}, {found}")
    for measure, unit, value in (
        ("draws", "draws/s", result.per_second),
        ("p50", "ms", answers["p50_ms"]),
        ("p99", "ms", answers["p99_ms"]),
        ("statements", "a request", statements),
        ("CPU of the servers", "ms a draw", result.cpu_ms),
        ("requests", "a draw", answers["requests"] / people),
        ("oversold", "pieces", found["oversold"]),
    ):
        Measurement(PART, way, measure, unit, [value], work=people).print_json()
    print_progress(f"  {way}: {rounded(result.per_second)} draws/s, {answers['by_kind']}, {found}")
    return result


def _refuse(contestant: Contestant, port: int, people: int) -> Run:
    """Let nearly nobody in, and return what the others cost."""
    contestant.call("open_sale", how="redis", pieces=1_000, rate=1, burst=1)
    with contestant.services_running():
        _warm_up(port)
        result = _load(contestant, Load(port=port, people=people, name="refused"))
    refused = result.answers["refused"]
    if refused < 0.9 * people:
        raise contestant.round_failed(f"only {refused} of {people} were refused: {result.answers}")
    Measurement(PART, "rate", "refusals", "refusals/s", [result.per_second], work=people).print_json()
    Measurement(PART, "rate", "CPU of the servers", "ms a refusal", [result.cpu_ms], work=people).print_json()
    return result


def _win(contestant: Contestant, port: int, people: int) -> Run:
    """Return what draws cost that all win: far more than most of a sale, which find that all is gone."""
    contestant.call("open_sale", how="redis", pieces=100_000)
    with contestant.services_running():
        _warm_up(port)
        result = _load(contestant, Load(port=port, people=people, name="winner"))
    if result.answers["by_kind"].get("won") != people:
        raise contestant.round_failed(f"not all of {people} have won: {result.answers}")
    Measurement(PART, "rate", "draws that win", "draws/s", [result.per_second], work=people).print_json()
    return result


def _ten_times(contestant: Contestant, port: int, most: Run, seconds: float) -> tuple[float, float]:
    """Return the p99 of who is let in, at a third of the rate at which all can win, and at ten times that load."""
    rate = max(5, int(most.per_second / 3))
    found = []
    for times in (1, 10):
        contestant.call("open_sale", how="redis", pieces=100_000)
        with contestant.services_running():
            _warm_up(port)  # before there is a rate, so all are let in and every thread has its session
            # At once the load, all are let in but for what chance bunches together.
            contestant.call("open_sale", how="redis", pieces=100_000, rate=rate, burst=max(1, rate // 10))
            time.sleep(KNOWN_AFTER)
            came = rate * times * 0.9
            load = Load(port=port, people=int(came * seconds), a_second=came, name=f"times-{times}")
            answers = _load(contestant, load).answers
        name = f"{times} x {rate}/s"
        Measurement(PART, name, "p99 let in", "ms", [answers["p99_ms"]], work=answers["answered"]).print_json()
        print_progress(f"  {name}: {answers}")
        found.append(float(answers["p99_ms"]))
    return found[0], found[1]


def _warm_up(port: int) -> None:
    """Have each process and thread begin what it begins once, by people who are not counted."""
    run_load(Load(port=port, people=128, connections=16, name="warm-up"))


def _load(contestant: Contestant, load: Load) -> Run:
    with _cpu_counted(contestant) as cpu:
        answers = run_load(load)
    contestant.check_services_run()
    return Run(answers, cpu[0])


@contextlib.contextmanager
def _cpu_counted(contestant: Contestant) -> Iterator[list[float]]:
    """Count the CPU seconds of the contestant's processes and of its sessions in the database."""
    seconds = [0.0]
    before = _cpu(contestant)
    yield seconds
    after = _cpu(contestant)
    seconds[0] = sum(taken - before.get(pid, 0.0) for pid, taken in after.items())


def _cpu(contestant: Contestant) -> dict[int, float]:
    family = [process for program in contestant.programs for process in program.family()]
    family += [psutil.Process(pid) for [pid] in contestant.database.rows(BACKENDS)]
    found = {}
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            found[process.pid] = times.user + times.system
    return found


def _plan(way: str, port: int, redis_url: str) -> Plan:
    server = ["{python}", "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"]
    server += ["--workers", "2", "--threads", "4", "--graceful-timeout", "5", "--no-control-socket"]
    queues = ",".join(f"{{run}}.awards.{name}" for name in CONSUMERS)
    worker = ["{python}", "-m", "celery", "-A", "config", "worker", "-n", "{node}", "-P", "prefork", "-c", "1"]
    worker += ["-Q", queues, "--without-gossip", "--without-mingle", "-l", "WARNING"]
    services = [Service("web", server, "Booting worker"), Service("worker", worker, "[queues]")]
    environment = {**MAKEGOOD.environment, "REDIS_URL": redis_url, "WEB_CONCURRENCY": "2"}
    return replace(
        MAKEGOOD,
        name=way,
        services=services[: 1 if way == "database" else 2],
        environment=environment,
        commands=COMMANDS,
    )
