"""A set rehearsed, then retried: as many a second, and the same failures: ``python benchmarks/rehearsal.py``.

Failures of three groups are planted; one only COMMIT finds. The whole set is rehearsed as workers do it, in one
process. Then the bulk operation is started, and a worker with one process takes up what it retries. The rates count
from the first result to the last, without the start of either process; the rehearsal's with its start is shown.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.app import harness, history
from benchmarks.app.harness import Check

# isort: split
from django.db import connection, transaction
from django.db.models import Max, Min

from outbox import Draft, publish_many
from outbox.bulk import operations, running, selection
from outbox.models import BulkOperation, BulkRehearsal, FailureGroup, Message
from outbox.models.bulk import BulkVerb
from outbox.rehearsal import background, run, whole_sets
from outbox.rehearsal.results import Outcome, Summary
from tests.shop.models import Tag

CONSUMER = "bench.try_out"
KINDS = ("raise", "miss", "collide")
AT_LEAST, OF_THE_DRAIN = 2_000.0, 0.8
"""Rows a second that a rehearsal must make, and how many of those that the drain makes in one process."""
WITHIN_SECONDS = 300.0
FAIL = "UPDATE outbox_message SET status = 'failed', attempts = 1, finished_at = now(), exhausted_at = now()"


def main() -> None:
    """Plant failures, rehearse, retry, and compare."""
    parser = argparse.ArgumentParser(description="Measure a rehearsal beside the retry of the same messages.")
    parser.add_argument("--rows", type=int, default=10_000, help="messages (default 10000)")
    parser.add_argument("--every", type=int, default=250, help="one in so many fails, of each kind (default 250)")
    parser.add_argument("--quick", action="store_true", help="2000 messages")
    options = parser.parse_args()
    rows = 2_000 if options.quick else options.rows

    with harness.running() as installation:
        write_failed(rows, options.every)
        operation = operations.prepare(BulkVerb.RETRY, selection.failed(), actor="bench")
        rehearsed, with_start, found = rehearse(operation.pk)
        harness.print_result("rehearsed", rows=rows, per_second=round(rehearsed), with_start=round(with_start))
        drained = retry(operation.pk, installation)
        harness.print_result("retried", rows=rows, per_second=round(drained))
        failed = dict(Message.objects.exhausted().values_list("pk", "failure"))
        titles = dict(FailureGroup.objects.values_list("pk", "title"))
    expected = {digest: sum(failure == digest for failure in failed.values()) for digest in set(failed.values())}
    harness.report_checks(
        [
            Check("rehearsed rows/s", f">= {AT_LEAST:.0f}", f"{rehearsed:.0f}", rehearsed >= AT_LEAST),
            Check("the same with the process's start", "-", f"{with_start:.0f}", met=True),
            Check("drained rows/s by one process", "-", f"{drained:.0f}", met=True),
            Check(
                "rehearsal / drain",
                f">= {OF_THE_DRAIN}",
                f"{rehearsed / drained:.2f}",
                rehearsed >= OF_THE_DRAIN * drained,
            ),
            Check("failure groups", f"{len(KINDS)}", f"{len(expected)}: {sorted(titles.values())}", len(expected) == 3),
            Check("found / then failed", "the same", f"{sum(found.values())} / {len(failed)}", found == expected),
        ]
    )


def write_failed(rows: int, every: int) -> None:
    """Write messages that have failed, of which some will fail again."""
    Tag.objects.create(name="taken")
    drafts = [Draft("bench.tried", key=f"try {n}", payload=_payload(n, every)) for n in range(rows)]
    for start in range(0, rows, harness.BATCH):
        with transaction.atomic():
            publish_many(drafts[start : start + harness.BATCH])
    with connection.cursor() as cursor:
        cursor.execute(FAIL)
    history.vacuum()


def _payload(number: int, every: int) -> dict[str, str]:
    turn = number % every
    return {"do": KINDS[turn]} if turn < len(KINDS) else {}


def rehearse(operation_id: int) -> tuple[float, float, dict[str, int]]:
    """Rehearse the set; return rows/s from the first result to the last, with the start, and the failures by group."""
    at: list[float] = []
    rehearse_as_ever = run.rehearse

    def timed(*args: Any, **options: Any) -> Iterator[Any]:
        for result in rehearse_as_ever(*args, **options):
            at.append(time.perf_counter())
            yield result

    whole_sets.start(operation_id, actor="bench")
    began = time.perf_counter()
    with mock.patch.object(run, "rehearse", timed):
        taken = background.take()
        if taken is None:
            raise SystemExit("the rehearsal was not there to be taken")
        background.play(taken)
    rehearsal = BulkRehearsal.objects.get()
    summary = Summary.from_json(rehearsal.results[CONSUMER])
    groups = {group.failure: group.count for group in summary.groups if group.outcome is Outcome.FAILED}
    return (len(at) - 1) / (at[-1] - at[0]), len(at) / (at[-1] - began), groups


def retry(operation_id: int, installation: harness.Harness) -> float:
    """Start the operation, have one process do what it retries, and return how many it has done a second."""
    operations.start(operation_id, revision=0, actor="bench", reason="bench")
    while BulkOperation.objects.get(pk=operation_id).remaining:
        running.go_on()
    installation.workers(1)
    harness.wait_until_finished(CONSUMER, within=WITHIN_SECONDS)
    spent = Message.objects.filter(consumer=CONSUMER).aggregate(first=Min("finished_at"), last=Max("finished_at"))
    seconds: float = (spent["last"] - spent["first"]).total_seconds()
    return (Message.objects.filter(consumer=CONSUMER).count() - 1) / seconds


if __name__ == "__main__":
    main()
