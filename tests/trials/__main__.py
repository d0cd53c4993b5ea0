"""``make trials``: what holds for calls and writes elsewhere, by the other side's book; exits with 1 if it does not.

ends    a worker with many calls under way is told to end, or killed, in turns
rate    a hundred calls a second over three workers, one of which is killed
once    processes are killed while they make calls that must never be made twice
halves  producers of half messages are killed at one line after the other, and so is the worker that asks their checks
claims  a prize is claimed and expires, and points are issued and revoked, at the same instant
sale    Redis is killed, flushed and failed over in a flash sale, workers and web are killed, in an order by luck
"""

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import django

from tests.run import BROKER, DATABASE

os.environ.setdefault("DATABASE_URL", DATABASE)
os.environ.setdefault("CELERY_BROKER_URL", BROKER)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from tests.harness import sales  # noqa: E402  # the apps have to be ready
from tests.harness.databases import Database  # noqa: E402
from tests.harness.installation import SHORT, installed, migrate  # noqa: E402
from tests.harness.redis_server import RedisServer, redis_server  # noqa: E402
from tests.shop.halves import TABLE  # noqa: E402
from tests.trials.calls import ends, once, rate  # noqa: E402
from tests.trials.promotions import claims, sale  # noqa: E402
from tests.trials.trial import Trial  # noqa: E402
from tests.trials.writes import halves  # noqa: E402

SECONDS = SHORT | {"LEASE": 10}
"""The lease as it ships."""


class Plan(NamedTuple):
    """A trial, how often it does its worst, and whether the engine's own processes run beside it."""

    run: Callable[[Trial], None]
    times: int
    is_alone: bool = False


TRIALS = {
    "ends": Plan(ends, 20),
    "rate": Plan(rate, 1),
    "once": Plan(once, 1_000),
    "halves": Plan(halves, 100),
    # It delivers by itself: what the rescan would find waiting for a worker, it would give up in the end.
    "claims": Plan(claims, 1_000, is_alone=True),
    "sale": Plan(sale, 20),
}


@contextmanager
def other_sides(name: str, folder: Path) -> Iterator[tuple[dict[str, str], RedisServer | None]]:
    """Make what the trial needs besides: a Redis for a sale, what half messages are written beside; yield addresses."""
    if name not in ("halves", "sale"):
        yield {}, None
        return
    folder.mkdir()
    if name == "sale":
        with redis_server(folder, "--save", "", "--appendonly", "no") as server:
            yield {"REDIS_URL": server.url, **sales.ENVIRONMENT}, server
        return
    other = Database(os.environ["DATABASE_URL"], f"trial_other_{os.getpid()}")
    try:
        other.rows(TABLE)
        with redis_server(folder) as server:
            addresses = {"OTHER_DATABASE": other.outside, "OTHER_REDIS": server.url}
            os.environ.update(addresses)
            yield addresses, server
    finally:
        other.drop()


@contextmanager
def trial_of(name: str, times: int, rng: random.Random) -> Iterator[Trial]:
    """Make an installation of its own for one trial, with all but its workers."""
    database = Database(os.environ["DATABASE_URL"], f"trial_{name}_{os.getpid()}")
    broker, prefix = os.environ["CELERY_BROKER_URL"], f"trial-{name}-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="trial-") as folder:
        book = Path(folder, "book")
        book.touch()
        with (
            other_sides(name, Path(folder, "redis")) as (others, redis),
            installed(
                database,
                broker=broker,
                prefix=prefix,
                folder=Path(folder),
                seconds=SECONDS,
                extra={"VENDOR_BOOK": str(book), **others},
            ) as installation,
        ):
            migrate(installation.environment)
            if not TRIALS[name].is_alone:
                installation.control()
                installation.beat()
            yield Trial(database, installation, book, times, rng, redis)


def main() -> int:
    """Run the trials that were asked for, or all, and say what does not hold."""
    parser = argparse.ArgumentParser(
        prog="make trials", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[[], *TRIALS], help="which (default: all)")
    parser.add_argument(
        "--times", type=int, help="how often (default 20, 1,000 or 100); claims --times 50 takes a quarter of a minute"
    )
    parser.add_argument("--seed", type=int, default=0, help="repeats the moments of an earlier run")
    options = parser.parse_args()
    seed = options.seed or random.SystemRandom().randrange(1, 10**6)
    problems = []
    for name in options.names or TRIALS:
        plan = TRIALS[name]
        print(f"{name}, seed {seed}", flush=True)
        with trial_of(name, options.times or plan.times, random.Random(seed)) as trial:
            plan.run(trial)
        problems += [f"{name}: {problem}" for problem in trial.problems]
    print("\n".join(problems) or "all of it holds")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
