"""What can be done: draw."""

import hashlib
import json
import unicodedata

from django.db import IntegrityError, router, transaction

from awards import luck as lots
from awards.characters import find_invisible
from awards.conf import currency
from awards.errors import (
    CampaignInactive,
    CampaignNotBegun,
    CampaignOver,
    DrawRefused,
    InvalidPerson,
    InvalidRequestId,
    LimitReached,
    RequestReused,
    SoldOut,
)
from awards.luck import Luck, Ticket
from awards.models import Award, Campaign, Draw, Kind, Participation, Phase, Prize
from awards.models.draw import PERSON_LENGTH, REQUEST_ID_LENGTH
from outbox import publish


def draw_ticket(campaign: Campaign, *, person: str, request_id: str, luck: Luck, language: str = "") -> Draw:
    """Draw once for ``person``: the draw, the award and its messages are committed together, or nothing is.

    A request id that was answered before gets the same draw again (``draw.repeated``), whatever has become of the
    campaign. ``language`` is the one in which the winner is to be told. Raises ``InvalidPerson``, ``InvalidRequestId``,
    ``RequestReused`` if the id came with other data, or a ``DrawRefused`` that says why the campaign does not allow it.
    """
    person, request_id = identity(person), _request_id(request_id)
    digest = _digest(person)
    if earlier := _earlier(campaign, request_id, digest):
        return earlier
    try:
        with transaction.atomic(using=router.db_for_write(Draw)):
            drawn, prize = _draw_now(campaign, person, request_id, digest, luck)
            if prize is not None:
                _award_prize(drawn, prize, language)
            return drawn
    except (IntegrityError, DrawRefused):
        # The same request at the same moment: its twin was faster, and has drawn or used up what we were refused.
        earlier = _earlier(campaign, request_id, digest)
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
            return None


def identity(person: str) -> str:
    """Return who ``person`` is: composed characters, single spaces, and an e-mail address without regard to case.

    Raises ``InvalidPerson`` for an empty or overlong text, and for any character that is not seen: it stands for
    one person, so nobody may look like another. Joiners are no exception, whatever script they are spelling in.
    """
    if character := find_invisible(person):
        raise InvalidPerson(f"the person holds U+{ord(character):04X}, which is not seen")
    tidy = " ".join(unicodedata.normalize("NFC", person).split())
    tidy = tidy.casefold() if "@" in tidy else tidy
    if not 0 < len(tidy) <= PERSON_LENGTH:
        raise InvalidPerson(f"the person must have 1 to {PERSON_LENGTH} characters")
    return tidy


def _request_id(request_id: str) -> str:
    if not 0 < len(request_id) <= REQUEST_ID_LENGTH:
        raise InvalidRequestId(f"the request's id must have 1 to {REQUEST_ID_LENGTH} characters")
    if not all("!" <= character <= "~" for character in request_id):
        raise InvalidRequestId("the request's id must be visible ASCII characters without spaces")
    return request_id


def _digest(person: str) -> str:
    """Return the fingerprint of everything a draw was asked with, apart from its campaign and its id."""
    return hashlib.sha256(json.dumps({"person": person}).encode()).hexdigest()


def _earlier(campaign: Campaign, request_id: str, digest: str) -> Draw | None:
    """Return the draw that has answered the request before, if any; refuse a request id used for other data."""
    earlier = Draw.objects.with_award().filter(campaign=campaign, request_id=request_id).first()
    if earlier is None:
        return None
    if earlier.digest != digest:
        raise RequestReused("this request id has been used for another person; use a new one for a new draw")
    earlier.repeated = True
    return earlier


def _draw_now(campaign: Campaign, person: str, request_id: str, digest: str, luck: Luck) -> tuple[Draw, Prize | None]:
    campaign = _open_campaign(campaign)
    if not Participation.objects.count_one(campaign, person):
        raise LimitReached(f"each person may draw {campaign.draws_per_person} times in this campaign")
    prize = _take_a_prize(campaign, luck)
    drawn = Draw.objects.create(campaign=campaign, request_id=request_id, person=person, digest=digest)
    return drawn, prize


def _open_campaign(campaign: Campaign) -> Campaign:
    """Return the campaign as it is now, by the database's clock, if one can draw in it."""
    current = Campaign.objects.with_clock().get(pk=campaign.pk)
    if refusal := closed(current):
        raise refusal
    return current


def _take_a_prize(campaign: Campaign, luck: Luck) -> Prize | None:
    """Return the prize that luck gave, taken from stock, or None for the losing ticket.

    A prize that others took first is left out, and luck asked again; with none left, there is nothing to draw for.
    """
    left = list(Prize.objects.drawable().filter(campaign=campaign))
    while left:
        tickets: list[Ticket[Prize | None]] = [Ticket(None, campaign.losing_weight)]
        prize = lots.choose([*tickets, *(Ticket(each, each.weight) for each in left)], luck)
        if prize is None or Prize.objects.take(prize):
            return prize
        left.remove(prize)
    raise SoldOut("every prize of this campaign has been won")


def _award_prize(drawn: Draw, prize: Prize, language: str) -> None:
    """Write down the award as it is worth today, and what must follow: a message for each consumer."""
    award = Award.objects.create(
        draw=drawn,
        prize=prize,
        person=drawn.person,
        kind=prize.kind,
        value=prize.value,
        vendor_sku=prize.vendor_sku,
    )
    payload = {
        "award": award.pk,
        "person": award.person,
        "prize": prize.name,
        "value": str(award.value),
        "language": language,
    }
    unit = "points" if prize.kind == Kind.POINTS else currency()
    publish(f"award.won.{prize.kind}", key=award.pk, payload=payload, value=award.value, currency=unit)
