"""Taking an award back: what waits of its messages, its points, and maybe its stock.

Awards are locked first, then accounts, stocks and counts, as everywhere. Messages are not waited for.
"""

import uuid
from dataclasses import dataclass

from django.db import router, transaction

from awards.changes import tell_clients
from awards.errors import AwardChanged, IssuedByHand, PointsSpent
from awards.listeners import CLAIMABLE_COUNTED_BY, COUNTED_BY, ISSUED_BY, topics_of
from awards.models import Award, AwardStatus, Kind, PointsAccount, PointsEntry
from awards.services import pieces, statistics
from awards.services.taking import give_budget_back
from outbox import Withdrawal, withdraw


@dataclass(frozen=True, slots=True)
class Revoked:
    """What became of an award that was taken back."""

    issuing: Withdrawal
    """How its issuing stood."""
    restocked: bool
    """Whether its piece can be won again."""
    points: int = 0
    """How many points were taken back."""

    @property
    def may_be_issued(self) -> bool:
        """Whether somebody outside may have acted, or may be about to: a person looks at the message."""
        return not self.points and self.issuing not in (Withdrawal.WITHDRAWN, Withdrawal.NEVER_THERE)


def revoke(award: Award, *, actor: str, reason: str = "", restock: bool | None = None) -> Revoked:
    """Take an award back with what waits of its messages, in one transaction: one that is not issued, or points.

    The award decides: whoever issues it at the same moment finds it revoked and ends quietly. Points that were credited
    are taken back by a counter-entry, below 0 only where the campaign allows it. The piece comes back if ``restock``
    says so, or by default the campaign; a gift's or a coupon's only if its issuing was withdrawn before anything was
    done. Raises ``AwardChanged`` if the award was changed since it was read, ``IssuedByHand`` or ``PointsSpent``.
    """
    with transaction.atomic(using=router.db_for_write(Award)):
        points = _take_points_back(award, reason) if award.status == AwardStatus.ISSUED else 0
        if not points and not Award.objects.revoke(award, reason=reason):
            raise AwardChanged(f"award {award.public_id} is no longer waiting to be issued, or was changed meanwhile")
        issuing, uncounted = _withdraw(award)
        untouched = points or issuing == Withdrawal.WITHDRAWN
        wanted = award.prize.campaign.restock_revoked if restock is None else restock
        back = bool(untouched and wanted) and pieces.put_back(award, because="revoked", actor=actor, reason=reason)
        give_budget_back(award)
        if uncounted:
            statistics.count_wins([award])
        statistics.count_revoked(award)
        tell_clients(award, AwardStatus.REVOKED)
        return Revoked(issuing, back, points)


def _withdraw(award: Award) -> tuple[Withdrawal, bool]:
    """Withdraw what waits of the award; return how its issuing stood, and whether its win was not counted yet."""
    answers: dict[str, Withdrawal] = {}
    for topic in topics_of(award):
        answers |= withdraw(topic, key=award.pk)
    issuing = answers.get(ISSUED_BY[Kind(award.kind)], Withdrawal.NEVER_THERE)
    if award.is_unclaimed:
        return Withdrawal.WITHDRAWN, answers.get(CLAIMABLE_COUNTED_BY) == Withdrawal.WITHDRAWN
    counter = CLAIMABLE_COUNTED_BY if award.claim_until else COUNTED_BY
    return issuing, answers.get(counter) == Withdrawal.WITHDRAWN


def _take_points_back(award: Award, reason: str) -> int:
    """Take the points of an issued award back by a counter-entry in the ledger; return how many."""
    credit = PointsEntry.objects.filter(award=award).first()
    if credit is None and award.kind == Kind.POINTS:
        raise IssuedByHand(f"award {award.public_id} was issued by hand, so there are no points to take back")
    if credit is None or not Award.objects.revoke_issued(award, reason=reason):
        raise AwardChanged(f"award {award.public_id} was changed meanwhile, or is nothing that can be taken back")
    into_debt = award.prize.campaign.allows_debt
    if not PointsAccount.objects.take_back(credit.account_id, credit.points, into_debt=into_debt):
        left = PointsAccount.objects.values_list("balance", flat=True).get(pk=credit.account_id)
        raise PointsSpent(left, credit.points)
    PointsEntry.objects.create(
        account_id=credit.account_id,
        takes_back=credit,
        points=-credit.points,
        transfer=uuid.uuid5(award.public_id, "taken back"),
    )
    return credit.points
