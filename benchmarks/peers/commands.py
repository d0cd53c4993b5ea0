"""The commands of every contestant: publish, as a backlog or at an even rate, and count what was done with it."""

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Count, Max, Min, Q

from benchmarks.clock_offset import database_clock_offset
from benchmarks.peers.work.models import Award, payload_of

BATCH = 1000
"""Messages that one transaction writes into a backlog."""
PERSON = "anna@example.com"
POLL_SECONDS = 0.1
"""Between two queries whether all is issued."""


def migrate() -> None:
    """Make the tables, and leave the database, so that it can be the template of others."""
    call_command("migrate", verbosity=0)
    connection.close()


def clear_tables(adapter: ModuleType) -> None:
    """Take the rows of the round before away, so that each begins with empty tables."""
    tables = ", ".join(("work_award", *adapter.TABLES))
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")


def publish_backlog(adapter: ModuleType, messages: int, behind: int = 0) -> None:
    """Commit ``messages`` awards with their messages, many in a transaction; then let the planner see them.

    ``behind`` says how many were published before and not cleared away.
    """
    awards = getattr(adapter, "AWARDS_PER_MESSAGE", 1)
    for start in range(behind, behind + messages, BATCH):
        numbers = range(start, min(start + BATCH, behind + messages))
        with transaction.atomic():
            Award.objects.bulk_create(
                Award(pk=number * awards + place + 1, person=f"person-{number}@example.com")
                for number in numbers
                for place in range(awards)
            )
            adapter.send_many([payload_of(number * awards + 1) for number in numbers])
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval(pg_get_serial_sequence('work_award', 'id'), %s)", [(behind + messages) * awards])
        for table in ("work_award", *adapter.TABLES):
            cursor.execute(f"ANALYZE {table}")


def publish_live(adapter: ModuleType, messages: int, per_commit: int) -> float:
    """Commit awards with their messages, a few in a transaction, as fast as it goes; return the seconds it took."""
    began = time.perf_counter()
    for _ in range(0, messages, per_commit):
        with transaction.atomic():
            for award in Award.objects.bulk_create(Award(person=PERSON) for _ in range(per_commit)):
                adapter.send(payload_of(award.pk))
    return time.perf_counter() - began


def count_unissued(behind: int = 0) -> int:
    """Return how many awards, of those ``behind`` a number, are not issued yet."""
    return Award.objects.filter(pk__gt=behind, times=0).count()


def count_unsettled(adapter: ModuleType) -> int:
    """Return how many messages are not written down as done, as far as the contestant writes that down."""
    count: Callable[[], int] = getattr(adapter, "count_unsettled", lambda: 0)
    return count()


def measure_sending(adapter: ModuleType, messages: int, within: float) -> float:
    """Return how many messages a second are handed over and written down as such, from the first step to the end.

    What is not handed over is counted every twentieth of a second, in the same way for everybody.
    """
    until = time.monotonic() + within
    while (left := adapter.count_unsent()) == messages:
        _pause_for_sending(until, left, within)
    seen, since = left, time.monotonic()
    while left := adapter.count_unsent():
        _pause_for_sending(until, left, within)
    return float(seen / (time.monotonic() - since))


def _pause_for_sending(until: float, left: int, within: float) -> None:
    if time.monotonic() > until:
        raise TimeoutError(f"{left} messages were not handed over within {within} s")
    time.sleep(POLL_SECONDS / 2)


def count_issued(behind: int = 0) -> dict[str, Any]:
    """Count the awards and how often they were issued, and how long it took from the first to the last, in seconds."""
    figures = Award.objects.filter(pk__gt=behind).aggregate(
        awards=Count("pk"),
        issued=Count("pk", filter=Q(times__gt=0)),
        once=Count("pk", filter=Q(times=1)),
        first=Min("issued_at"),
        last=Max("issued_at"),
    )
    first, last = figures.pop("first"), figures.pop("last")
    return {**figures, "seconds": (last - first).total_seconds() if first else 0.0}


def measure_latency(adapter: ModuleType, rate: int, seconds: float, within: float) -> dict[str, Any]:
    """Commit awards one by one at ``rate`` per second; return milliseconds from commit to success, and of the commits.

    Success is when the award was issued, or later where the contestant records when the message was done. Both ends
    are on the database's clock.
    """
    offset = database_clock_offset()
    committed, milliseconds, elapsed = _commit_at_rate(adapter, rate, seconds)
    awards = list(committed)
    _wait_until_issued(awards, within)
    progress = getattr(adapter, "progress", _progress)
    settled = progress(awards)
    starts = [(award, started) for award, (started, _ended, _tries) in settled.items() if started]
    return {
        "waits": [(ended - offset - committed[award]) * 1e3 for award, (_started, ended, _tries) in settled.items()],
        "starts": [(started - offset - committed[award]) * 1e3 for award, started in starts],
        "retried": sum(tries > 1 for _started, _ended, tries in settled.values()),
        "commits": milliseconds,
        "rate": len(awards) / elapsed,
        "once": Award.objects.filter(pk__in=awards, times=1).count(),
    }


def publish_at_rate(adapter: ModuleType, rate: int, seconds: float) -> int:
    """Commit awards one by one at ``rate`` per second, as producers that keep on; return how many."""
    committed, _milliseconds, _elapsed = _commit_at_rate(adapter, rate, seconds)
    return len(committed)


def _commit_at_rate(adapter: ModuleType, rate: int, seconds: float) -> tuple[dict[int, float], list[float], float]:
    """Return when each award was committed on our clock, the milliseconds each took, and the seconds in all."""
    committed: dict[int, float] = {}
    milliseconds: list[float] = []
    start = time.perf_counter() + 0.1
    for number in range(round(rate * seconds)):
        pause = start + number / rate - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        began = time.perf_counter()
        award, at = _commit_one(adapter)
        committed[award] = at
        milliseconds.append((time.perf_counter() - began) * 1e3)
    return committed, milliseconds, time.perf_counter() - start


def _commit_one(adapter: ModuleType) -> tuple[int, float]:
    """Return the award and when COMMIT had returned: before the hooks, in which Celery alone sends to the broker."""
    committed: list[float] = []
    with transaction.atomic():
        transaction.on_commit(lambda: committed.append(time.time()))
        award = Award.objects.create(person=PERSON)
        adapter.send(payload_of(award.pk))
    return award.pk, committed[0]


def _wait_until_issued(awards: list[int], within: float) -> None:
    until = time.monotonic() + within
    while unissued := Award.objects.filter(pk__in=awards, times=0).count():
        if time.monotonic() > until:
            raise TimeoutError(f"{unissued} of {len(awards)} awards were not issued within {within} s")
        time.sleep(POLL_SECONDS)
    time.sleep(POLL_SECONDS)  # the message may be marked a moment after the award


def _progress(awards: list[int]) -> dict[int, tuple[float, float, int]]:
    """Return when each award was started (unknown: 0), was issued, and by how many tries."""
    rows = Award.objects.filter(pk__in=awards).values_list("pk", "issued_at", "times")
    return {pk: (0.0, at.timestamp(), times) for pk, at, times in rows}
