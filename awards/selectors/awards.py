"""What can be read: campaigns, draws and awards for those who ask."""

import uuid
from collections.abc import Iterable

from django.db.models import QuerySet

from awards.listeners import topics_of
from awards.models import Award, Campaign, Draw, Prize
from outbox import Message


def running_campaigns() -> QuerySet[Campaign]:
    """Return the campaigns in which one can draw now; the one that ends first comes first."""
    return Campaign.objects.running()


def campaign_at(slug: str) -> Campaign | None:
    """Return the campaign at that address, running or not, with the database's time; or None."""
    return Campaign.objects.with_clock().with_sale().filter(slug=slug).first()


def prizes_of(campaign: Campaign) -> QuerySet[Prize]:
    """Return what can be won in the campaign, sold out or not, the rarest first."""
    return Prize.objects.filter(campaign=campaign, weight__gt=0).order_by("weight", "id")


def draw_with(public_id: uuid.UUID) -> Draw | None:
    """Return the draw with its campaign, its award and prize, or None."""
    return Draw.objects.with_award().filter(public_id=public_id).first()


def redraw_of(drawn: Draw) -> Draw | None:
    """Return the draw by which a losing one won after all, if it did."""
    return Draw.objects.filter(redraw_of=drawn).first()


def award_with(public_id: uuid.UUID) -> Award | None:
    """Return the award with its prize and what issuing it left behind, or None."""
    return _whole_awards().filter(public_id=public_id).first()


def awards_by_key(keys: Iterable[str]) -> dict[str, Award]:
    """Return the awards that messages with these keys are about, by key, with all that a person wants to see."""
    ids = {key: int(id) for key in keys if (id := key.partition(".")[0]).isdecimal()}
    found = _whole_awards().in_bulk(set(ids.values()))
    return {key: found[id] for key, id in ids.items() if id in found}


def draws_with(public_ids: Iterable[uuid.UUID], campaign: Campaign) -> list[Draw]:
    """Return those of the draws that were made in ``campaign``, with their awards and prizes, the latest first."""
    mine = Draw.objects.with_award().filter(public_id__in=list(public_ids), campaign=campaign)
    return list(mine.order_by("-id"))


def messages_of(award: Award) -> QuerySet[Message]:
    """Return the messages that follow from ``award``, one for each consumer, without what they carry."""
    messages = Message.objects.filter(key=str(award.pk), topic__in=topics_of(award))
    return messages.defer("payload", "headers").order_by("consumer")


def _whole_awards() -> QuerySet[Award]:
    return Award.objects.with_clock().select_related(
        "prize", "claim", "pointsentry__counter_entry", "vendororder", "coupon"
    )
