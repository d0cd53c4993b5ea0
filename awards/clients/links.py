"""Links by which somebody draws on the public page: signed, for one entitlement, and valid until a time.

A link names no person: the entitlement does. Whoever has the link draws as that person, once.
"""

import uuid
from datetime import datetime, timedelta

from django.core import signing
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from awards import conf
from awards.errors import LinkExpired, LinkInvalid, LinkOfAnotherCampaign
from awards.models import Campaign, Entitlement

SALT = "awards.link"
USUAL_VALIDITY = timedelta(days=14)
LONGEST_TOKEN = 200


def link_to(entitlement: Entitlement, *, until: datetime, site: str = "") -> str:
    """Return the address of the campaign's page by which the entitlement can be used until that time.

    It begins with ``SITE_URL`` where that is set, else with ``site``, such as ``https://raffle.example.com``.
    """
    signed = signing.Signer(salt=SALT).sign(f"{entitlement.public_id.hex}.{int(until.timestamp()):x}")
    path = reverse("awards:campaign", args=[entitlement.campaign.slug])
    return f"{conf.site_url() or site}{path}?{urlencode({'link': signed})}"


def usable_until(entitlement: Entitlement, campaign: Campaign, *, clock: datetime) -> datetime:
    """Return until when a link that is given out at ``clock`` can be used: as long as right and campaign last, at most.

    The link itself is valid as long as is usual, so that it goes on where the campaign does.
    """
    ends = (clock + USUAL_VALIDITY, campaign.ends_at, entitlement.expires_at)
    return min(end for end in ends if end is not None)


def site_of(request: HttpRequest) -> str:
    """Return the address under which a request has reached us, without a slash."""
    return f"{request.scheme}://{request.get_host()}"


def entitlement_of(token: str, campaign: Campaign) -> Entitlement:
    """Return the entitlement that a link to the page of ``campaign`` is for, with its campaign and draw.

    The link's time is held against the database's. Raises ``LinkInvalid``, ``LinkOfAnotherCampaign`` or
    ``LinkExpired``.
    """
    public_id, until = _read(token)
    found = Entitlement.objects.with_clock().select_related("campaign", "draw").filter(public_id=public_id).first()
    if found is None:
        raise LinkInvalid("there is no such entitlement")
    if found.campaign_id != campaign.pk:
        raise LinkOfAnotherCampaign("the link is for another campaign")
    if until <= found.clock.timestamp():
        raise LinkExpired("the link is over")
    return found


def _read(token: str) -> tuple[uuid.UUID, int]:
    try:
        content = signing.Signer(salt=SALT).unsign(token[:LONGEST_TOKEN])
        public_id, _, until = content.partition(".")
        return uuid.UUID(public_id), int(until, 16)
    except (signing.BadSignature, ValueError) as error:
        raise LinkInvalid("the link is none of ours") from error
