"""Taking an award back that was won and not issued: the award, what waits of its messages, and maybe its stock."""

import uuid
from dataclasses import dataclass

from django.db import router, transaction

from awards.errors import AwardChanged, ManagingError
from awards.listeners import COUNTED_BY, ISSUED_BY
from awards.models import Award, Kind, StockAct
from awards.services import campaigns, statistics
from awards.services.campaigns import StockChangeRequest
from outbox import Withdrawal, withdraw


@dataclass(frozen=True, slots=True)
class Revoked:
    """What became of an award that was taken back."""

    issuing: Withdrawal
    """How its issuing stood."""
    restocked: bool
    """Whether its piece can be won again."""

    @property
    def may_be_issued(self) -> bool:
        """Whether somebody outside may have acted, or may be about to: a person looks at the message."""
        return self.issuing not in (Withdrawal.WITHDRAWN, Withdrawal.NEVER_THERE)


def revoke(award: Award, *, actor: str) -> Revoked:
    """Take an award back that was won but not issued yet, with what waits of its messages, in one transaction.

    The award decides: whoever issues it at the same moment finds it revoked and ends quietly. Its row is locked first,
    then its messages without waiting for any. The stock comes back if the campaign says so, and only if the issuing was
    withdrawn before anything was done. Raises ``AwardChanged`` if the award has been issued, revoked or changed since
    it was read.
    """
    with transaction.atomic(using=router.db_for_write(Award)):
        if not Award.objects.revoke(award):
            raise AwardChanged(f"award {award.public_id} is no longer waiting to be issued, or was changed meanwhile")
        answers = withdraw(f"award.won.{award.kind}", key=award.pk)
        if answers.get(COUNTED_BY) == Withdrawal.WITHDRAWN:
            statistics.count_wins([award])
        statistics.count_revoked(award)
        issuing = answers.get(ISSUED_BY[Kind(award.kind)], Withdrawal.NEVER_THERE)
        return Revoked(issuing, issuing == Withdrawal.WITHDRAWN and _give_back(award, actor))


def _give_back(award: Award, actor: str) -> bool:
    """Put the piece back on the stock, if the campaign says so and the stock has a limit; tell whether it was."""
    prize = award.prize
    if not prize.campaign.restock_revoked:
        return False
    request = StockChangeRequest(
        act=StockAct.ADD,
        pieces=1,
        reason=f"award {award.public_id} was revoked",
        request_id=uuid.uuid5(award.public_id, "revoked"),
    )
    try:
        campaigns.change_stock(prize, request, actor=actor)
    except ManagingError:
        return False  # it has no limit by now, or is full
    return True
