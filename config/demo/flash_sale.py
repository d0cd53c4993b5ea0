"""The demo's flash sale: a few pieces, more people than pieces, and a rate that keeps most of them waiting a moment.

Without Redis its draws wait in a queue and take their pieces from the database; with ``REDIS_URL`` it runs on Redis.
"""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import httpx
from django.utils import timezone

from awards import conf
from awards.models import Access, Award, Campaign, Kind, Prize, Sale, SaleState, StockAct, StockIn
from awards.sale.comparing import compare
from awards.sale.running import open_sale
from awards.services.campaigns import StockChangeRequest, change_stock
from config.demo.load import DrawingFailed

SLUG = "lightning-sale"
PIECES = 60
RATE, BURST = 25, 25
AT_ONCE = 40
"""People who try at the same moment."""
ANSWER_TIMEOUT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What one person was told in the end, and how often to come again before that."""

    outcome: str
    """``won``, ``lost``, or why not."""
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleOutcome:
    """What became of the pieces that there were."""

    pieces: int
    won: int
    left: int

    @property
    def adds_up(self) -> bool:
        """Whether every piece is won once or left."""
        return self.won + self.left == self.pieces


def prepare() -> Sale:
    """Make the sale, or fill its stock again, and open it; with a stock in Redis a worker prewarms it first."""
    campaign, _new = Campaign.objects.get_or_create(
        slug=SLUG,
        defaults={
            "name": "Lightning sale",
            "description": f"{PIECES} prizes, and whoever is quick.",
            "starts_at": timezone.now() - timedelta(hours=1),
            "ends_at": timezone.now() + timedelta(days=365),
            "losing_weight": 1,
            "access": Access.OPEN,
        },
    )
    fields = {"kind": Kind.POINTS, "value": Decimal(100), "weight": 2, "stock": PIECES}
    prize, _made = Prize.objects.get_or_create(campaign=campaign, name="100 points", defaults=fields)
    sale, _added = Sale.objects.get_or_create(campaign=campaign)
    with_redis = conf.has_redis()
    Sale.objects.filter(pk=sale.pk).update(
        stock_in=StockIn.REDIS if with_redis else StockIn.DATABASE,
        queues=not with_redis,
        rate=RATE,
        burst=BURST,
        state=SaleState.CLOSED,
    )
    sale = Sale.objects.select_related("campaign").get(pk=sale.pk)
    if (missing := PIECES - _left(sale)) > 0:
        wanted = StockChangeRequest(act=StockAct.ADD, pieces=missing, reason="the demo begins", request_id=uuid.uuid4())
        change_stock(prize, wanted, actor="demo")
    open_sale(sale)
    return Sale.objects.select_related("campaign").get(pk=sale.pk)


def stand_of(sale: Sale) -> tuple[int, int]:
    """Return how many pieces have been won, and how many are left."""
    return _won(sale), _left(sale)


def let_in(address: str, *, run: str, people: int) -> Iterator[Answered]:
    """Have so many people draw at the endpoint ``address``, each once, and yield what each was told."""
    with ThreadPoolExecutor(AT_ONCE) as pool, httpx.Client(timeout=20, trust_env=False) as client:
        coming = [pool.submit(_draw, client, address, f"sale-{run}-{number}") for number in range(people)]
        for each in as_completed(coming):
            yield each.result()


def _draw(client: httpx.Client, address: str, request_id: str) -> Answered:
    """Draw as one who comes again when told to."""
    until, refused = time.monotonic() + ANSWER_TIMEOUT.total_seconds(), 0
    headers, person = {"Idempotency-Key": request_id}, f"{request_id}@example.org"
    ask_at = ""
    while True:
        try:
            answer = client.get(ask_at) if ask_at else client.post(address, json={"person": person}, headers=headers)
        except httpx.TransportError as error:
            problem, wait = repr(error), 0.2
        else:
            if answer.status_code not in (202, 429) and answer.status_code < 500:
                content = answer.json()
                return Answered(outcome=content.get("outcome") or content.get("code", ""), refused=refused)
            if answer.status_code == 202:
                ask_at = str(httpx.URL(address).join(answer.headers["Location"]))
            else:
                refused += 1
            problem, wait = f"{answer.status_code}: {answer.text[:300]}", float(answer.headers.get("Retry-After", 1))
        if time.monotonic() > until:
            raise DrawingFailed(f"{request_id} of the flash sale was not answered within {ANSWER_TIMEOUT}: {problem}")
        time.sleep(wait)


def _won(sale: Sale) -> int:
    return Award.objects.filter(prize__campaign=sale.campaign_id).count()


def _left(sale: Sale) -> int:
    return sum(stock.rest for stock in compare(sale))
