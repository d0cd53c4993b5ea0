"""Writing an award down, and publishing what must follow from it."""

from datetime import datetime, timedelta

from django.db.models.functions import Now

from awards import conf
from awards.changes import tell_clients
from awards.listeners import CLAIM_DUE, claimable, sms_of, won
from awards.models import Award, AwardStatus, Draw, Kind, Prize
from awards.persons import telephone
from awards.services.taking import TakenPiece
from outbox import Draft, publish_many

SMS_WITHIN = timedelta(days=1)
"""Later nobody wants to be woken by it."""


def award_prize(
    drawn: Draw, prize: Prize, language: str, *, budgeted: bool = False, piece: TakenPiece | None = None
) -> Award:
    """Write down the award as it is worth today, and what must follow: a message for each consumer.

    Call it in the draw's transaction, with the piece taken from stock. ``language`` is the one to tell the winner
    in; ``budgeted`` says that its value counts against the budget. ``piece`` is one that Redis has handed out, and
    that the prize's row does not lack yet.
    """
    award = award_of(drawn, prize, budgeted=budgeted)
    if piece is not None:
        award.piece, award.public_id, award.stock_written = piece.number, piece.award_id, False
    if (days := _days(prize)) is not None:
        award.claim_until = Now() + days  # by the database's clock
    award.save(force_insert=True)
    if days is not None:
        award.refresh_from_db(fields=["claim_until"])
    tell_clients(award, AwardStatus.WON, is_new=True)
    publish_many(drafts_of(award, prize, language))
    return award


def award_of(drawn: Draw, prize: Prize, *, budgeted: bool, now: datetime | None = None) -> Award:
    """Return the award, not written yet; ``now`` is the database's time, from which on it must be claimed."""
    days = _days(prize)
    return Award(
        draw=drawn,
        prize=prize,
        person=drawn.person,
        kind=prize.kind,
        value=prize.value,
        vendor_sku=prize.vendor_sku,
        budgeted=budgeted,
        claim_until=None if days is None or now is None else now + days,
    )


def drafts_of(award: Award, prize: Prize, language: str) -> list[Draft]:
    """Return the messages that follow from an award that was written down."""
    days = _days(prize)
    if days is None:
        return _announcements(won(award), award, prize, language)
    due = Draft(CLAIM_DUE, key=award.pk, payload={"award": award.pk}, delay=days)
    return [*_announcements(claimable(award), award, prize, language), due]


def have_issued(award: Award, language: str) -> None:
    """Publish what issues an award that was claimed. Call it in the claim's transaction."""
    publish_many(_announcements(won(award), award, award.prize, language))


def _days(prize: Prize) -> timedelta | None:
    return None if prize.claim_days is None else timedelta(days=prize.claim_days)


def _announcements(topic: str, award: Award, prize: Prize, language: str) -> list[Draft]:
    payload = {
        "award": award.pk,
        "person": award.person,
        "prize": prize.name,
        "value": str(award.value),
        "language": language,
    }
    unit = "points" if award.kind == Kind.POINTS else conf.currency()
    told = Draft(topic, key=award.pk, payload=payload, value=award.value, currency=unit)
    if conf.sms_settings() is None or not telephone(award.person):
        return [told]
    return [told, Draft(sms_of(topic), key=award.pk, payload=payload, within=SMS_WITHIN)]
