"""How long from commit to success, with real processes: ``make bench`` or ``python benchmarks/latency.py``.

One process publishes at an even rate, as a web process would; a worker with two processes, a worker for the chores and
beat do the rest, on PostgreSQL and RabbitMQ. Begins when COMMIT has returned, ends at the ``finished_at`` of the row,
both on the database's clock. Prints a JSON object per rate and a table at the end; removes its database and queues.
"""

import argparse
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

DATABASE = "postgres://postgres@127.0.0.1:5432/postgres"
BROKER = "amqp://guest:guest@127.0.0.1:5672//"
WARM_UP_SECONDS = 3
REQUIRED = {50: (10.0, 50.0), 400: (None, 50.0)}
"""Milliseconds at most by rate: the median, and what 99 of 100 stay under."""


@dataclass(frozen=True)
class Result:
    """What one rate came to; times in milliseconds from commit to success, ``start`` from commit to start."""

    rate: int
    published: int
    published_per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    start_p50_ms: float
    publish_p50_ms: float
    retried: int


def main() -> None:
    """Set everything up, measure each rate, clean up."""
    parser = argparse.ArgumentParser(description="Measure the latency from commit to success.")
    parser.add_argument("--seconds", type=float, default=20, help="how long to publish at each rate (default 20)")
    parser.add_argument("--rates", type=int, nargs="+", default=[50, 400], help="messages per second (default 50 400)")
    options = parser.parse_args()

    run = f"bench-{secrets.token_hex(4)}"
    server = os.environ.get("DATABASE_URL") or DATABASE
    broker = os.environ.get("CELERY_BROKER_URL") or BROKER
    os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "CELERY_BROKER_URL": broker, "OUTBOX_PREFIX": run}
    os.environ.pop("EMBEDDED", None)
    from tests.faults.installation import Database, installed, migrate, with_name

    name = run.replace("-", "_")
    os.environ["DATABASE_URL"] = with_name(server, name)
    import django

    django.setup()
    with (
        tempfile.TemporaryDirectory(prefix=run) as folder,
        installed(Database(server, name), broker=broker, prefix=run, folder=Path(folder)) as installation,
    ):
        migrate(installation.environment)
        installation.worker()
        installation.control()
        installation.beat()
        measure(rate=50, seconds=WARM_UP_SECONDS, name="warm-up")
        results = []
        for rate in options.rates:
            results.append(measure(rate=rate, seconds=options.seconds, name=f"at {rate}/s"))
            print(json.dumps(asdict(results[-1])), flush=True)
        close()
    print_table(results)


def measure(*, rate: int, seconds: float, name: str) -> Result:
    """Publish at ``rate`` for ``seconds``, wait until all is delivered, and compare the clocks."""
    from django.db import transaction

    from outbox import publish
    from outbox.models import Message

    count = round(rate * seconds)
    behind = seconds_behind_database()
    committed: dict[str, float] = {}
    taken = []
    start = time.perf_counter() + 0.1
    for number in range(count):
        pause = start + number / rate - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        key = f"{name} {number}"
        began = time.perf_counter()
        with transaction.atomic():
            publish("shop.sold", key=key, payload={})
        committed[key] = time.time() + behind
        taken.append(time.perf_counter() - began)
    spent = time.perf_counter() - start

    rows = Message.objects.filter(key__startswith=f"{name} ")
    deadline = time.monotonic() + 60
    while rows.filter(finished_at__isnull=True).exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"{rows.filter(finished_at__isnull=True).count()} messages were not delivered within 60 s")
        time.sleep(0.2)
    times = list(rows.values_list("key", "started_at", "finished_at"))
    waits = sorted((finished.timestamp() - committed[key]) * 1e3 for key, _started, finished in times)
    starts = [(started.timestamp() - committed[key]) * 1e3 for key, started, _finished in times]
    return Result(
        rate=rate,
        published=count,
        published_per_second=round(count / spent, 1),
        p50_ms=round(quantile(waits, 0.5), 2),
        p90_ms=round(quantile(waits, 0.9), 2),
        p99_ms=round(quantile(waits, 0.99), 2),
        max_ms=round(waits[-1], 2),
        start_p50_ms=round(statistics.median(starts), 2),
        publish_p50_ms=round(statistics.median(taken) * 1e3, 2),
        retried=rows.filter(attempts__gt=1).count(),
    )


def seconds_behind_database() -> float:
    """Return what must be added to our clock to get the database's, from the quickest of twenty questions."""
    from django.db import connection

    answers = []
    with connection.cursor() as cursor:
        for _ in range(20):
            asked = time.time()
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
            [database] = cursor.fetchone()
            answered = time.time()
            answers.append((answered - asked, float(database) - (asked + answered) / 2))
    return min(answers)[1]


def quantile(ordered: list[float], share: float) -> float:
    """Return the value that ``share`` of the ordered values do not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def close() -> None:
    """Let the courier send what it holds, and leave the database."""
    from django.db import connection

    from outbox import courier

    courier.drain()
    connection.close()


def print_table(results: list[Result]) -> None:
    """Print the figures for people, beside what is required of them."""
    print(f"\n{'rate':>8} {'p50':>9} {'p90':>9} {'p99':>9} {'max':>9}   required")
    for result in results:
        middle, most = REQUIRED.get(result.rate, (None, None))
        required = ", ".join(
            f"{name} <= {bound:.0f} ms: {'met' if value <= bound else 'MISSED'}"
            for name, value, bound in (("p50", result.p50_ms, middle), ("p99", result.p99_ms, most))
            if bound is not None
        )
        figures = " ".join(
            f"{value:>6.1f} ms" for value in (result.p50_ms, result.p90_ms, result.p99_ms, result.max_ms)
        )
        print(f"{result.rate:>6}/s {figures}   {required or '-'}")


if __name__ == "__main__":
    main()
