"""100,000 messages taken out of the desk as a file: ``python benchmarks/exports.py``.

The list that an operator exports is asked for as a browser does, by Django's client, until the last byte. Beside it
stands what no export can be faster than: PostgreSQL's own COPY of the same columns, and XlsxWriter with the same cells
at hand. The audit is exported as well, as its entries have more text.
"""

import argparse
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.app import harness, history
from benchmarks.app.harness import Check

# isort: split
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings
from xlsxwriter import Workbook

from outbox.admin import sheets
from outbox.admin.messages.exporting import columns_of_queue
from outbox.models import Message

QUEUE, AUDIT = "/admin/outbox/message/export/", "/admin/outbox/auditentry/export/"
AT_MOST = {"csv": 2.0, "xlsx": 10.0}
"""Seconds within which the whole file must be there."""
COPY = """
COPY (
    SELECT id, topic, key, consumer, status, resolution, reason, attempts, value, currency, created_at, finished_at,
        failure, left(last_error, 1000)
    FROM outbox_message ORDER BY id DESC
) TO STDOUT (FORMAT csv)
"""
ENTRIES = """
INSERT INTO outbox_auditentry (at, actor, origin, action, message_id, subject, before, after, reason, salt,
    texts_digest, previous, digest)
SELECT now() - n * interval '1 s', 'person-' || n %% 20, '10.0.0.7', 'retry', n, 'shop.sold ' || n || ' → shop.book',
    '{"status": "failed"}', '{"status": "pending"}', 'the till is mended, see SHOP-' || n %% 100, md5(n::text),
    encode(sha256(n::text::bytea), 'hex'), encode(sha256(('p' || n)::bytea), 'hex'),
    encode(sha256(('p' || n + 1)::bytea), 'hex')
FROM generate_series(1, %(rows)s) AS n
"""


def main() -> None:
    """Write messages and entries, export them, and check the times."""
    parser = argparse.ArgumentParser(description="Measure the desk's exports beside COPY and a bare writer.")
    parser.add_argument("--rows", type=int, default=100_000, help="messages (default 100000)")
    parser.add_argument("--rounds", type=int, default=3, help="of each (default 3); the best counts")
    parser.add_argument("--quick", action="store_true", help="10000 messages, one round")
    options = parser.parse_args()
    rows, rounds = (10_000, 1) if options.quick else (options.rows, options.rounds)

    with harness.running():
        past: dict[str, history.Value] = {"oldest": 86_400, "span": 86_000, "topic": "shop.sold"}
        consumers = ["shop.book", "shop.try_out"]
        history.write_rows(history.EXHAUSTED, rows=rows, consumers=consumers, name="stuck", groups=8, **past)
        history.write_rows(ENTRIES, rows=rows)
        history.vacuum()
        client = log_in()
        seconds = {
            "COPY": best(rounds, copy),
            "csv": best(rounds, lambda: take(client, QUEUE, "csv")),
            "bare writer": best(rounds, bare_writer(rows)),
            "xlsx": best(rounds, lambda: take(client, QUEUE, "xlsx")),
            "audit csv": best(rounds, lambda: take(client, AUDIT, "csv")),
            "audit xlsx": best(rounds, lambda: take(client, AUDIT, "xlsx")),
        }
        harness.print_result("exported", rows=rows, **{name: round(took, 2) for name, took in seconds.items()})
    harness.report_checks(
        [
            *(
                Check(
                    f"{rows:,} messages as {name}",
                    f"<= {limit:.0f} s",
                    f"{seconds[name]:.2f} s",
                    seconds[name] <= limit,
                )
                for name, limit in AT_MOST.items()
            ),
            Check("COPY of the same columns", "-", f"{seconds['COPY']:.2f} s", met=True),
            Check("a bare XlsxWriter with the same cells", "-", f"{seconds['bare writer']:.2f} s", met=True),
            *(
                Check(f"{rows:,} entries of the audit as {name}", "-", f"{seconds[f'audit {name}']:.2f} s", met=True)
                for name in AT_MOST
            ),
        ]
    )


def log_in() -> Client:
    """Return a client that is logged in as a superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser("bench", password="bench"))
    return client


def best(rounds: int, call: Callable[[], object]) -> float:
    """Return how long the fastest of some calls took, in seconds."""
    took = []
    for _round in range(rounds):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return min(took)


def take(client: Client, address: str, form: str) -> int:
    """Take a list as a file and return its size."""
    with override_settings(ALLOWED_HOSTS=["testserver"], SECURE_SSL_REDIRECT=False):
        answer: Any = client.get(address, {"format": form})
        if answer.status_code != 200:
            raise SystemExit(f"{address}: {answer.status_code}")
        return sum(map(len, answer.streaming_content))


def copy() -> int:
    """Have PostgreSQL write the same columns, and return the size."""
    connection.ensure_connection()
    raw: Any = connection.connection
    if hasattr(raw, "info") and hasattr(raw.cursor(), "copy_expert"):
        file = io.StringIO()
        raw.cursor().copy_expert(COPY, file)
        return file.tell()
    with raw.cursor().copy(COPY) as chunks:
        return sum(map(len, chunks))


def bare_writer(rows: int) -> Callable[[], object]:
    """Return what writes a workbook of the same rows, which are at hand."""
    columns = columns_of_queue()
    names = [column.name for column in columns if column.name != "error"]
    read = Message.objects.order_by("-pk").values_list(*names, "last_error")[:rows]
    cells = list(sheets.written(columns, read))
    return lambda: _write(cells)


def _write(cells: list[list[Any]]) -> None:
    book = Workbook(io.BytesIO(), {"constant_memory": True, "default_date_format": "yyyy-mm-dd hh:mm:ss"})
    sheet = book.add_worksheet()
    for number, row in enumerate(cells):
        sheet.write_row(number, 0, row)
    book.close()


if __name__ == "__main__":
    main()
