"""Prewarming: the stock of a sale is put into Redis, as the database has it, in a new epoch."""

import logging
from collections.abc import Iterable
from datetime import timedelta
from itertools import chain, islice

from django.db import router, transaction
from django.db.models import F
from django.db.models.functions import Now

from awards.errors import TooManyForRedis
from awards.models import Award, Because, Campaign, Prize, Sale, SaleState, StockIn
from awards.models.campaign import MOST_IN_REDIS
from awards.sale import redis_stock
from awards.sale.running import close_sale, open_and_pause
from awards.services.written_stock import rest_of

log = logging.getLogger("awards.sale")

FAR_TOO_MANY = 2 * MOST_IN_REDIS
"""Pieces that come back one by one may make a stock a little larger than an act on it may."""


def warm(sale_id: int) -> bool:
    """Fill Redis anew and open the sale, if it is being prewarmed; tell whether it is open now.

    What was begun and cut off is begun again, in another epoch. A sale of more pieces than Redis takes in is closed;
    the forms refuse them, and other code may set them. Raises ``RedisError`` while Redis does not answer.
    """
    try:
        begun = _begin(sale_id)
    except TooManyForRedis as error:
        log.error("flash sale %d is closed: %s", sale_id, error)
        close_sale(Sale.objects.get(pk=sale_id), because=Because.TOO_MANY)
        return False
    if begun is None:
        return Sale.objects.filter(pk=sale_id, state=SaleState.OPEN).exists()
    sale, pieces, ends_in = begun
    redis_stock.fill(sale, pieces, ends_in=ends_in)
    return open_and_pause(sale, lambda: Sale.objects.open(sale))


def _begin(sale_id: int) -> tuple[Sale, dict[int, Iterable[int]], timedelta] | None:
    """Begin an epoch: return the sale, which numbers are free of each prize, and how long the campaign goes on.

    The sale's row is locked: draws that hold a piece of the epoch before are committed by now, or never will be. So
    what the prizes' rows say, less what is not written down yet, is what is left.
    """
    with transaction.atomic(using=router.db_for_write(Sale)):
        sale = Sale.objects.select_for_update().filter(pk=sale_id, state=SaleState.WARMING).first()
        if sale is None or sale.stock_in != StockIn.REDIS:
            return None
        Sale.objects.filter(pk=sale.pk).update(epoch=F("epoch") + 1, changed_at=Now(), sold_out_at=None)
        sale.epoch += 1
        prizes = Prize.objects.filter(campaign_id=sale.campaign_id, stock__isnull=False).order_by("pk")
        pieces = {prize.pk: _free_numbers(prize) for prize in prizes.select_for_update(no_key=True)}
        campaign = Campaign.objects.with_clock().get(pk=sale.campaign_id)
        return sale, pieces, campaign.ends_at - campaign.clock


def _free_numbers(prize: Prize) -> Iterable[int]:
    """Return as many numbers as there are pieces, none of which an award has. New ones are made for what was added."""
    wanted = max(rest_of(prize.pk), 0)
    if wanted > FAR_TOO_MANY:
        raise TooManyForRedis(f"prize {prize.pk} has {wanted} pieces, and Redis takes in {MOST_IN_REDIS} of a prize")
    used = set(Award.objects.filter(prize=prize, piece__isnull=False).values_list("piece", flat=True))
    free = (number for number in range(1, prize.numbered + 1) if number not in used)
    missing = max(0, wanted - (prize.numbered - len(used)))
    if missing:
        Prize.objects.filter(pk=prize.pk).update(numbered=prize.numbered + missing)
    return chain(islice(free, wanted - missing), range(prize.numbered + 1, prize.numbered + missing + 1))
