"""What can be done: draw."""

import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from django.db import IntegrityError, router, transaction

from awards.errors import (
    CampaignInactive,
    CampaignNotBegun,
    CampaignOver,
    DailyLimitReached,
    DrawRefused,
    EntitlementExpired,
    EntitlementRefused,
    EntitlementUsed,
    EntitlementWithdrawn,
    InvalidRequestId,
    LimitReached,
    NotEntitled,
    RequestReused,
    SaleClosed,
)
from awards.luck import Luck
from awards.models import Campaign, Draw, Entitlement, Participation, Phase
from awards.models.draw import REDRAWN, REQUEST_ID_LENGTH
from awards.persons import identity
from awards.services.awarding import award_prize
from awards.services.taking import Taken, take_a_prize, today_of

Guard = Callable[[str], None]
"""What is asked before luck, with the person; it raises a ``DrawRefused`` for who may not draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a draw was asked with."""

    person: str
    request_id: str
    entitlement: Entitlement | None

    @property
    def digest(self) -> str:
        """The fingerprint of everything apart from the campaign and the request's id."""
        return digest_of(self.person, None if self.entitlement is None else self.entitlement.public_id)


def digest_of(person: str, entitlement: uuid.UUID | None) -> str:
    """Return the fingerprint of what a draw is asked with."""
    asked = {"person": person}
    if entitlement is not None:
        asked["entitlement"] = str(entitlement)
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def draw_ticket(
    campaign: Campaign,
    *,
    person: str,
    request_id: str,
    luck: Luck,
    language: str = "",
    entitlement: Entitlement | None = None,
    guard: Guard | None = None,
) -> Draw:
    """Draw once for ``person``: the draw, the award and its messages are committed together, or nothing is.

    A request id that was answered before gets the same draw again (``draw.repeated``), whatever has become of the
    campaign. ``language`` is the one in which the winner is to be told. ``entitlement`` is the one to use up; where the
    campaign needs one and none is named, it is the person's next. ``guard`` is asked for a new draw only, and outside
    any transaction of ours. Raises ``InvalidPerson``, ``InvalidRequestId``, ``RequestReused`` if the id came with other
    data, or a ``DrawRefused`` that says why the campaign does not allow it.
    """
    person = identity(person, ignores_tags=campaign.ignores_tags)
    asked = Asked(person=person, request_id=checked_request_id(request_id), entitlement=entitlement)
    if earlier := earlier_draw(campaign, asked):
        return earlier
    if guard is not None:
        guard(person)
    try:
        with transaction.atomic(using=router.db_for_write(Draw)):
            current = open_campaign(campaign)
            return write_draw(current, asked, language, lambda: take_a_prize(current, person, luck))
    except (IntegrityError, DrawRefused):
        # The same request at the same moment: its twin was faster, and has drawn or used up what we were refused.
        earlier = earlier_draw(campaign, asked)
        if earlier is None:
            raise
        return earlier


def closed(campaign: Campaign) -> DrawRefused | None:
    """Return why nobody can draw in ``campaign``, or None if one can. It must have been read ``with_clock``."""
    match campaign.phase:
        case Phase.OFF:
            return CampaignInactive("this campaign is switched off")
        case Phase.NOT_BEGUN:
            return CampaignNotBegun(f"this campaign begins at {campaign.starts_at.isoformat()}")
        case Phase.OVER:
            return CampaignOver(f"this campaign ended at {campaign.ends_at.isoformat()}")
        case Phase.RUNNING:
            sale = campaign.how_sold
            return SaleClosed("the sale is closed at this moment") if sale is not None and not sale.is_open else None


def why_not_usable(entitlement: Entitlement) -> EntitlementRefused | None:
    """Return why nobody can draw by ``entitlement``, or None if one can. It must have been read ``with_clock``."""
    if entitlement.withdrawn_at is not None:
        return EntitlementWithdrawn("this entitlement was taken back")
    if entitlement.used_at is not None:
        return EntitlementUsed("this entitlement has been used")
    if entitlement.expires_at is not None and entitlement.expires_at <= entitlement.clock:
        return EntitlementExpired("this entitlement is no longer valid")
    return None


def checked_request_id(request_id: str) -> str:
    """Return the request's id if it can be one; raise ``InvalidRequestId``."""
    if not 0 < len(request_id) <= REQUEST_ID_LENGTH:
        raise InvalidRequestId(f"the request's id must have 1 to {REQUEST_ID_LENGTH} characters")
    if not all("!" <= character <= "~" for character in request_id):
        raise InvalidRequestId("the request's id must be visible ASCII characters without spaces")
    if request_id.startswith(REDRAWN):
        raise InvalidRequestId(f"the request's id must not begin with {REDRAWN}, as those of redraws do")
    return request_id


