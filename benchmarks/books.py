"""A book over a million rows beside one sequential scan of both tables: ``python benchmarks/books.py``.

Business rows and messages of 25 days are written, with one difference of each kind among them. The book is read for the
first time, which reads everything; then again, when everything but the differences has balanced; and again when they
are mended. Meanwhile somebody writes to both tables, and every session is looked at for a wait. Beside it stands what
no comparison can be faster than: PostgreSQL reading both tables once from beginning to end.
"""

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.app import harness
from benchmarks.app.harness import Check

# isort: split
from django.db import connection, transaction
from django.utils import timezone

from outbox import book
from outbox.books import days
from outbox.books.keeping import read_book
from outbox.models import BookDifference, Message
from tests.harness.ledger import SaleBook
from tests.shop.models import Sale

DAYS = 25
FIRST = "test.till"
SALES = """
INSERT INTO shop_sale (number, sold_at, changed_at, status, amount)
SELECT gen_random_uuid(), at, at, 'paid', n %% 1000 FROM (
    SELECT n, now() - interval '26 days' + n * (interval '25 days' / %(rows)s) AS at
    FROM generate_series(1, %(rows)s) AS n
) sold
"""
MESSAGES = """
INSERT INTO outbox_message (topic, consumer, key, payload, headers, ordering_key, status, resolution, attempts,
    attempt_limit, lost, sends, due_at, not_before, expires_at, created_at, started_at, finished_at, worker, last_error,
    failure, revision)
SELECT 'test.sale', 'test.till', id::text, jsonb_build_object('account', id, 'lines', repeat('x', 100)), '{}', '',
    'success', '', 1, 8, 0, 0, sold_at, sold_at, sold_at + interval '7 days', sold_at, sold_at,
    sold_at + interval '1 second', '', '', '', 0
FROM shop_sale ORDER BY id
"""
SCANS = "SELECT count(*), max(length(key)) FROM outbox_message", "SELECT count(*), max(status) FROM shop_sale"
WAITING = """
SELECT max(extract(epoch FROM clock_timestamp() - waitstart)) FROM pg_locks WHERE NOT granted AND waitstart IS NOT NULL
"""
LONGEST_WAIT = 0.1
BALANCED_DAY = 1.0
TEN_MILLION = 60.0
TIMES_THE_SCANS = 2.0


@book("bench")
class BenchBook(SaleBook):
    """The sales and their messages."""


