"""What a test begins with: campaigns, prizes, awards, and luck that is known beforehand."""

import uuid
from datetime import timedelta
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from awards.consumers import hand_out_coupon
from awards.listeners import ISSUED_BY
from awards.models import Access, Award, Campaign, Coupon, Draw, Kind, Prize
from awards.services import draws
from outbox import Message

SKU = "MUG-01"
LISTENERS = ["awards.count_win", "awards.tell_winner"]
"""Who hears of every award, beside the consumer that issues it."""


class Sequence:
    """Luck that gives the numbers it was made with, as far as there are tickets, then noughts."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)

    def randrange(self, stop: int, /) -> int:
        return self.numbers.pop(0) % stop if self.numbers else 0


class Highest:
    """Luck that always gives the last ticket."""

    def randrange(self, stop: int, /) -> int:
        return stop - 1


def a_campaign(slug: str = "raffle", **fields) -> Campaign:
    """Make a campaign. A span counts from now, for a moment that is fixed before a test begins may pass meanwhile."""
    now = timezone.now()
    given = {
        "name": "Raffle",
        "access": Access.OPEN,
        "starts_at": timedelta(hours=-1),
        "ends_at": timedelta(hours=1),
        **fields,
    }
    given |= {name: now + value for name, value in given.items() if isinstance(value, timedelta)}
    return Campaign.objects.create(slug=slug, **given)


def points(campaign: Campaign, value: int = 50, **fields) -> Prize:
    defaults = {"name": f"{value} points", "kind": Kind.POINTS, "value": Decimal(value)}
    return Prize.objects.create(campaign=campaign, **{**defaults, **fields})


def a_gift(campaign: Campaign, sku: str = SKU, **fields) -> Prize:
    defaults = {"name": f"Gift {sku}", "kind": Kind.GIFT, "value": Decimal("12.50"), "vendor_sku": sku}
    return Prize.objects.create(campaign=campaign, **{**defaults, **fields})


def a_coupon_prize(campaign: Campaign, codes: int = 0, **fields) -> Prize:
    defaults = {"name": "Cinema voucher", "kind": Kind.COUPON, "value": Decimal(11)}
    prize = Prize.objects.create(campaign=campaign, **{**defaults, **fields})
    fill_pool(prize, codes)
    return prize


def fill_pool(prize: Prize, codes: int) -> None:
    have = Coupon.objects.filter(prize=prize).count()
    Coupon.objects.bulk_create(Coupon(prize=prize, code=f"CODE-{have + n:04}-ABCD") for n in range(1, codes + 1))


def a_draw(campaign: Campaign, person: str = "anna@example.com", request_id: str = "", luck=None) -> Draw:
    return draws.draw_ticket(
        campaign, person=person, request_id=request_id or str(uuid.uuid4()), luck=luck or Highest()
    )


def an_award_of_points(person: str = "anna@example.com", value: int = 50) -> Award:
    campaign = a_campaign(slug=f"raffle-{uuid.uuid4()}")
    points(campaign, value)
    return a_draw(campaign, person).award


def an_award_of_a_gift(sku: str = SKU) -> Award:
    campaign = a_campaign(slug=f"raffle-{uuid.uuid4()}")
    a_gift(campaign, sku)
    return a_draw(campaign).award


def an_award_of_a_coupon(person: str = "anna@example.com", codes: int = 1) -> Award:
    campaign = a_campaign(slug=f"raffle-{uuid.uuid4()}")
    a_coupon_prize(campaign, codes)
    return a_draw(campaign, person).award


def hand_out(award: Award) -> None:
    """Give an award its code, in a transaction as the engine does."""
    with transaction.atomic():
        hand_out_coupon(message_of(award))


def message_of(award: Award, consumer: str = "") -> Message:
    """Return the message by which the award is issued, or that of another consumer."""
    topic = f"award.won.{award.kind}"
    return Message.objects.get(topic=topic, key=str(award.pk), consumer=consumer or ISSUED_BY[Kind(award.kind)])
