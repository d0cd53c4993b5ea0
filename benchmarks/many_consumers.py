"""The rescan with up to a thousand consumers beside the bare statements: ``python benchmarks/many_consumers.py``.

Every consumer has one due row. Passes of the rescan, each with its usual budget of time, take turns with the two
statements that a claim cannot do without (lock the due row, put it off), one transaction for each consumer, through a
plain cursor. The broker takes every hint at once: only the database is timed. And half a million messages wait while
one lost lease is searched for, beside a count of the same rows.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.app import harness
from benchmarks.app.harness import Check

# isort: split
from django.db import connection, transaction
from django.db.models.functions import Now

from outbox import Draft, consumer, publish_many
from outbox.broker import dispatcher
from outbox.broker.connection import Hint
from outbox.maintenance import recovery, rescan
from outbox.memory import forget_all
from outbox.models import Message

NUMBERS = (1, 20, 100, 1000)
AT_MOST = 4.0
"""How many times as long as the bare statements a thousand consumers may take."""
SEARCH_AT_MOST = 8.0
"""How many times as long as a count of the same rows the search for a lost lease may take."""
LONG_AGO = "2026-01-01T00:00Z"
SELECT = """
SELECT id, lost, sends, ordering_key FROM outbox_message
WHERE consumer = %s AND finished_at IS NULL AND due_at <= statement_timestamp() AND status = 'pending'
    AND not_before <= statement_timestamp() AND expires_at > statement_timestamp()
ORDER BY due_at, id LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED
"""
UPDATE = "UPDATE outbox_message SET due_at = statement_timestamp() + interval '10 s' WHERE id = ANY(%s)"
COUNT = "SELECT count(*) FROM outbox_message WHERE finished_at IS NULL AND due_at <= now() AND lease_until < now()"
WAITING = """
INSERT INTO outbox_message (topic, consumer, key, payload, headers, ordering_key, status, resolution,
    attempts, attempt_limit, lost, sends, due_at, not_before, expires_at, created_at, worker, last_error, failure,
    revision)
SELECT 'bench.many.0', 'bench.many.' || (n %% 10), 'waits ' || n, jsonb_build_object('note', repeat('x', 390)), '{}',
    '', 'pending', '', 0, 3, 0, 0, now() - n * interval '1 ms', now() - interval '1 day',
    now() + interval '7 days', now() - interval '1 day', '', '', '', 0 FROM generate_series(1, %s) n
"""


class NoBroker:
    """A link to a broker that takes every hint, and whose queues are always empty."""

    dead_letters_refused = None

    def depth(self, _consumer: str) -> int:
        """Say that the queue is empty."""
        return 0

    def send(self, _hints: Sequence[Hint]) -> list[Hint]:
        """Take all."""
        return []


def main() -> None:
    """Measure both ways in turns for every number of consumers, then the search, and check the ratios."""
    parser = argparse.ArgumentParser(description="Measure the rescan with many consumers.")
    parser.add_argument("--rounds", type=int, default=5, help="of each way (default 5)")
    parser.add_argument("--rows", type=int, default=500_000, help="messages that wait during the search")
    parser.add_argument("--quick", action="store_true", help="up to 100 consumers, 50000 messages, 2 rounds")
    options = parser.parse_args()
    numbers, rounds, rows = (NUMBERS[:3], 2, 50_000) if options.quick else (NUMBERS, options.rounds, options.rows)
    mock.patch.object(dispatcher, "dispatch", return_value=None).start()
    mock.patch.object(rescan, "thread_connection", NoBroker).start()

    with harness.running():
        ratios = [measure_number(number, rounds) for number in numbers]
        search = measure_search(rows, rounds)
    harness.report_checks(
        [
            Check(f"{numbers[-1]} consumers: rescan / bare statements", f"<= {AT_MOST}", *judged(ratios[-1], AT_MOST)),
            Check(f"{rows} rows: search / count", f"<= {SEARCH_AT_MOST}", *judged(search, SEARCH_AT_MOST)),
        ]
    )


def judged(ratio: float, at_most: float) -> tuple[str, bool]:
    """Return a ratio as it is printed, and whether it will do."""
    return f"{ratio:.2f}", ratio <= at_most


def measure_number(number: int, rounds: int) -> float:
    """Return how many times as long as the bare statements the rescan takes with so many consumers."""
    names = [f"bench.many.{index}" for index in range(number)]
    for name in names:
        consumer(name, name=name)(take_nothing)
    Message.objects.all().delete()
    with transaction.atomic():
        publish_many([Draft(topic=name, key="one", payload={}) for name in names])
    analyze()
    pairs = [(timed(lambda: rescan_all(number)), timed(lambda: claim_barely(names))) for _ in range(rounds)]
    rescanned, bare = medians(pairs)
    harness.print_result(
        f"{number} consumers", rescan_ms=ms(rescanned), bare_ms=ms(bare), ratio=round(rescanned / bare, 2)
    )
    return rescanned / bare


def take_nothing(_message: Message) -> None:
    """Be a consumer."""


def rescan_all(number: int) -> None:
    """Make passes until every row is sent."""
    sent = 0
    while sent < number:
        sent += rescan.rescan().sent


def claim_barely(names: Sequence[str]) -> None:
    """Lock and put off the due row of each consumer."""
    with connection.cursor() as cursor:
        for name in names:
            with transaction.atomic():
                cursor.execute(SELECT, [name])
                cursor.execute(UPDATE, [[id for id, *_rest in cursor.fetchall()]])


def measure_search(rows: int, rounds: int) -> float:
    """Return how many times as long as a count of the same rows the search for one lost lease takes."""
    Message.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [rows])
    lost = Message.objects.earliest("pk")
    Message.objects.filter(pk=lost.pk).update(
        status="started", attempts=1, started_at=LONG_AGO, lease_until=Now() - timedelta(seconds=1)
    )
    analyze()
    names = [f"bench.many.{index}" for index in range(10)]
    pairs = [(timed(lambda: search(names)), timed(count_waiting)) for _ in range(rounds)]
    searched, counted = medians(pairs)
    rest = min(searched * recovery.DUTY, recovery.LONGEST_REST)
    harness.print_result("search", rows=rows, search_ms=ms(searched), count_ms=ms(counted), then_rests_s=round(rest, 1))
    return searched / counted


def search(names: Sequence[str]) -> None:
    """Search for what recovery brings back."""
    found = sum(len(ids) for ids in recovery.search(names).values())
    assert found == 1, found


def count_waiting() -> None:
    """Look at the same rows by a statement that returns one number."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT)
        cursor.fetchone()


def timed(act: Callable[[], object]) -> float:
    """Return the seconds it takes with every row due; what is remembered from before is forgotten."""
    Message.objects.filter(status="pending", key="one").update(due_at=LONG_AGO)
    forget_all()
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def medians(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the median of either side."""
    return statistics.median(ours for ours, _bare in pairs), statistics.median(bare for _ours, bare in pairs)


def analyze() -> None:
    """Do what autovacuum does a minute later."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE outbox_message")


def ms(seconds: float) -> float:
    """Return seconds as milliseconds, rounded for people."""
    return round(seconds * 1e3, 1)


if __name__ == "__main__":
    main()
