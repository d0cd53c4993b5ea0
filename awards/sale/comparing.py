"""The books of a sale: what Redis has, what draws hold, what prizes' rows say and what was won must add up."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Q, QuerySet

from awards.models import Prize, Sale, SaleState, StockIn
from awards.sale import redis_stock


@dataclass(frozen=True, slots=True, kw_only=True)
class StockOfPrize:
    """How the stock of one prize stands; Redis's part is None where it has none."""

    prize: Prize
    rest: int
    """What the row says, less what is won and not written down yet."""
    unwritten: int
    won: int = 0
    """Awards of it, also those that were revoked since."""
    in_redis: int | None = None
    held: int = 0
    """Taken in Redis by draws that are not committed."""
    won_twice: int = 0
    """Pieces that Redis would hand out although somebody has them."""

    @property
    def missing(self) -> int:
        """How many pieces Redis lacks; below 0: how many it has too many."""
        return 0 if self.in_redis is None else self.rest - self.in_redis - self.held

    @property
    def balances(self) -> bool:
        """Whether all adds up."""
        return not self.missing and not self.won_twice


def compare(sale: Sale) -> list[StockOfPrize]:
    """Return how each limited prize of the sale stands. Raises ``RedisError`` if Redis does not answer.

    Draws may go on meanwhile. The database is read in one statement, and Redis after it at one moment: whatever is
    taken or given back between the two, as many pieces are in Redis or taken as there were when it was filled.
    """
    limited = Prize.objects.filter(campaign_id=sale.campaign_id, stock__isnull=False, weight__gt=0).order_by("pk")
    if not _is_filled(sale):
        unwritten = Count("award", filter=Q(award__stock_written=False))
        rows: list[Any] = list(limited.annotate(unwritten=unwritten, won=Count("award")))
        return [
            StockOfPrize(prize=row, rest=row.stock - row.unwritten, unwritten=row.unwritten, won=row.won)
            for row in rows
        ]
    stocks = _with_pieces(limited)
    found = redis_stock.pieces(sale, [each.prize.pk for each in stocks])
    return [_stock_of(each, *found[each.prize.pk]) for each in stocks]


def without_limit(sale: Sale) -> list[Prize]:
    """Return the prizes of the sale that can be drawn and have no stock to count."""
    endless = Prize.objects.filter(campaign_id=sale.campaign_id, stock__isnull=True, weight__gt=0)
    return list(endless.order_by("pk"))


def _is_filled(sale: Sale) -> bool:
    """Tell whether Redis must have the stock. A closed sale has none there once a stock was changed."""
    if sale.stock_in != StockIn.REDIS or not sale.epoch or sale.state == SaleState.WARMING:
        return False
    return sale.state != SaleState.CLOSED or redis_stock.is_warm(sale)


@dataclass(slots=True)
class _Written:
    """What the database says of a prize."""

    prize: Prize
    stock: int
    unwritten: int = 0
    awards: int = 0
    won: set[int] = field(default_factory=set)
    """Which pieces somebody has."""

    @property
    def rest(self) -> int:
        return self.stock - self.unwritten


def _with_pieces(limited: "QuerySet[Prize]") -> list[_Written]:
    """Read each of these prizes together with what was won of it: a row for each award."""
    prizes = limited.in_bulk()
    found: dict[int, _Written] = {}
    rows = limited.values_list("pk", "stock", "award__stock_written", "award__piece")
    for pk, stock, is_written, piece in rows.iterator():
        if pk in prizes:
            written = found.setdefault(pk, _Written(prizes[pk], stock or 0))
            written.unwritten += is_written is False
            written.awards += is_written is not None
            if piece is not None:
                written.won.add(piece)
    return list(found.values())


def _stock_of(written: _Written, numbers: Collection[int], taken: Collection[int]) -> StockOfPrize:
    return StockOfPrize(
        prize=written.prize,
        rest=written.rest,
        unwritten=written.unwritten,
        won=written.awards,
        in_redis=len(numbers),
        held=len(set(taken) - written.won),
        won_twice=len(written.won.intersection(numbers)),
    )
