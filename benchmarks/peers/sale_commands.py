"""Commands of ``benchmarks/sale.py``: open a sale, count what became of it, and the statements of a draw."""

import json
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Sum
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

SLUG = "bench"


def open_sale(how: str, pieces: int, rate: int | None = None, burst: int = 1) -> None:
    """Begin anew, with a sale of one prize: its stock in the database or in Redis, or draws that wait in a queue."""
    from awards.models import Campaign, Kind, Prize, Sale, SaleState, StockIn
    from awards.sale import warming

    clear()
    now = timezone.now()
    span = timedelta(days=1)
    campaign = Campaign.objects.create(slug=SLUG, name="Sale", starts_at=now - span, ends_at=now + span, access="open")
    Prize.objects.create(campaign=campaign, name="50 points", kind=Kind.POINTS, value=Decimal(50), stock=pieces)
    sale = Sale.objects.create(
        campaign=campaign,
        stock_in=StockIn.REDIS if how == "redis" else StockIn.DATABASE,
        queues=how == "queued",
        within=600,
        rate=rate,
        burst=burst,
    )
    if how == "redis":
        Sale.objects.switch(sale, SaleState.WARMING)
        warming.warm(sale.pk)


def clear() -> None:
    """Empty the tables of the business and of the engine."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' AND"
            " (tablename LIKE 'awards%' OR tablename IN ('outbox_message', 'outbox_attempt', 'outbox_half'))"
        )
        tables = ", ".join(name for [name] in cursor.fetchall())
        cursor.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
        cursor.execute("ANALYZE")


def check_sale(pieces: int, people: int, within: float = 60.0) -> dict[str, Any]:
    """Count what was sold and what is left, once all is written down; ``answered`` is by how many rows people are."""
    from awards.models import Award, Draw, Prize, QueuedRefusal

    until = time.monotonic() + within
    while Award.objects.filter(stock_written=False).exists() and time.monotonic() < until:
        time.sleep(0.1)
    left = Prize.objects.aggregate(left=Sum("stock"))["left"]
    sold = Award.objects.count()
    return {
        "sold": sold,
        "left": left,
        "oversold": max(0, sold + left - pieces),
        "draws": Draw.objects.count(),
        "refusals": QueuedRefusal.objects.count(),
        "people": people,
    }


def count_statements(people: int) -> float:
    """Return the statements that each of ``people`` takes who draw one after the other, those of the queue included."""
    from outbox.testing import deliver_pending

    client = Client(HTTP_HOST="localhost")
    with CaptureQueriesContext(connection) as captured:
        asks = []
        for number in range(people):
            answer = client.post(
                f"/api/campaigns/{SLUG}/draws",
                json.dumps({"person": f"counted {number}"}),
                content_type="application/json",
                headers={"Idempotency-Key": f"counted-{number}"},
                secure=True,
            )
            assert answer.status_code in (201, 202), answer.content
            if answer.status_code == 202:
                asks.append(answer["Location"])
        if asks:
            deliver_pending("awards.draw_queued")
            for address in asks:
                assert client.get(address, secure=True).status_code == 200
    said = [query["sql"] for query in captured.captured_queries]
    return sum(not sql.startswith(("SAVEPOINT", "RELEASE")) for sql in said) / people
