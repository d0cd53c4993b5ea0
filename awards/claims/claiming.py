"""Claiming an award: its winner says where to send it, and it is issued."""

from dataclasses import asdict, dataclass

from django.db import router, transaction

from awards.changes import CLAIMED, tell_clients
from awards.errors import AlreadyClaimed, ClaimExpired, ClaimRefused, NothingToClaim
from awards.listeners import CLAIM_DUE
from awards.models import Award, AwardStatus, Claim
from awards.services.awarding import have_issued
from outbox import withdraw


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Where a gift goes. Its text shows nothing of it, as texts end up in logs."""

    name: str
    street: str
    postcode: str
    city: str
    country: str
    phone: str = ""

    def __repr__(self) -> str:
        return "Recipient(…)"


def claim(award: Award, recipient: Recipient, *, language: str = "") -> bool:
    """Claim ``award`` and have it sent to ``recipient``; False if it had been claimed before.

    The award decides by the database's clock: of a claim and an expiry at one moment, one wins. Its row is locked
    first, then the message that would expire it is withdrawn without waiting for it. The first claim stands. Raises
    ``ClaimExpired`` or ``NothingToClaim``.
    """
    with transaction.atomic(using=router.db_for_write(Award)):
        if not Award.objects.claim(award):
            return _claimed_before(award)
        Claim.objects.create(award=award, **asdict(recipient))
        withdraw(CLAIM_DUE, key=award.pk)
        have_issued(award, language)
        tell_clients(award, CLAIMED)
    return True


def claim_or_repeat(award: Award, recipient: Recipient, *, language: str = "") -> None:
    """Claim ``award`` as ``claim`` does; the same claim again is no other. Raises ``AlreadyClaimed``, too."""
    if claim(award, recipient, language=language):
        return
    if not Claim.objects.filter(award=award, **asdict(recipient)).exists():
        raise AlreadyClaimed("it has been claimed for another address")


def _claimed_before(award: Award) -> bool:
    """Return False if somebody has claimed it; raise why nobody can otherwise."""
    refusal = why_not_claimable(Award.objects.with_clock().get(pk=award.pk))
    if refusal is None or isinstance(refusal, AlreadyClaimed):
        return False
    raise refusal


def why_not_claimable(award: Award) -> ClaimRefused | None:
    """Return why ``award``, read ``with_clock``, cannot be claimed now, or None if it can."""
    if award.claimed_at is not None:
        return AlreadyClaimed("it has been claimed")
    if award.status == AwardStatus.EXPIRED or (award.is_unclaimed and _is_over(award)):
        return ClaimExpired("the time to claim it is over")
    return None if award.is_unclaimed else NothingToClaim("there is nothing to claim")


def _is_over(award: Award) -> bool:
    return award.claim_until is not None and award.claim_until <= award.clock
