"""How a sale goes at this moment, for whoever watches it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min, Sum
from django.db.models.functions import Now
from django.utils import timezone
from redis.exceptions import RedisError

from awards.listeners import DRAWN_BY
from awards.models import Award, Draw, Prize, Sale, SaleSecond, StockIn
from awards.sale.comparing import StockOfPrize, compare
from outbox import Message

SECONDS = 10
"""Over which the figures a second are taken."""
LOOKED_AT = 50_000
"""Draws that are looked at: more than any sale makes in that time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleView:
    """What is seen of a sale. Figures a second are those of the last ten."""

    draws: float
    admitted: float
    refused: float
    queued: int
    longest_wait: timedelta | None
    stocks: Sequence[StockOfPrize]
    redis_answers: bool
    sold_out_at: datetime | None = None

    @property
    def balances(self) -> bool:
        """Whether Redis, prizes and awards add up."""
        return all(stock.balances for stock in self.stocks)


def watch(sale: Sale) -> SaleView:
    """Return how the sale goes."""
    since = timezone.now() - timedelta(seconds=SECONDS)
    came = SaleSecond.objects.filter(campaign_id=sale.campaign_id, second__gte=since)
    sums = came.aggregate(admitted=Sum("admitted"), refused=Sum("refused"))
    waiting = Message.objects.filter(consumer=DRAWN_BY, status="pending", key__startswith=f"{sale.campaign_id}:")
    oldest = waiting.aggregate(oldest=Min("created_at"))["oldest"] if sale.queues else None
    stocks, answers = _stocks(sale)
    return SaleView(
        draws=_draws_since(sale) / SECONDS,
        admitted=(sums["admitted"] or 0) / SECONDS,
        refused=(sums["refused"] or 0) / SECONDS,
        queued=waiting.count() if sale.queues else 0,
        longest_wait=None if oldest is None else timezone.now() - oldest,
        stocks=stocks,
        redis_answers=answers,
        sold_out_at=_sold_out_at(sale),
    )


def _draws_since(sale: Sale) -> int:
    """Count the draws of the last seconds, among the latest of all, for no index has the time."""
    last = Draw.objects.order_by("-pk").values_list("pk", flat=True).first()
    if last is None:
        return 0
    recent = Draw.objects.filter(pk__gt=last - LOOKED_AT, campaign_id=sale.campaign_id)
    return recent.filter(drawn_at__gte=Now() - timedelta(seconds=SECONDS)).count()


def _sold_out_at(sale: Sale) -> datetime | None:
    """Return since when nothing is left. Where the stock is in the database, that is when the last piece was won."""
    if sale.stock_in == StockIn.REDIS:
        return sale.sold_out_at
    if Prize.objects.drawable().filter(campaign=sale.campaign_id).exists():
        return None
    won = Award.objects.filter(prize__campaign=sale.campaign_id, prize__stock=0, prize__weight__gt=0)
    return won.order_by("-pk").values_list("won_at", flat=True).first()


def _stocks(sale: Sale) -> tuple[list[StockOfPrize], bool]:
    try:
        return compare(sale), True
    except RedisError:
        return [], False
