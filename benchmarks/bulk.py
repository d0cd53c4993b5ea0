"""100,000 failed messages of a million retried at once, while others work: ``python benchmarks/bulk.py``.

Freezing stands beside the bare ``INSERT … SELECT`` of the same rows into a table with the same indexes. Then the
operation runs with the real processes, at a rate and as fast as it goes. Meanwhile another consumer gets messages at an
even rate, and fifty times a second ``pg_stat_activity`` is asked who waits for a lock.
"""

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.app import harness, history
from benchmarks.app.harness import Check
from benchmarks.measurements import quantile
from tests.harness.databases import with_name, without_options

# isort: split
from django.db import connection, transaction

from outbox import publish
from outbox.bulk import operations, selection
from outbox.bulk.freezing import FREEZE
from outbox.conf import conf
from outbox.models import BulkOperation, Message
from outbox.models.bulk import BulkVerb

CONSUMER, OTHER = "bench.try_out", "shop.book"
PREVIEW_AT_MOST, AGAIN_AT_MOST, WAIT_AT_MOST, CANCEL_AT_MOST = 2.0, 60.0, 0.1, 2.0
"""Seconds for the preview, until all are published again, for a lock, and until a cancelled operation stands still."""
FREEZE_AT_MOST, OVER_BARE = 1.0, 1.5
"""Seconds for freezing, or so many times what the bare statement takes."""
RATE = 200
"""Messages a second of the operation that is not as fast as it goes."""
BESIDE = 50
"""Messages a second of the other consumer."""
P99_AT_RATE = 2.0
"""Times the other consumer's p99 at rest, beside the operation at its rate."""
LOOK_EVERY = 0.02
WAITING = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@dataclass
class LockWaits:
    """Who was seen to wait for a lock, and how long at most in one go."""

    longest: float = 0.0
    looks: int = 0
    _since: dict[int, float] = field(default_factory=dict)

    def look(self, waiting: set[int], at: float) -> None:
        """Note who waits now."""
        self.looks += 1
        self._since = {pid: self._since.get(pid, at) for pid in waiting}
        self.longest = max([self.longest, *(at - since for since in self._since.values())])


