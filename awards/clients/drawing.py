"""Drawing as somebody: what stands before luck, luck, and the count of what was refused."""

from dataclasses import replace

from django.utils import timezone

from awards.clients import risk
from awards.clients.callers import Caller
from awards.errors import DrawRefused
from awards.luck import Luck
from awards.models import Campaign, Draw, Refusal
from awards.sale import tallies
from awards.sale.drawing import draw_from_redis
from awards.sale.queueing import queue_draw
from awards.services import draws


def draw_as(caller: Caller, campaign: Campaign, *, request_id: str, luck: Luck, language: str = "") -> Draw:
    """Draw once for the caller's person, as ``draws.draw_ticket`` does; a refusal is counted.

    The campaign must have been read ``with_clock`` and ``with_sale``.
    """
    draw = draw_from_redis if campaign.sells_from_redis else draws.draw_ticket
    try:
        return draw(
            campaign,
            person=caller.person,
            request_id=request_id,
            luck=luck,
            language=language,
            entitlement=caller.entitlement,
            guard=lambda person: risk.check(campaign, caller, person),
        )
    except DrawRefused as refused:
        _count(campaign, refused)
        raise


def queue_as(caller: Caller, campaign: Campaign, *, request_id: str, language: str = "") -> str:
    """Put a draw of the caller's person into the queue, and return the token to ask by; a refusal is counted."""
    try:
        return queue_draw(
            campaign,
            person=caller.person,
            request_id=request_id,
            language=language,
            entitlement=caller.entitlement,
            guard=lambda person: risk.check(campaign, caller, person),
        )
    except DrawRefused as refused:
        _count(campaign, refused)
        raise


def _count(campaign: Campaign, refused: DrawRefused) -> None:
    """Count a refusal; of a flash sale in this process, as a row that all wait for would cost more than the draw."""
    today = timezone.localdate(campaign.clock, timezone.get_default_timezone())
    if campaign.how_sold is not None:
        tallies.count_refusal(campaign.pk, refused.code, today)
    else:
        Refusal.objects.count_one(campaign, refused.code, today)


def as_person(caller: Caller, person: str) -> Caller:
    """Return the caller with the name that was typed in, where none was known."""
    return caller if caller.person else replace(caller, person=person)
