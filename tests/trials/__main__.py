"""``make trials``: what holds for calls beside each other, counted in the vendor's book; exits with 1 if it does not.

ends    a worker with many calls under way is told to end, or killed, in turns
rate    a hundred calls a second over three workers, one of which is killed
once    processes are killed while they make calls that must never be made twice
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import django
import psutil

from tests.run import BROKER, DATABASE

os.environ.setdefault("DATABASE_URL", DATABASE)
os.environ.setdefault("CELERY_BROKER_URL", BROKER)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from tests.harness.databases import Database  # noqa: E402  # the apps have to be ready
from tests.harness.installation import SHORT, Installation, installed, migrate  # noqa: E402
from tests.harness.program import Program, eventually  # noqa: E402
from tests.shop.consumers import CALLS_A_SECOND  # noqa: E402

SECONDS = SHORT | {"LEASE": 10}
"""The lease as it ships."""
UNDER_WAY = "SELECT count(*) FROM outbox_message WHERE status = 'started'"
UNFINISHED = "SELECT count(*) FROM outbox_message WHERE status IN ('pending', 'started')"
CHARGED = "SELECT count(*) FROM outbox_message WHERE status = 'success' AND attempts - attempt_limit <> 1 - 3"
DOUBLED = "SELECT count(*) FROM (SELECT key FROM shop_effect GROUP BY key HAVING count(*) > 1) AS doubled"
ORDERS = 200
"""Orders that are published before each end."""
IN_THE_MIDDLE = 20
"""Calls that are under way at least when a worker is ended."""
DONE_WITHIN = 30.0
"""Seconds after a kill within which everything is done."""
TOLERANCE = 0.05
"""By how much the calls of one second may differ from the rate."""
RATED_SECONDS = 40


class Entry(NamedTuple):
    """One line of the vendor's book."""

    key: str
    pid: int
    at: float


class Trial:
    """An installation, the vendor's book, and the sentences about what does not hold."""

    def __init__(self, installation: Installation, book: Path, times: int, rng: random.Random) -> None:
        self.installation, self.book, self.times, self.rng = installation, book, times, rng
        self.client = installation.client()
        self.problems: list[str] = []

    def entries(self) -> list[Entry]:
        """Return every call that the vendor has had, in their order."""
        lines = [line.split() for line in self.book.read_text().splitlines()]
        return [Entry(key, int(pid), float(at)) for key, pid, at in lines]

    def expect(self, holds: bool, sentence: str) -> None:
        """Note the sentence if it does not hold."""
        if not holds:
            self.problems.append(sentence)

    def finish(self, within: float) -> float:
        """Wait until nothing is unfinished; return the seconds that it took."""
        began = time.monotonic()
        eventually(lambda: not self.installation.count(UNFINISHED), within=within, what="all is finished")
        return time.monotonic() - began


