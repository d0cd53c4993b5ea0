"""A million old messages pruned while 200 a second flow: ``python benchmarks/pruning.py``.

Beat calls the pruner as it always does; the worker of the maintenance jobs prunes, and a worker with two processes
delivers what this process publishes at an even rate, from before the pruning until its end. Latency begins when COMMIT
has returned and ends at the message's ``finished_at``, both on the database's clock.
"""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.app import harness, history
from benchmarks.app.harness import Check
from benchmarks.clock_offset import database_clock_offset
from benchmarks.measurements import quantile

# isort: split
from django.db import connection, transaction
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from outbox import publish
from outbox.maintenance import rollup
from outbox.models import Heartbeat, Message

PROCESSES = 2
RATE = 200
AT_MOST = 100.0
"""Milliseconds from commit to success that 99 of 100 messages may take."""
WARM_UP_SECONDS, BEFORE_SECONDS = 5, 20
TIMEOUT_SECONDS = 900
"""After which the run is given up."""
CHECK_EVERY = 200
"""Messages between two questions how much is pruned."""
OLD = timedelta(days=40)


def main() -> None:
    """Write the past, let messages flow, prune, and check the latencies."""
    parser = argparse.ArgumentParser(description="Measure latency while a million messages are pruned.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="old messages (default 1000000)")
    parser.add_argument("--quick", action="store_true", help="50000 old messages")
    options = parser.parse_args()
    rows = 50_000 if options.quick else options.rows

    with harness.running() as installation:
        rollup.roll_up()  # as it stands in a long life: the last minutes are counted, older ones are not looked at
        began = time.monotonic()
        attempts = write_old_messages(rows)
        harness.print_result("written", messages=rows, attempts=attempts, seconds=round(time.monotonic() - began, 1))
        switch_pruning(on=False)
        installation.workers(PROCESSES)
        installation.control()
        installation.beat()
        publish_evenly("warm-up", until=time_passed(WARM_UP_SECONDS))
        before = measure_latencies("before", publish_evenly("before", until=time_passed(BEFORE_SECONDS)))
        switch_pruning(on=True)
        began = time.monotonic()
        committed = publish_evenly("during", until=rows_pruned(rows))
        seconds = time.monotonic() - began
        during = measure_latencies("during", committed)
        left = Message.objects.filter(key__startswith="old ").count()
        harness.print_result(
            "pruned", messages=rows - left, seconds=round(seconds, 1), last=Heartbeat.objects.get(name="prune").data
        )
    slowest = quantile(during, 0.99)
    rate = len(during) / seconds
    harness.report_checks(
        [
            Check(
                "p99 from commit to success while pruning",
                f"<= {AT_MOST:.0f} ms",
                f"{slowest:.1f} ms",
                slowest <= AT_MOST,
            ),
            Check("p99 before", "-", f"{quantile(before, 0.99):.1f} ms", met=True),
            Check("messages pruned meanwhile", f"{rows}", f"{rows - left} in {seconds:.0f} s", met=not left),
            Check("messages per second meanwhile", f">= {RATE * 0.97:.0f}", f"{rate:.0f}", rate >= RATE * 0.97),
        ]
    )


def write_old_messages(rows: int) -> int:
    """Write messages that finished long ago, over ten days, and what attempts of theirs went wrong."""
    past: dict[str, history.Value] = {"topic": "shop.sold", "consumers": ["shop.book"], "name": "old"}
    history.write_rows(history.FINISHED, rows=rows, oldest=OLD.total_seconds(), span=10 * 86_400 - 60, **past)
    attempts = history.write_rows(history.ATTEMPTS, name="old")
    history.vacuum()
    return attempts


def switch_pruning(*, on: bool) -> None:
    """Switch beat's entry on or off, as an operator would in the admin."""
    PeriodicTask.objects.filter(name="outbox: prune").update(enabled=on)
    PeriodicTasks.update_changed()


def publish_evenly(name: str, *, until: Callable[[], bool]) -> dict[str, float]:
    """Publish at an even rate until ``until`` is true; return when each was committed, on the database's clock."""
    ahead = database_clock_offset()
    committed: dict[str, float] = {}
    start = time.perf_counter()
    while len(committed) % CHECK_EVERY or not until():
        pause = start + len(committed) / RATE - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        key = f"{name} {len(committed)}"
        with transaction.atomic():
            publish("shop.sold", key=key, payload={})
        committed[key] = time.time() + ahead
    return committed


def time_passed(seconds: float) -> Callable[[], bool]:
    """Return a condition: so many seconds have passed from now."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def rows_pruned(rows: int) -> Callable[[], bool]:
    """Return a condition: so many messages were deleted from now on; PostgreSQL counts, no table is scanned."""
    before, end = count_deleted(), time.monotonic() + TIMEOUT_SECONDS

    def is_over() -> bool:
        if time.monotonic() > end:
            raise SystemExit(f"{count_deleted() - before} of {rows} messages were pruned within {TIMEOUT_SECONDS} s")
        return count_deleted() - before >= rows

    return is_over


def count_deleted() -> int:
    """Return how many messages were ever deleted, as of about a second ago."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT n_tup_del FROM pg_stat_user_tables WHERE relname = 'outbox_message'")
        return int(cursor.fetchone()[0])


def measure_latencies(name: str, committed: dict[str, float]) -> list[float]:
    """Wait until all is delivered and return the milliseconds from commit to success."""
    harness.wait_until_finished("shop.book", within=60)
    rows = Message.objects.filter(key__startswith=f"{name} ").values_list("key", "finished_at")
    waits = [(finished.timestamp() - committed[key]) * 1e3 for key, finished in rows if finished is not None]
    figures = {f"p{share:.0%}"[:-1]: round(quantile(waits, share), 1) for share in (0.5, 0.9, 0.99)}
    harness.print_result(name, messages=len(waits), **figures, most=round(max(waits), 1))
    return waits


if __name__ == "__main__":
    main()
