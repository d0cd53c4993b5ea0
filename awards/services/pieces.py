"""Pieces that were won and are not given out: back on their prize's stock, once for each award and reason."""

import uuid

from awards.errors import ManagingError
from awards.models import Award, StockAct
from awards.models.stock import STOCK_REASON_LENGTH
from awards.services import campaigns
from awards.services.campaigns import StockChangeRequest

SAID = {"revoked": "was revoked", "expired": "has expired"}
"""Why a piece comes back, and what the book of the stock says of it."""


def put_back(award: Award, *, because: str, actor: str, reason: str = "") -> bool:
    """Put the piece of ``award`` back on its stock, if that has a limit; tell whether it was.

    ``because`` is one of ``SAID``; the same twice puts back one piece. Call it in the
    transaction that takes the award back.
    """
    text = f"award {award.public_id} {SAID[because]}" + (f": {reason}" if reason else "")
    request = StockChangeRequest(
        act=StockAct.ADD,
        pieces=1,
        reason=text[:STOCK_REASON_LENGTH],
        request_id=uuid.uuid5(award.public_id, because),
    )
    try:
        campaigns.change_stock(award.prize, request, actor=actor)
    except ManagingError:
        return False  # it has no limit by now, or is full
    return True
