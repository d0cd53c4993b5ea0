"""Calls that act: draw, give an entitlement, claim; and how one award stands."""

import uuid
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from ninja import Router
from ninja.responses import Status

from awards.claims.claiming import claim_or_repeat
from awards.clients.callers import Caller
from awards.clients.drawing import as_person, draw_as
from awards.clients.entitlements import give
from awards.clients.links import USUAL_VALIDITY, link_to, site_of, usable_until
from awards.errors import ClaimRefused, DrawError, NotEntitled, SourceTaken
from awards.luck import SYSTEM_LUCK
from awards.models import Award, Campaign, Entitlement, Scope
from awards.persons import is_source
from awards.sale.queueing import is_queued
from awards.selectors import awards as selectors
from awards.views.answers import (
    AwardOut,
    DrawOut,
    EntitlementOut,
    QueuedOut,
    address_of,
    award_content,
    draw_content,
)
from awards.views.claim_form import ClaimForm
from awards.views.keys import Key, KeyOfCampaign, KeyOrOpen, caller_of, campaign_of
from awards.views.problems import Code, Problem
from awards.views.queueing import accept
from awards.views.refusals import refused
from awards.views.values import AddressIn, CallKey, DrawIn, EntitlementIn

router = Router(tags=["acts"])


@router.post(
    "/campaigns/{slug:slug}/draws",
    auth=KeyOrOpen(Scope.DRAW),
    response={201: DrawOut, 200: DrawOut, 202: QueuedOut},
    summary="Draw",
    url_name="api-draws",
    openapi_extra={
        "responses": {
            201: {"description": "What was drawn."},
            200: {"description": "The same request as before, answered as before."},
            202: {"description": "It waits in the queue of a flash sale; ask at the address."},
        }
    },
)
def draw(request: HttpRequest, slug: str, body: DrawIn, key: CallKey, response: HttpResponse) -> Any:
    """Draw once for a person. An open campaign, made for demonstrations, takes no key."""
    campaign = campaign_of(request)
    try:
        caller = _named(caller_of(request), campaign, body)
        if is_queued(campaign):
            return accept(caller, campaign, request_id=_unquoted(key))
        drawn = draw_as(
            caller,
            campaign,
            request_id=_unquoted(key),
            luck=SYSTEM_LUCK,
            language=get_language() or "",
        )
    except DrawError as error:
        return refused(error, campaign)
    if drawn.won:
        response["Location"] = address_of(drawn.won)
    return Status(HTTPStatus.OK if drawn.repeated else HTTPStatus.CREATED, draw_content(drawn))


@router.post(
    "/campaigns/{slug:slug}/entitlements",
    auth=KeyOfCampaign(Scope.ENTITLE),
    response={201: EntitlementOut, 200: EntitlementOut},
    summary="Give an entitlement",
    url_name="api-entitlements",
    openapi_extra={
        "responses": {
            201: {"description": "The entitlement, and a link by which to draw."},
            200: {"description": "It had been given before; the link is a new one."},
        }
    },
)
def give_entitlement(request: HttpRequest, slug: str, body: EntitlementIn) -> Any:
    """Give somebody the right to one draw, earned by what `source` says."""
    campaign, client = campaign_of(request), caller_of(request).client
    if not is_source(body.source):
        detail = _('"source" must be 1 to 100 characters that can be seen, without blanks around them.')
        raise Problem(Code.WRONG_BODY, detail)
    try:
        given, new = give(campaign, person=body.person, source=body.source, given_by=client.name if client else "")
    except SourceTaken as error:
        detail = _("What this is earned by has earned a draw for somebody else.")
        raise Problem(Code.SOURCE_TAKEN, detail) from error
    return Status(HTTPStatus.CREATED if new else HTTPStatus.OK, _entitlement_content(given, campaign, site_of(request)))


@router.get(
    "/awards/{uuid:public_id}",
    auth=None,
    response=AwardOut,
    summary="Show an award",
    url_name="api-award",
)
def show_award(request: HttpRequest, public_id: uuid.UUID) -> dict[str, Any]:
    """Return how an award stands. Whoever has its id may ask; it does not say whose it is."""
    return award_content(_award(public_id))


@router.post(
    "/awards/{uuid:public_id}/claim",
    auth=Key(Scope.CLAIM),
    response=AwardOut,
    summary="Claim an award",
    url_name="api-claim",
)
def claim_award(request: HttpRequest, public_id: uuid.UUID, body: AddressIn) -> Any:
    """Say where a gift goes, in time. The same again is answered as before; another address is refused."""
    found = _award(public_id)
    form = ClaimForm(body.model_dump())
    if not form.is_valid():
        faults = "; ".join(f"{name}: {' '.join(map(str, said))}" for name, said in form.errors.items())
        raise Problem(Code.WRONG_ADDRESS, faults)
    try:
        claim_or_repeat(found, form.recipient, language=get_language() or "")
    except ClaimRefused as error:
        return refused(error)
    return award_content(_award(public_id))


def _unquoted(key: str) -> str:
    """Return the request's idempotency key: a bare token, or a quoted string as the IETF draft has it."""
    key = key.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not key:
        raise key_missing()
    return key


def key_missing() -> Problem:
    """Return what is said of a draw without a key of its own."""
    detail = _("Send the header Idempotency-Key: one new id for each draw, the same one to repeat a request.")
    return Problem(Code.KEY_MISSING, detail)


def _named(caller: Caller, campaign: Campaign, body: DrawIn) -> Caller:
    """Return the caller with who draws, and by which entitlement; only a client names one."""
    if not body.entitlement:
        return as_person(caller, body.person)
    if caller.client is None:
        raise Problem(Code.WRONG_BODY, _("Only a client with a key may name an entitlement."))
    return replace(as_person(caller, body.person), entitlement=_entitlement(campaign, body.entitlement))


def _entitlement(campaign: Campaign, public_id: str) -> Entitlement:
    try:
        found = Entitlement.objects.filter(campaign=campaign, public_id=uuid.UUID(public_id)).first()
    except ValueError:
        found = None
    if found is None:
        raise NotEntitled("there is no such entitlement in this campaign")
    return found


def _entitlement_content(given: Entitlement, campaign: Campaign, site: str) -> dict[str, Any]:
    until = usable_until(given, campaign, clock=campaign.clock)
    return {
        "id": str(given.public_id),
        "campaign": campaign.slug,
        "person": given.person,
        "source": given.source,
        "used": given.used_at is not None,
        "link": {
            "url": link_to(given, until=campaign.clock + USUAL_VALIDITY, site=site),
            "expires_at": until.isoformat(),
        },
    }


def _award(public_id: uuid.UUID) -> Award:
    found = selectors.award_with(public_id)
    if found is None:
        raise Problem(Code.UNKNOWN_AWARD, _("There is no award of that id."))
    return found
