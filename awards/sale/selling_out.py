"""The end of a sale: whether what Redis has no piece of is sold out."""

from django.db import router, transaction
from django.db.models.functions import Now

from awards.models import Because, Prize, Sale, SaleState
from awards.sale import redis_stock
from awards.services.sales import close_for_warming, say_changed
from awards.services.written_stock import rest_of, write_down_all


def note_sold_out(sale_id: int, epoch: int, prize_id: int, *, in_doubt: bool) -> bool:
    """Find out whether a prize is sold out that Redis has no piece of; False if that cannot be known yet.

    The rest is counted anew under the prize's lock, and never set. If something is left that no draw will take, and
    Redis does not have it either, the sale is prewarmed once more. ``in_doubt`` says to wait no longer for draws that
    may still hold a piece: whoever does is too late from then on.
    """
    sale = Sale.objects.filter(pk=sale_id, epoch=epoch, state=SaleState.OPEN).first()
    if sale is None:
        return True
    with transaction.atomic(using=router.db_for_write(Prize)):
        write_down_all(sale.campaign_id)
        Prize.objects.select_for_update(no_key=True).get(pk=prize_id)
        rest = rest_of(prize_id)
    if not rest:
        _mark(sale)
        return True
    if redis_stock.left(sale, [prize_id])[prize_id]:
        return True
    if in_doubt:
        close_for_warming(sale, Because.EMPTY_IN_REDIS)
    return in_doubt


def _mark(sale: Sale) -> None:
    """Say that nothing of the campaign is left, once nothing is.

    No prize is locked here, as whoever changes a stock locks the sale first. Since that makes the epoch an earlier one,
    nothing is said of a stock that was changed meanwhile.
    """
    if Prize.objects.drawable().filter(campaign=sale.campaign_id).exists():
        return
    with transaction.atomic(using=router.db_for_write(Sale)):
        if Sale.objects.filter(pk=sale.pk, epoch=sale.epoch, sold_out_at__isnull=True).update(sold_out_at=Now()):
            say_changed(sale.campaign_id)