def main() -> None:
    """Write the rows, read the book, and check what was asked for."""
    parser = argparse.ArgumentParser(description="Measure a book beside sequential scans of both tables.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="business rows (default 1000000)")
    parser.add_argument("--quick", action="store_true", help="50000 rows")
    options = parser.parse_args()
    rows = 50_000 if options.quick else options.rows
    made = BenchBook()

    with harness.running():
        planted = write(rows)
        before = scan()
        with looked_at() as longest:
            cold = read_book(made)
        after = scan()
        found = sorted(BookDifference.objects.standing().values_list("kind", "key"))
        again = read_book(made)
        mend(planted)
        mended = read_book(made)
        standing = BookDifference.objects.standing().count()
        began = time.monotonic()
        read_book(made)
        quiet = time.monotonic() - began
        day = close_a_day()
    scans = max(before, after)
    harness.print_result(
        "read",
        rows=rows,
        scans_before=round(before, 2),
        scans_after=round(after, 2),
        cold=round(cold.seconds, 2),
        ratio=round(cold.seconds / scans, 2),
        again=round(again.seconds, 2),
        mended=round(mended.seconds, 2),
        balanced=round(quiet, 3),
        closed=round(day, 2),
        longest_wait_ms=round(longest[0] * 1000),
    )
    limit = max(TEN_MILLION, TIMES_THE_SCANS * scans)
    harness.report_checks(
        [
            Check("the four differences are found", "each once", f"{len(found)}", found == sorted(planted)),
            Check("nothing is found a second time", "0", f"{again.found}", again.found == 0),
            Check("mended, they are gone", "0", f"{standing}", standing == 0),
            Check(
                f"{rows:,} rows for the first time", f"<= {limit:.0f} s", f"{cold.seconds:.1f} s", cold.seconds <= limit
            ),
            Check("the same, beside the scans", "-", f"{cold.seconds / scans:.1f} x {scans:.2f} s", met=True),
            Check("everything balances", f"<= {BALANCED_DAY:.0f} s", f"{quiet:.2f} s", quiet <= BALANCED_DAY),
            Check(
                "longest wait of any session", "<= 100 ms", f"{longest[0] * 1000:.0f} ms", longest[0] <= LONGEST_WAIT
            ),
            Check("a day is closed and verified", "-", f"{day:.1f} s", met=True),
        ]
    )


def write(rows: int) -> list[tuple[str, str]]:
    """Write sales and messages, plant one difference of each kind, and return these: kind and key."""
    with connection.cursor() as cursor:
        cursor.execute(SALES, {"rows": rows})
        cursor.execute(MESSAGES)
    ids = list(Sale.objects.order_by("pk").values_list("pk", flat=True)[: rows // 2 + 1 : rows // 8])
    lonely, orphan, reopened, undone = (str(id) for id in ids[1:5])
    Message.objects.filter(key=lonely).delete()
    Sale.objects.filter(pk=orphan).delete()
    Message.objects.filter(key=reopened).update(status="pending", finished_at=None)
    Sale.objects.filter(pk=undone).update(status="new")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE outbox_message, shop_sale")
    kinds = ("no_message", "no_business", "not_settled", "not_done")
    return list(zip(kinds, (lonely, orphan, reopened, undone), strict=True))


def mend(planted: list[tuple[str, str]]) -> None:
    """Mend what was planted."""
    key = dict(planted)
    Sale.objects.filter(pk=key["no_message"]).delete()
    Message.objects.filter(key=key["no_business"]).delete()
    Message.objects.filter(key=key["not_settled"]).update(status="success", finished_at=timezone.now())
    Sale.objects.filter(pk=key["not_done"]).update(status="paid")


def scan() -> float:
    """Read both tables once from beginning to end, and return the seconds it took."""
    began = time.monotonic()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off")
        for statement in SCANS:
            cursor.execute(statement)
    return time.monotonic() - began


def close_a_day() -> float:
    """Close a day and compare it with its rows; return the seconds it took."""
    began = time.monotonic()
    day = days.today() - timedelta(days=10)
    days.close_day("bench", day, actor="bench", reason="measured", origin="bench")
    if not days.verify_day("bench", day).holds:
        raise SystemExit("a day that was just closed does not verify")
    return time.monotonic() - began


@contextmanager
def looked_at() -> Iterator[list[float]]:
    """Write to both tables meanwhile, and look at every session for the longest wait for a lock, in seconds."""
    over, longest = threading.Event(), [0.0]
    threads = [threading.Thread(target=work, args=(over,)), threading.Thread(target=look, args=(over, longest))]
    for thread in threads:
        thread.start()
    try:
        yield longest
    finally:
        over.set()
        for thread in threads:
            thread.join()


def work(over: threading.Event) -> None:
    """Change rows of both tables and the tables' statistics as a busy day does, until it is over."""
    try:
        first = Sale.objects.order_by("pk").values_list("pk", flat=True).first() or 0
        while not over.wait(0.005):
            with transaction.atomic():
                Sale.objects.filter(pk=first).update(amount=1)
                Message.objects.filter(key=str(first)).update(worker="bench")
    finally:
        connection.close()


def look(over: threading.Event, longest: list[float]) -> None:
    """Keep the longest wait for a lock that any session has, until it is over."""
    try:
        with connection.cursor() as cursor:
            while not over.wait(0.02):
                cursor.execute(WAITING)
                (waited,) = cursor.fetchone()
                longest[0] = max(longest[0], float(waited or 0))
    finally:
        connection.close()


if __name__ == "__main__":
    main()