def main() -> None:
    """Freeze, run at a rate, cancel, run as fast as it goes, and compare with the bounds."""
    parser = argparse.ArgumentParser(description="Measure a bulk operation on 100,000 of a million messages.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="messages in the table (default 1000000)")
    parser.add_argument("--failed", type=int, default=100_000, help="how many of them have failed (default 100000)")
    parser.add_argument("--seconds", type=float, default=15, help="how long to watch it at a rate (default 15)")
    parser.add_argument("--quick", action="store_true", help="20000 messages, 5000 of them failed")
    options = parser.parse_args()
    rows, failed = (20_000, 5_000) if options.quick else (options.rows, options.failed)

    with harness.running() as installation:
        write_messages(rows - failed, failed)
        checks = freeze(failed)
        installation.workers(2)
        installation.control()
        installation.beat()
        with lock_waits() as waits:
            at_rest = publish_beside(until=_after(options.seconds))
            checks += run_at_rate(at_rest, options.seconds)
            checks += run_at_full_rate(at_rest, failed)
    harness.print_result("locks", looks=waits.looks, longest_ms=round(waits.longest * 1000))
    wait = f"{waits.longest * 1000:.0f} ms, {waits.looks} looks"
    checks.append(
        Check("longest wait for a lock", f"<= {WAIT_AT_MOST * 1000:.0f} ms", wait, waits.longest <= WAIT_AT_MOST)
    )
    harness.report_checks(checks)


def write_messages(finished: int, failed: int) -> None:
    """Write what is done, and what waits for a person: all of one consumer and one failure group."""
    values: dict[str, Any] = {"topic": "bench.tried", "consumers": [CONSUMER], "oldest": 86_400, "span": 80_000}
    history.write_rows(history.FINISHED, **values, rows=finished, name="done")
    history.write_rows(history.EXHAUSTED, history.GROUPS, **values, rows=failed, name="failed", groups=1)
    history.vacuum()


def freeze(failed: int, rounds: int = 3) -> list[Check]:
    """Freeze the set in turns with the bare statement; return how the medians compare with the bounds."""
    bare_table = FREEZE.replace("outbox_bulkitem", "bare_items").format(
        chosen="SELECT id, revision FROM outbox_message WHERE exhausted_at IS NOT NULL ORDER BY id"
    )
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bare_items (LIKE outbox_bulkitem INCLUDING ALL)")
    bare, frozen, previews = [], [], []
    for turn in range(rounds):
        with transaction.atomic(), connection.cursor() as cursor:
            bare.append(_timed(partial(cursor.execute, bare_table, [turn])))
        spent: list[float] = []
        with connection.execute_wrapper(_time_of("INSERT INTO outbox_bulkitem", spent)):
            previews.append(_timed(lambda: operations.prepare(BulkVerb.RETRY, selection.failed(), actor="bench")))
        frozen.append(sum(spent))
    sizes = set(BulkOperation.objects.values_list("total", flat=True))
    bare_s, frozen_s, preview_s = map(statistics.median, (bare, frozen, previews))
    harness.print_result("freezing", rows=failed, bare_s=bare_s, frozen_s=frozen_s, preview_s=preview_s)
    at_most = max(FREEZE_AT_MOST, OVER_BARE * bare_s)
    return [
        Check("messages frozen", f"{failed}", f"{sizes}", sizes == {failed}),
        Check(
            "freezing", f"<= {at_most:.2f} s", f"{frozen_s:.2f} s, {frozen_s / bare_s:.2f} of bare", frozen_s <= at_most
        ),
        Check(
            "preview, freezing included", f"<= {PREVIEW_AT_MOST} s", f"{preview_s:.2f} s", preview_s <= PREVIEW_AT_MOST
        ),
    ]


def run_at_rate(at_rest: float, seconds: float) -> list[Check]:
    """Run at a rate for a while, then cancel; return the other consumer's p99, the rate and when it stood still."""
    operation = _start(RATE)
    began = time.monotonic()
    beside = publish_beside(until=_after(seconds))
    reached = _now(operation).done / (time.monotonic() - began)
    cancelled = time.monotonic()
    operations.cancel(operation.pk, revision=_now(operation).revision, actor="bench", reason="bench")
    stood_still = time.monotonic() - cancelled
    done = _now(operation).done
    time.sleep(CANCEL_AT_MOST)
    harness.print_result("at a rate", reached=round(reached), p99_ms=round(beside), at_rest_ms=round(at_rest))
    ratio = beside / at_rest
    return [
        Check(f"rate reached of {RATE}", ">= 0.9", f"{reached / RATE:.2f}", reached >= 0.9 * RATE),
        Check("p99 of others at the rate / at rest", f"<= {P99_AT_RATE}", f"{ratio:.2f}", ratio <= P99_AT_RATE),
        Check(
            "cancelled, and nothing more is done",
            f"<= {CANCEL_AT_MOST:.0f} s",
            f"{stood_still:.2f} s, {_now(operation).done - done} more",
            stood_still <= CANCEL_AT_MOST and _now(operation).done == done,
        ),
    ]


def run_at_full_rate(at_rest: float, failed: int) -> list[Check]:
    """Run as fast as it goes; return how long it took until all were published again, and the other's p99."""
    operation = _start(None)
    began = time.monotonic()
    until = _after(2 * AGAIN_AT_MOST)
    ended_after: list[float] = []

    def is_over() -> bool:
        if not ended_after and _now(operation).remaining == 0:
            ended_after.append(time.monotonic() - began)
        return bool(ended_after) or until()

    beside = publish_beside(until=is_over)
    took = ended_after[0] if ended_after else float("inf")
    left = Message.objects.exhausted().count()
    bound = at_rest + 2 * conf().hint_time.total_seconds() * 1000
    harness.print_result("at full rate", seconds=round(took, 1), p99_ms=round(beside), at_rest_ms=round(at_rest))
    return [
        Check(f"{failed} published again", f"<= {AGAIN_AT_MOST:.0f} s", f"{took:.1f} s", took <= AGAIN_AT_MOST),
        Check("of them still failed", "0", f"{left}", not left),
        Check("p99 of others at full rate", f"<= {bound:.0f} ms", f"{beside:.0f} ms", beside <= bound),
    ]


def publish_beside(*, until: Callable[[], bool]) -> float:
    """Publish messages of the other consumer at an even rate; return the p99 from publishing to success, in ms."""
    first = Message.objects.order_by("-pk").values_list("pk", flat=True)[0]
    began, sent = time.monotonic(), 0
    while not until():
        with transaction.atomic():
            publish("shop.sold", key=f"beside {first} {sent}", payload={})
        sent += 1
        time.sleep(max(0.0, began + sent / BESIDE - time.monotonic()))
    harness.wait_until_finished(OTHER, within=60)
    done = Message.objects.filter(pk__gt=first, consumer=OTHER).values_list("created_at", "finished_at")
    return quantile([(finished - created).total_seconds() * 1000 for created, finished in done if finished], 0.99)


@contextmanager
def lock_waits() -> Iterator[LockWaits]:
    """Ask all the time who waits for a lock, on a connection of its own, for as long as the block takes."""
    waits, is_over = LockWaits(), threading.Event()

    def watch() -> None:
        own = psycopg2.connect(without_options(with_name(harness.SERVER, harness.RUN)))
        own.autocommit = True
        with own.cursor() as cursor:
            while not is_over.wait(LOOK_EVERY):
                cursor.execute(WAITING)
                waits.look({pid for (pid,) in cursor}, time.monotonic())
        own.close()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield waits
    finally:
        is_over.set()
        thread.join()


def _start(rate: int | None) -> BulkOperation:
    operation = operations.prepare(BulkVerb.RETRY, selection.failed(consumer=CONSUMER), actor="bench")
    return operations.start(operation.pk, revision=0, actor="bench", reason="bench", rate=rate)


def _now(operation: BulkOperation) -> BulkOperation:
    return BulkOperation.objects.get(pk=operation.pk)


def _after(seconds: float) -> Callable[[], bool]:
    """Return a function that tells whether so many seconds have passed."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _time_of(beginning: str, spent: list[float]) -> Callable[..., Any]:
    """Return a wrapper of statements that notes how long those take that begin so."""

    def wrapper(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            if sql.strip().startswith(beginning):
                spent.append(time.perf_counter() - began)

    return wrapper


if __name__ == "__main__":
    main()
