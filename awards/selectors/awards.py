"""What can be read: campaigns, draws and awards for those who ask."""

import uuid
from collections.abc import Iterable

from django.db.models import QuerySet

from awards.models import Award, Campaign, Draw, Prize
from outbox import Message


def running_campaigns() -> QuerySet[Campaign]:
    """Return the campaigns in which one can draw now; the one that ends first comes first."""
    return Campaign.objects.running()


def campaign_at(slug: str) -> Campaign | None:
    """Return the campaign at that address, running or not, with the database's time; or None."""
    return Campaign.objects.with_clock().filter(slug=slug).first()


def prizes_of(campaign: Campaign) -> QuerySet[Prize]:
    """Return what can be won in the campaign, sold out or not, the rarest first."""
    return Prize.objects.filter(campaign=campaign, weight__gt=0).order_by("weight", "id")


def draw_with(public_id: uuid.UUID) -> Draw | None:
    """Return the draw with its campaign, its award and prize, or None."""
    return Draw.objects.with_award().filter(public_id=public_id).first()


def award_with(public_id: uuid.UUID) -> Award | None:
    """Return the award with its prize and what issuing it left behind, or None."""
    return _whole_awards().filter(public_id=public_id).first()


def awards_by_key(keys: Iterable[str]) -> dict[str, Award]:
    """Return the awards that messages with these keys are about, by key, with all that a person wants to see."""
    pks = [int(key) for key in keys if key.isdecimal()]
    return {str(award.pk): award for award in _whole_awards().filter(pk__in=pks)}


def draws_with(public_ids: Iterable[uuid.UUID], campaign: Campaign) -> list[Draw]:
    """Return those of the draws that were made in ``campaign``, with their awards and prizes, the latest first."""
    mine = Draw.objects.with_award().filter(public_id__in=list(public_ids), campaign=campaign)
    return list(mine.order_by("-id"))


def messages_of(award: Award) -> QuerySet[Message]:
    """Return the messages that must follow from ``award``, one for each consumer, without what they carry."""
    messages = Message.objects.filter(key=str(award.pk), topic=f"award.won.{award.kind}")
    return messages.defer("payload", "headers").order_by("consumer")


def _whole_awards() -> QuerySet[Award]:
    return Award.objects.select_related("prize", "pointsentry", "vendororder", "coupon")
