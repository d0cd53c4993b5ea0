"""Who comes in: the key of a call, what it is for, how often it calls, and what it has brought.

In this order, so that nobody learns more than they may: the key, its scope, the number of its calls, and only then the
parameters and the body.
"""

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja.parser import Parser
from ninja.security import HttpBearer

from awards.clients.callers import Caller
from awards.clients.keys import client_of
from awards.models import Campaign, Scope
from awards.selectors import awards as selectors
from awards.views.bodies import read_json
from awards.views.problems import Code, Problem
from outbox.admin import client_address


class Key(HttpBearer):
    """Lets in clients that may do what ``scope`` names, and reads what they have brought."""

    takes_anybody = False
    """Whether some calls need no key."""

    def __init__(self, scope: Scope, *, query: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.scope, self.query = scope, query

    def __call__(self, request: HttpRequest) -> Caller:
        """Return who calls. Raises a ``DrawError`` or the ``Problem``."""
        caller = self.let_in(request)
        if unknown := sorted(set(request.GET) - set(self.query)):
            raise Problem(Code.WRONG_QUERY, _("There is no such parameter: %(name)s") % {"name": unknown[0][:50]})
        if request.method == "POST":
            request.parsed_body = read_json(request)  # type: ignore[attr-defined]  # for the parser
        return caller

    def let_in(self, request: HttpRequest) -> Caller:
        """Return the client whose key is shown, or raise what is wrong with it."""
        return Caller(client=client_of(request.headers.get("Authorization", ""), self.scope))

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        """Never called, as the header is read as a whole."""
        raise NotImplementedError


class KeyOfCampaign(Key):
    """Looks for the campaign of the address first."""

    def let_in(self, request: HttpRequest) -> Caller:
        """Return the client whose key is shown; the campaign is kept with the request."""
        match = request.resolver_match
        if not hasattr(request, "campaign"):  # the sale's door may know it
            request.campaign = campaign_at(str(match.kwargs["slug"]) if match else "")  # type: ignore[attr-defined]
        return self.let_in_to(campaign_of(request), request)

    def let_in_to(self, campaign: Campaign, request: HttpRequest) -> Caller:  # noqa: ARG002  # the next one needs it
        """Return who may call at this campaign."""
        return super().let_in(request)


class KeyOrOpen(KeyOfCampaign):
    """Lets in anybody as well, where the campaign of the address is open."""

    takes_anybody = True

    def let_in_to(self, campaign: Campaign, request: HttpRequest) -> Caller:
        """Return the client whose key is shown; without a key, anybody where the campaign is open."""
        if campaign.is_open and not request.headers.get("Authorization", ""):
            return Caller(address=client_address(request) or "")
        return super().let_in_to(campaign, request)


class ReadAtTheDoor(Parser):
    """Gives the body that the door has read already."""

    def parse_body(self, request: HttpRequest) -> Any:
        """Return what was sent."""
        return request.parsed_body  # type: ignore[attr-defined]  # put there by the door


def caller_of(request: HttpRequest) -> Caller:
    """Return who calls, as the door has let them in."""
    caller: Caller = request.auth  # type: ignore[attr-defined]  # put there by django-ninja
    return caller


def campaign_of(request: HttpRequest) -> Campaign:
    """Return the campaign of the address, as the door has found it."""
    campaign: Campaign = request.campaign  # type: ignore[attr-defined]  # put there by the door
    return campaign


def campaign_at(slug: str) -> Campaign:
    """Return the campaign at the address, with the database's time, or raise the ``Problem``."""
    campaign = selectors.campaign_at(slug)
    if campaign is None:
        raise Problem(Code.UNKNOWN_CAMPAIGN, _("There is no campaign of that name."))
    return campaign
