"""Who asks for a draw, and in which of the ways that a campaign allows."""

from dataclasses import dataclass
from typing import Any

from awards import conf
from awards.clients.links import entitlement_of
from awards.errors import NotOpen
from awards.models import Access, ApiClient, Campaign, Entitlement


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: for which person, by which client's key, from which network address, with which entitlement.

    ``person`` is empty where anybody may give any name, until one is given.
    """

    person: str = ""
    client: ApiClient | None = None
    address: str = ""
    entitlement: Entitlement | None = None


def visitor(campaign: Campaign, *, link: str, user: Any, address: str) -> Caller:
    """Return who asks on the public page: by a link, signed in, or under any name where the campaign is open.

    Raises ``NotOpen``, or what is wrong with the link.
    """
    if link:
        entitlement = entitlement_of(link, campaign)
        return Caller(person=entitlement.person, address=address, entitlement=entitlement)
    if campaign.access == Access.SIGNED_IN and user.is_authenticated:
        if person := str(getattr(user, conf.person_field(), "") or "").strip():
            return Caller(person=person, address=address)
        raise NotOpen("this account has nothing to draw under")
    if campaign.is_open:
        return Caller(address=address)
    raise NotOpen("nobody draws in this campaign by a name that is typed in")
