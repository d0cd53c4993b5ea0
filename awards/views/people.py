"""Calls that read: campaigns and their prizes; a person's draws, awards and points."""

import uuid
from typing import Annotated, Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router, Schema
from pydantic import Field, StringConstraints

from awards.models import Award, Campaign, Draw, PointsEntry, Scope
from awards.persons import identity
from awards.selectors import people
from awards.selectors.awards import prizes_of
from awards.views.answers import (
    AwardPage,
    CampaignOut,
    CampaignPage,
    DrawPage,
    PointsOut,
    PrizeList,
    campaign_content,
    ledger_lines,
    listed_award,
    listed_draw,
    offered_prize,
)
from awards.views.keys import Key, KeyOfCampaign, campaign_at, campaign_of
from awards.views.problems import Code, Problem
from awards.views.values import Person

router = Router(tags=["reads"])

SLUG = r"^[-a-zA-Z0-9_]*$"
AFTER = "`next` of the page before; empty: from the newest on."
After = Annotated[str, StringConstraints(max_length=36, pattern=r"^[-0-9a-f]*$")]
Slug = Annotated[str, StringConstraints(max_length=60, pattern=SLUG)]


class Paged(Schema):
    """Which page."""

    after: Slug = Field("", description=AFTER)


class OfPerson(Schema):
    """Whose, and which page."""

    person: Person
    after: After = Field("", description=AFTER)


class InCampaign(OfPerson):
    """Whose, in which campaign, and which page."""

    campaign: Slug = Field("", description="Of one campaign alone.")


@router.get(
    "/campaigns",
    auth=Key(Scope.READ, query=tuple(Paged.model_fields)),
    response=CampaignPage,
    summary="List campaigns",
)
def list_campaigns(request: HttpRequest, page: Query[Paged]) -> dict[str, Any]:
    """Return 50 campaigns, whatever their phase, the newest first."""
    found, more = people.campaigns(campaign_at(page.after) if page.after else None)
    return {"campaigns": list(map(campaign_content, found)), "next": found[-1].slug if more else None}


@router.get("/campaigns/{slug:slug}", auth=KeyOfCampaign(Scope.READ), response=CampaignOut, summary="Show a campaign")
def show_campaign(request: HttpRequest, slug: str) -> dict[str, Any]:
    """Return a campaign."""
    return campaign_content(campaign_of(request))


@router.get("/campaigns/{slug:slug}/prizes", auth=KeyOfCampaign(Scope.READ), response=PrizeList, summary="List prizes")
def list_prizes(request: HttpRequest, slug: str) -> dict[str, Any]:
    """Return what can be won in a campaign. How likely it is, and how many there are, is not said."""
    campaign = campaign_of(request)
    return {"prizes": [offered_prize(prize, campaign.clock) for prize in prizes_of(campaign)]}


@router.get(
    "/draws",
    auth=Key(Scope.READ, query=tuple(InCampaign.model_fields)),
    response=DrawPage,
    summary="List a person's draws",
)
def list_draws(request: HttpRequest, asked: Query[InCampaign]) -> dict[str, Any]:
    """Return 50 draws of a person, the newest first."""
    campaign = _campaign(asked)
    person = _person(asked, campaign)
    after = _at(asked.after, lambda id: Draw.objects.filter(public_id=id, person=person).first())
    found, more = people.draws(person, campaign, after)
    return {"draws": list(map(listed_draw, found)), "next": str(found[-1].public_id) if more else None}


@router.get(
    "/awards",
    auth=Key(Scope.READ, query=tuple(InCampaign.model_fields)),
    response=AwardPage,
    summary="List a person's awards",
)
def list_awards(request: HttpRequest, asked: Query[InCampaign]) -> dict[str, Any]:
    """Return 50 awards of a person, the newest first."""
    campaign = _campaign(asked)
    person = _person(asked, campaign)
    after = _at(asked.after, lambda id: Award.objects.filter(public_id=id, person=person).first())
    found, more = people.awards(person, campaign, after)
    return {"awards": list(map(listed_award, found)), "next": str(found[-1].public_id) if more else None}


@router.get(
    "/points",
    auth=Key(Scope.READ, query=tuple(OfPerson.model_fields)),
    response=PointsOut,
    summary="Show a person's points",
)
def show_points(request: HttpRequest, asked: Query[OfPerson]) -> dict[str, Any]:
    """Return a person's balance, and 50 lines of the account. Whoever never had any has 0."""
    person = _person(asked)
    after = _at(asked.after, lambda id: PointsEntry.objects.filter(transfer=id, account=person).first())
    balance, found, more = people.points(person, after)
    return {
        "person": person,
        "balance": balance,
        "entries": ledger_lines(found),
        "next": str(found[-1].transfer) if more else None,
    }


def _campaign(asked: InCampaign) -> Campaign | None:
    return campaign_at(asked.campaign) if asked.campaign else None


def _person(asked: OfPerson, campaign: Campaign | None = None) -> str:
    """Return whom they mean, as draws write it."""
    return identity(asked.person, ignores_tags=campaign is not None and campaign.ignores_tags)


def _at(after: str, find: Any) -> Any:
    """Return the row after which the page begins, None for the first page."""
    if not after:
        return None
    try:
        found = find(uuid.UUID(after))
    except ValueError:
        found = None
    if found is None:
        raise Problem(Code.UNKNOWN_PAGE, _("No page of this list begins there. Take “next” from the page before."))
    return found
