"""Coupons: one code from the prize's pool, taken in the transaction that settles the message, so it happens once."""

from awards.changes import tell_clients
from awards.errors import AwardChanged, PoolEmpty
from awards.models import Award, AwardStatus, Coupon


def issue_coupon(award: Award) -> None:
    """Give ``award`` a code and mark it as issued: three statements, four with the reading of the award.

    Call it inside a transaction. Raises ``PoolEmpty`` if its prize has no free code, and ``AwardChanged`` if the award
    is no longer as it was read.
    """
    if Coupon.objects.hand_out(award) is None:
        raise PoolEmpty(
            f"no free code is left for prize {award.prize_id}, {award.prize.name!r}: add codes to its pool in the "
            "admin, and the coupon is issued by itself, at the latest a quarter of an hour later"
        )
    if not Award.objects.issue(award):
        raise AwardChanged(f"award {award.public_id} was changed while its coupon was being issued")
    tell_clients(award, AwardStatus.ISSUED)
