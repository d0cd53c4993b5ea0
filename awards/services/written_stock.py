"""The prizes' own stocks, which follow what Redis has handed out: one UPDATE for each prize of a chunk."""

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING

from django.db.models import F, QuerySet

from awards.models import Award, Prize

if TYPE_CHECKING:
    from uuid import UUID


def write_down(award_ids: Collection["UUID | str"]) -> int:
    """Take the pieces of these awards off their prizes' stocks, each once; return how many. In a transaction."""
    return _write(Award.objects.filter(public_id__in=list(award_ids)))


def write_down_all(campaign_id: int) -> int:
    """Do so with every piece of a campaign that is not written down yet."""
    return _write(Award.objects.filter(prize__in=Prize.objects.filter(campaign_id=campaign_id)))


def _write(awards: "QuerySet[Award]") -> int:
    """Write down those that are not. Awards are locked in order, then prizes, so that chunks never deadlock."""
    unwritten = awards.filter(stock_written=False).order_by("pk").select_for_update(no_key=True)
    taken = list(unwritten.values_list("pk", "prize_id"))
    if not taken:
        return 0
    Award.objects.filter(pk__in=[pk for pk, _prize in taken]).update(stock_written=True)
    for prize, pieces in sorted(Counter(prize for _pk, prize in taken).items()):
        Prize.objects.filter(pk=prize, stock__isnull=False).update(stock=F("stock") - pieces)
    return len(taken)


def rest_of(prize_id: int) -> int:
    """Return how many pieces of a prize no award has: what its row says, less what is not written down yet.

    Call it in a transaction, with the prize locked.
    """
    stock = Prize.objects.values_list("stock", flat=True).get(pk=prize_id) or 0
    return stock - unwritten_of(prize_id)


def unwritten_of(prize_id: int) -> int:
    """Return how many pieces of a prize were won and are not written down yet; with the prize locked, as above."""
    return Award.objects.filter(prize_id=prize_id, stock_written=False).count()
