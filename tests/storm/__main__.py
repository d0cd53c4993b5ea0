"""``make storm``: real processes, random faults, a verdict; the exit status is 1 if anything was lost or doubled."""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import django

from tests.run import BROKER, DATABASE, ROOT

os.environ.setdefault("DATABASE_URL", DATABASE)
os.environ.setdefault("CELERY_BROKER_URL", BROKER)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from tests.harness.databases import Database  # noqa: E402  # the apps have to be ready
from tests.harness.installation import SHORT, installed, migrate  # noqa: E402
from tests.harness.node import Node  # noqa: E402
from tests.harness.oracle import HISTORY  # noqa: E402
from tests.harness.proxy import Proxy  # noqa: E402
from tests.storm.faults import FAULTS, World  # noqa: E402
from tests.storm.traffic import Traffic  # noqa: E402
from tests.storm.verdict import RECOVERY, verdict  # noqa: E402

LOGS = ROOT / ".makegood" / "storm"
SECONDS = SHORT | {"LEASE": 10}
"""The lease as it ships: longer than the database is away here, for what a handler has committed must be settled."""
MANY = 6
"""Messages of each kind that are published at once."""


def parse_arguments() -> argparse.Namespace:
    """Return how long, and by which seed."""
    parser = argparse.ArgumentParser(prog="make storm", description="Let faults happen to real processes at random.")
    parser.add_argument("--minutes", type=float, default=15, help="how long (default 15)")
    parser.add_argument("--seed", type=int, default=0, help="repeats the schedule of an earlier storm")
    return parser.parse_args()


@contextmanager
def world_of(rng: random.Random, folder: Path) -> Iterator[World]:
    """Run two workers, a control worker, beat and a client on a broker of our own, with a proxy before each service."""
    (folder / "node").mkdir()
    node = Node(folder / "node")
    database = Database(os.environ["DATABASE_URL"], f"storm_{os.getpid()}")
    links = Proxy(node.url), Proxy(database.url)
    try:
        with installed(
            database, broker=node.url, prefix=f"storm-{os.getpid()}", folder=folder, seconds=SECONDS
        ) as installation:
            migrate(installation.environment)
            installation.rows(HISTORY)
            client = installation.client()
            installation.clients = [client]
            installation.environment |= {"CELERY_BROKER_URL": links[0].url, "DATABASE_URL": through(links[1], database)}
            workers = [installation.worker("left"), installation.worker("right")]
            yield World(installation, workers, installation.control(), installation.beat(), node, *links, rng)
    finally:
        for link in links:
            link.close()
        node.close()


def through(link: Proxy, database: Database) -> str:
    """Return the database's address as it is seen through the proxy."""
    return urlunsplit(urlsplit(link.url)._replace(path=f"/{database.name}"))


def let_it_storm(world: World, traffic: Traffic, until: float) -> tuple[Counter[str], list[tuple[str, float]]]:
    """Do one fault after another while messages flow; return what was done, and how long each recovery took."""
    done: Counter[str] = Counter()
    recoveries = []
    while time.monotonic() < until:
        traffic.publish(MANY)
        name = world.rng.choice(list(FAULTS))
        FAULTS[name](world)
        done[name] += 1
        for sentence in world.start_what_ended():
            print(sentence, flush=True)
        seconds = world.recovery(traffic, MANY)
        recoveries.append((name, seconds))
        left = max(until - time.monotonic(), 0)
        print(f"{name}: recovered in {seconds:.1f} s; {traffic.published} published, {left:.0f} s to go", flush=True)
    return done, recoveries


def keep_logs(folder: Path) -> None:
    """Keep what the processes have said; it tells what happened to a message."""
    LOGS.mkdir(parents=True, exist_ok=True)
    for log in folder.glob("*.log"):
        shutil.copy(log, LOGS)
    print(f"what the processes have said is in {LOGS}")


def main() -> int:
    """Let it storm and judge."""
    options = parse_arguments()
    seed = options.seed or random.SystemRandom().randrange(1, 10**6)
    print(f"seed {seed}, {options.minutes:g} minutes", flush=True)
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="storm-") as folder, world_of(rng, Path(folder)) as world:
        traffic = Traffic(world.installation.clients[0], rng)
        done, recoveries = let_it_storm(world, traffic, time.monotonic() + options.minutes * 60)
        world.settle_down()
        problems = verdict(world.installation, traffic.published)
        if problems:
            keep_logs(Path(folder))
    slow = [(name, round(seconds)) for name, seconds in recoveries if seconds > RECOVERY]
    slowest = max(seconds for _name, seconds in recoveries)
    print(f"\n{done.total()} faults of {len(done)} kinds:", *(f"{n} × {name}," for name, n in done.most_common()))
    print(f"{traffic.published} messages; recovery at most {slowest:.1f} s (allowed: {RECOVERY} s) {slow or ''}")
    for problem, rows in problems.items():
        print(f"{problem}: {rows[:5]}")
    print(f"seed {seed}: {'BROKEN' if problems or slow else 'nothing lost, nothing doubled, order strict'}")
    return 1 if problems or slow else 0


if __name__ == "__main__":
    sys.exit(main())
