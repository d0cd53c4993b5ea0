"""What closes a flash sale until its stock was counted once more, and who is asked to do that."""

import uuid
from datetime import timedelta

from django.db import router, transaction

from awards.errors import SaleOpened
from awards.listeners import CAMPAIGN_CHANGED, SALE_WARM
from awards.models import Because, Prize, Sale, SaleState, StockIn
from awards.services.written_stock import unwritten_of, write_down_all
from outbox import publish


def close_for_warming(sale: Sale, because: Because) -> bool:
    """Let nobody draw until the stock in Redis was filled anew, and ask a worker to do it.

    It is done once for the epoch that was read, however many find it wrong. Tell whether it was us.
    """
    with transaction.atomic(using=router.db_for_write(Sale)):
        if not Sale.objects.close_for_warming(sale, because):
            return False
        ask_to_warm(sale)
        return True


def ask_to_warm(sale: Sale, *, after: timedelta | None = None) -> None:
    """Have a worker prewarm a sale that is being prewarmed. Call it in the transaction that says so."""
    publish(SALE_WARM, key=f"{sale.pk}:{uuid.uuid4()}", payload={"sale": sale.pk}, delay=after)


def hold_still(prize: Prize) -> int:
    """Before a prize's stock is changed: have Redis follow; return how many pieces its row has still to lose.

    Call it in the transaction of the change. Nobody draws from Redis until that was filled anew, and a prewarming that
    is under way opens nothing. The sale is locked, then the prize, as everywhere. Awards are not: whoever takes one
    back has locked it already.
    """
    sale = Sale.objects.select_for_update().filter(campaign_id=prize.campaign_id, stock_in=StockIn.REDIS).first()
    if sale is None or not sale.epoch:
        return 0
    Sale.objects.outdate(sale)
    if sale.state in (SaleState.OPEN, SaleState.WARMING):
        ask_to_warm(sale)
    Prize.objects.select_for_update(no_key=True).get(pk=prize.pk)
    return unwritten_of(prize.pk)


def leave_redis(sale: Sale) -> None:
    """Write down what Redis has handed out, before anybody sells from elsewhere. Nobody opens the sale meanwhile.

    Call it in the transaction in which Redis is left. ``sale`` is as it was found closed: one that was opened since
    raises ``SaleOpened``. Awards are locked first, as by whoever takes one back.
    """
    write_down_all(sale.campaign_id)
    shut = Sale.objects.filter(pk=sale.pk, epoch=sale.epoch, state__in=[SaleState.NEW, SaleState.CLOSED])
    if shut.select_for_update().first() is None:
        raise SaleOpened("the sale was opened meanwhile")


def say_changed(campaign_id: int) -> None:
    """Have the page of a flash sale read anew, once the caller's change of what it shows is committed."""
    if Sale.objects.filter(campaign_id=campaign_id).exists():
        publish(CAMPAIGN_CHANGED, key=f"{campaign_id}:{uuid.uuid4()}", payload={"campaign": campaign_id})
