"""How a sale goes at this moment, for whoever watches it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Sum
from django.db.models.functions import Now
from django.utils import timezone
from redis.exceptions import RedisError

from awards.listeners import DRAWN_BY
from awards.models import Award, Draw, Prize, Refusal, Sale, SaleSecond, StockIn
from awards.sale.comparing import StockOfPrize, compare, without_limit
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
    endless: Sequence[Prize]
    """Prizes whose stock has no limit."""
    refusals: Sequence[Refusal]
    """Draws that were refused today, by code: the most frequent first."""
    at: datetime
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
    queue: dict[str, Any] = waiting.aggregate(oldest=Min("created_at"), size=Count("pk")) if sale.queues else {}
    oldest = queue.get("oldest")
    stocks, answers = _stocks(sale)
    endless = without_limit(sale)
    return SaleView(
        draws=_draws_since(sale) / SECONDS,
        admitted=(sums["admitted"] or 0) / SECONDS,
        refused=(sums["refused"] or 0) / SECONDS,
        queued=queue.get("size", 0),
        longest_wait=None if oldest is None else timezone.now() - oldest,
        stocks=stocks,
        redis_answers=answers,
        endless=endless,
        refusals=_refusals_today(sale),
        at=timezone.now(),
        sold_out_at=_sold_out_at(sale, is_left=bool(endless) or any(stock.prize.stock for stock in stocks)),
    )


def _refusals_today(sale: Sale) -> list[Refusal]:
    """Return what the campaign has refused since midnight, in the time zone in which refusals are counted."""
    today = timezone.localdate(timezone=timezone.get_default_timezone())
    return list(Refusal.objects.filter(campaign_id=sale.campaign_id, day=today).order_by("-times", "code"))


def _draws_since(sale: Sale) -> int:
    """Count the draws of the last seconds, among the latest of all, for no index has the time."""
    last = Draw.objects.order_by("-pk").values_list("pk", flat=True).first()
    if last is None:
        return 0
    recent = Draw.objects.filter(pk__gt=last - LOOKED_AT, campaign_id=sale.campaign_id)
    return recent.filter(drawn_at__gte=Now() - timedelta(seconds=SECONDS)).count()


def _sold_out_at(sale: Sale, *, is_left: bool) -> datetime | None:
    """Return since when nothing is left. Where the stock is in the database, that is when the last piece was won."""
    if sale.stock_in == StockIn.REDIS:
        return sale.sold_out_at
    if is_left:
        return None
    won = Award.objects.filter(prize__campaign=sale.campaign_id, prize__stock=0, prize__weight__gt=0)
    return won.order_by("-pk").values_list("won_at", flat=True).first()


def _stocks(sale: Sale) -> tuple[list[StockOfPrize], bool]:
    try:
        return compare(sale), True
    except RedisError:
        return [], False
