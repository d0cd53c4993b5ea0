"""What a person does with a sale: open it, close it, have its stock counted once more."""

from collections.abc import Callable, Collection
from datetime import timedelta

from django.db import router, transaction

from awards.errors import SaleOver
from awards.models import Because, Campaign, Sale, SaleState, StockIn
from awards.sale.pausing import lock_pausing, pause_consumers, resume_consumers
from awards.sale.tallies import forget_earlier_sales
from awards.services.sales import ask_to_warm

NOT_ON = (SaleState.NEW, SaleState.CLOSED)
"""What is opened."""
NOT_CLOSED = (SaleState.NEW, SaleState.OPEN)
"""Whose stock is counted by a command: what a person has closed, only a person opens."""


def open_sale(sale: Sale) -> bool:
    """Open a sale; tell whether that changed anything: nothing if it is open, or being prewarmed.

    A sale whose stock is in the database is open at once. One whose stock is in Redis is warming until a worker has
    counted the stock. Raises ``SaleOver``.
    """
    _refuse_if_over(sale)
    if sale.stock_in == StockIn.REDIS:
        return start_warming(sale, because=Because.OPENED, of=NOT_ON)
    in_database = Sale.objects.filter(stock_in=StockIn.DATABASE)
    return open_and_pause(sale, lambda: in_database.switch(sale, SaleState.OPEN, of=NOT_ON))


def open_and_pause(sale: Sale, opens: Callable[[], bool]) -> bool:
    """Open a sale by ``opens`` and pause what it names, as one act; tell whether it was opened."""
    with transaction.atomic(using=router.db_for_write(Sale)):
        lock_pausing()
        opened = opens()
        if opened:
            pause_consumers(sale)
    if opened:
        forget_earlier_sales()
    return opened


def count_once_more(sale: Sale) -> bool:
    """Let nobody draw until a worker has counted the stock of a sale that is open; False if it is not.

    Raises ``SaleOver``.
    """
    return start_warming(sale, because=Because.COUNTED, of=[SaleState.OPEN])


def start_warming(
    sale: Sale, *, because: Because, of: Collection[SaleState] = NOT_CLOSED, after: timedelta | None = None
) -> bool:
    """Let nobody draw from Redis until a worker has counted the stock; tell whether that changed anything.

    Nothing changes if it stands as none ``of`` these, or if its stock is not in Redis. Whoever counts it himself has a
    worker do it ``after`` a while, as he may be cut off. By then it is open, mostly, and nothing is left to do. Raises
    ``SaleOver``.
    """
    _refuse_if_over(sale)
    with transaction.atomic(using=router.db_for_write(Sale)):
        in_redis = Sale.objects.filter(stock_in=StockIn.REDIS)
        if not in_redis.switch(sale, SaleState.WARMING, of=of, because=because):
            return False
        ask_to_warm(sale, after=after)
        return True


def close_sale(sale: Sale, *, because: Because) -> bool:
    """Close a sale: nobody draws until it is opened, and paused consumers go on. Tell whether it was open."""
    with transaction.atomic(using=router.db_for_write(Sale)):
        lock_pausing()
        closed = Sale.objects.switch(sale, SaleState.CLOSED, because=because)
        if closed:
            resume_consumers(sale)
    if closed:
        forget_earlier_sales()
    return closed


def _refuse_if_over(sale: Sale) -> None:
    """Raise ``SaleOver`` if nobody could draw from it any more, whatever it is said to be."""
    campaign = Campaign.objects.with_clock().get(pk=sale.campaign_id)
    if campaign.clock >= campaign.ends_at:
        raise SaleOver(campaign.ends_at)
