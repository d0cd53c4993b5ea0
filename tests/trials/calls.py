"""Calls of a vendor, by whose book it is judged: ``ends``, ``rate`` and ``once``."""

import time
from collections import Counter
from contextlib import suppress

import psutil

from tests.harness.program import Program, eventually
from tests.shop.consumers import CALLS_A_SECOND
from tests.trials.trial import DONE_WITHIN, UNFINISHED, Trial

UNDER_WAY = "SELECT count(*) FROM outbox_message WHERE status = 'started'"
CHARGED = "SELECT count(*) FROM outbox_message WHERE status = 'success' AND attempts - attempt_limit <> 1 - 3"
DOUBLED = "SELECT count(*) FROM (SELECT key FROM shop_effect GROUP BY key HAVING count(*) > 1) AS doubled"
ORDERS = 200
"""Orders that are published before each end."""
IN_THE_MIDDLE = 20
"""Calls that are under way at least when a worker is ended."""
TOLERANCE = 0.05
"""By how much the calls of one second may differ from the rate."""
RATED_SECONDS = 40


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