def ends(trial: Trial) -> None:
    """Tell a worker to end, and kill it, in turns, with calls in threads and on the loop under way."""
    around = trial.installation
    worker = around.worker()
    published = 0
    for turn in range(trial.times):
        topic, kills = ("shop.called", "shop.awaited")[turn // 2 % 2], turn % 2 == 1
        keys = [f"order-{turn}-{number}" for number in range(ORDERS)]
        trial.client.publish(topic, keys, {"seconds": 0.5, "settle": True}, per_commit=ORDERS)
        published += ORDERS
        eventually(lambda: around.count(UNDER_WAY) >= IN_THE_MIDDLE, within=20)
        time.sleep(trial.rng.uniform(0, 0.5))
        held, began = around.count(UNDER_WAY), time.monotonic()
        worker.kill() if kills else worker.terminate()
        ended = time.monotonic() - began
        around.restart(worker)
        seconds = trial.finish(within=3 * DONE_WITHIN)
        what = "SIGKILL" if kills else "TERM"
        print(
            f"{turn + 1}: {what}, {topic}, {held} under way, ended in {ended:.1f} s, done {seconds:.1f} s later",
            flush=True,
        )
        trial.expect(seconds <= DONE_WITHIN, f"{what} {turn + 1}: done only after {seconds:.1f} s")
    calls = Counter(entry.key for entry in trial.entries())
    print(
        f"{published} orders, {len(calls)} in the book, {sum(calls.values()) - len(calls)} asked for again after a kill"
    )
    trial.expect(len(calls) == published, f"the book has {len(calls)} orders of {published}")
    trial.expect(around.statuses() == {"success": published}, f"statuses: {around.statuses()}")
    trial.expect(around.count("SELECT count(*) FROM shop_effect") == published, "effects are missing")
    trial.expect(not around.count(DOUBLED), "an effect is there twice")
    trial.expect(not around.count(CHARGED), "an innocent call was charged")


def rate(trial: Trial) -> None:
    """Count the calls of each second over three workers, and kill one of them in the middle."""
    around = trial.installation
    workers = [around.worker(f"worker-{number}") for number in range(3)]
    many = CALLS_A_SECOND * RATED_SECONDS
    trial.client.publish("shop.rated", [f"order-{number}" for number in range(many)], per_commit=many)
    eventually(lambda: len(trial.entries()) > many / 2, within=2 * RATED_SECONDS, every=0.2)
    workers[0].kill()
    killed_at = time.time()
    around.restart(workers[0])
    trial.finish(within=4 * RATED_SECONDS)
    entries = trial.entries()
    first, last = entries[0].at, entries[-1].at
    seconds = Counter(int(entry.at - first) for entry in entries)
    # Behind them there is less to do than the rate allows: what the worker had under way comes back with its lease.
    whole = range(1, RATED_SECONDS - 1)
    killed_in = int(killed_at - first)
    print("calls in each second:", *(seconds[second] for second in range(int(last - first) + 1)))
    print(f"the first second has the burst; a worker of three was killed in second {killed_in}")
    calm = [second for second in whole if not killed_in - 1 <= second <= killed_in + DONE_WITHIN / 2]
    wrong = [(second, seconds[second]) for second in calm if abs(seconds[second] / CALLS_A_SECOND - 1) > TOLERANCE]
    trial.expect(not wrong, f"seconds beyond {TOLERANCE:.0%} of the rate: {wrong}")
    over = [(second, seconds[second]) for second in whole if seconds[second] > (1 + TOLERANCE) * CALLS_A_SECOND]
    trial.expect(not over, f"seconds over the rate: {over}")
    trial.expect({entry.key for entry in entries} == {f"order-{number}" for number in range(many)}, "a call is missing")


def once(trial: Trial) -> None:
    """Kill one process of a pool after another while it makes calls that must never be made twice."""
    around = trial.installation
    workers = [around.worker(f"worker-{number}") for number in range(2)]
    published = kills = 0
    while kills < trial.times:
        if around.count(UNFINISHED) < ORDERS:
            keys = [f"order-{published + number}" for number in range(10 * ORDERS)]
            trial.client.publish("shop.once", keys, {"seconds": 0.5}, per_commit=ORDERS)
            published += len(keys)
        kills += _kill_one_that_calls(trial, workers)
        if not kills % 50:
            print(f"{kills} kills, {published} published", flush=True)
    trial.finish(within=published / 20 + 60)
    calls = Counter(entry.key for entry in trial.entries())
    twice = sum(times > 1 for times in calls.values())
    lost = around.count("SELECT count(*) FROM outbox_message WHERE reason = 'may_have_happened'")
    statuses = around.statuses()
    print(
        f"{kills} kills: {published} orders, {sum(calls.values())} calls, {twice} made twice, {lost} may have happened"
    )
    trial.expect(not twice, f"{twice} calls were made twice")
    trial.expect(
        sum(statuses.values()) == published and set(statuses) <= {"success", "failed"}, f"statuses: {statuses}"
    )
    trial.expect(statuses.get("failed", 0) == lost, f"{statuses} of which {lost} may have happened")
    unsaid = around.count(
        "SELECT count(*) FROM outbox_message WHERE status = 'failed' AND (exhausted_at IS NULL OR worker = '')"
    )
    trial.expect(not unsaid, f"{unsaid} of them are not at the desk")


def _kill_one_that_calls(trial: Trial, workers: list[Program]) -> int:
    """Kill a process that has made a call within the last half second; return how many were killed."""
    since = time.time() - 0.5
    with trial.book.open("rb") as book:
        book.seek(max(0, trial.book.stat().st_size - 20_000))
        lines = [line.split() for line in book.read().decode().splitlines()[1:]]
    calling = {int(line[1]) for line in lines if len(line) == 3 and float(line[2]) > since}
    children = {process.pid for worker in workers for process in worker.family()[1:]}
    if not (killable := sorted(calling & children)):
        time.sleep(0.02)
        return 0
    with suppress(psutil.NoSuchProcess):
        psutil.Process(trial.rng.choice(killable)).kill()
        time.sleep(trial.rng.uniform(0, 0.3))
        return 1
    return 0


TRIALS: dict[str, tuple[Callable[[Trial], None], int]] = {"ends": (ends, 20), "rate": (rate, 1), "once": (once, 1_000)}
"""Each trial, and how often it does its worst."""


@contextmanager
def trial_of(name: str, times: int, rng: random.Random) -> Iterator[Trial]:
    """Make an installation of its own for one trial, with all but its workers."""
    database = Database(os.environ["DATABASE_URL"], f"trial_{name}_{os.getpid()}")
    broker, prefix = os.environ["CELERY_BROKER_URL"], f"trial-{name}-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="trial-") as folder:
        book = Path(folder, "book")
        book.touch()
        extra = {"VENDOR_BOOK": str(book)}
        with installed(
            database, broker=broker, prefix=prefix, folder=Path(folder), seconds=SECONDS, extra=extra
        ) as installation:
            migrate(installation.environment)
            installation.control()
            installation.beat()
            yield Trial(installation, book, times, rng)


def main() -> int:
    """Run the trials that were asked for, or all, and say what does not hold."""
    parser = argparse.ArgumentParser(
        prog="make trials", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[[], *TRIALS], help="which (default: all)")
    parser.add_argument("--times", type=int, help="how many ends or kills (default 20 and 1,000)")
    parser.add_argument("--seed", type=int, default=0, help="repeats the moments of an earlier run")
    options = parser.parse_args()
    seed = options.seed or random.SystemRandom().randrange(1, 10**6)
    problems = []
    for name in options.names or TRIALS:
        function, times = TRIALS[name]
        print(f"{name}, seed {seed}", flush=True)
        with trial_of(name, options.times or times, random.Random(seed)) as trial:
            function(trial)
        problems += [f"{name}: {problem}" for problem in trial.problems]
    print("\n".join(problems) or "all of it holds")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