def earlier_draw(campaign: Campaign, asked: Asked) -> Draw | None:
    """Return the draw that has answered the request before, if any; refuse a request id used for other data."""
    earlier = Draw.objects.with_award().filter(campaign=campaign, request_id=asked.request_id).first()
    if earlier is None:
        return None
    if earlier.digest != asked.digest:
        raise RequestReused("this request id has been used for another person; use a new one for a new draw")
    earlier.repeated = True
    return earlier


def write_draw(campaign: Campaign, asked: Asked, language: str, take: Callable[[], Taken]) -> Draw:
    """Write the draw with what ``take`` gives, its award and its messages; call it in a transaction.

    ``take`` is called while the person's other draws wait. The campaign is one of ``open_campaign``.
    """
    _count(campaign, asked.person)
    used = use_entitlement(campaign, asked)
    taken = take()
    drawn = Draw.objects.create(
        campaign=campaign,
        request_id=asked.request_id,
        person=asked.person,
        digest=asked.digest,
        proof=taken.proof,
    )
    if used is not None:
        Entitlement.objects.filter(pk=used.pk).update(draw=drawn)
    if taken.prize is not None:
        award_prize(drawn, taken.prize, language, budgeted=taken.budgeted, piece=taken.piece)
    return drawn


def _count(campaign: Campaign, person: str) -> None:
    """Count the draw against the limits per person, and hold the person's other draws until it is over."""
    if Participation.objects.count_one(campaign, person, today_of(campaign)):
        return
    drawn = Participation.objects.values_list("draws", flat=True).get(campaign=campaign, person=person)
    refuse_beyond_limits(campaign, drawn=drawn, today=campaign.draws_per_day or 0)


def refuse_beyond_limits(campaign: Campaign, *, drawn: int, today: int) -> None:
    """Raise ``LimitReached`` or ``DailyLimitReached`` for who has drawn so often, ``today`` of it on this day."""
    if campaign.draws_per_person is not None and drawn >= campaign.draws_per_person:
        raise LimitReached(f"each person may draw {campaign.draws_per_person} times in this campaign")
    if campaign.draws_per_day is not None and today >= campaign.draws_per_day:
        raise DailyLimitReached(f"each person may draw {campaign.draws_per_day} times a day in this campaign")


def refuse_in_advance(campaign: Campaign, asked: Asked) -> None:
    """Raise what ``write_draw`` would raise for the person's limits and entitlement as they are now; use up nothing.

    For who must give something back if the draw is refused. The campaign must have been read ``with_clock``.
    """
    if campaign.draws_per_person is not None or campaign.draws_per_day is not None:
        mine = Participation.objects.filter(campaign=campaign, person=asked.person).first()
        if mine is not None:
            refuse_beyond_limits(campaign, drawn=mine.draws, today=mine.draws_on(today_of(campaign)))
    entitlement = _entitlement_of(campaign, asked)
    # The next of a person was chosen among those that can be used; one that is named was not looked at.
    if entitlement is not None and entitlement is asked.entitlement and (refusal := _why_not_now(entitlement)):
        raise refusal


def use_entitlement(campaign: Campaign, asked: Asked) -> Entitlement | None:
    """Use up the entitlement that was named, or else the person's next if the campaign needs one."""
    entitlement = _entitlement_of(campaign, asked)
    if entitlement is not None and not Entitlement.objects.use(entitlement):
        raise _why_not_now(entitlement) or EntitlementUsed("this entitlement has been used")
    return entitlement


def _entitlement_of(campaign: Campaign, asked: Asked) -> Entitlement | None:
    """Return the entitlement that the draw would use; raise ``NotEntitled`` if there is none, or not of the person."""
    entitlement = asked.entitlement
    if entitlement is None and campaign.needs_entitlement:
        entitlement = Entitlement.objects.next_of(campaign, asked.person)
        if entitlement is None:
            raise NotEntitled("this person has no entitlement left in this campaign")
    if entitlement is not None and (entitlement.campaign_id, entitlement.person) != (campaign.pk, asked.person):
        raise NotEntitled("this entitlement is another person's, or of another campaign")
    return entitlement


def _why_not_now(entitlement: Entitlement) -> EntitlementRefused | None:
    return why_not_usable(Entitlement.objects.with_clock().get(pk=entitlement.pk))


def open_campaign(campaign: Campaign) -> Campaign:
    """Return the campaign as it is now, by the database's clock, if one can draw in it; else raise why not."""
    current = Campaign.objects.with_clock().with_sale().get(pk=campaign.pk)
    if refusal := closed(current):
        raise refusal
    return current
