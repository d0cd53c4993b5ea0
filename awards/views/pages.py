"""The public pages: what is running, a campaign to draw in, and what a draw came to. They work without JavaScript."""

import uuid
from collections.abc import Sequence
from http import HTTPStatus

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from awards.claims.claiming import claim_or_repeat, why_not_claimable
from awards.clients.callers import Caller, visitor
from awards.clients.drawing import as_person, draw_as
from awards.errors import (
    AccessRefused,
    ClaimRefused,
    DrawError,
    InvalidPerson,
    InvalidRequestId,
    RequestReused,
    SoldOut,
)
from awards.luck import SYSTEM_LUCK
from awards.models import AwardStatus, Campaign, Draw, Prize
from awards.persons import mask
from awards.sale import pages as cached_pages
from awards.selectors import awards as selectors
from awards.services import draws
from awards.views.claim_form import ClaimForm
from awards.views.error_texts import explain_claim_error, explain_draw_error
from awards.views.forms import DrawForm
from awards.views.statuses import status_of, with_level
from outbox.admin import client_address

MINE = "draws"
"""Under which name the session keeps the ids of the draws made in it."""
KEPT = 20
MALFORMED = (InvalidPerson, InvalidRequestId, RequestReused)
"""What is wrong with what was sent, rather than with whoever sent it."""


@require_safe
@never_cache
def home(request: HttpRequest) -> HttpResponse:
    """List the campaigns in which one can draw now."""
    return render(request, "awards/home.html", {"campaigns": selectors.running_campaigns()})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def campaign(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a campaign and its form to whoever may draw; take the form, draw, and go on to the result."""
    found, prizes = _shown(slug) if request.method != "POST" else (selectors.campaign_at(slug), None)
    if found is None:
        raise Http404
    link = str((request.POST if request.method == "POST" else request.GET).get("link", ""))
    try:
        caller = visitor(found, link=link, user=request.user, address=client_address(request) or "")
    except AccessRefused as refused:
        asked = request.method == "POST" or link
        status = status_of(refused) if asked else HTTPStatus.OK
        return _campaign_page(request, found, unknown=refused, status=status, prizes=prizes)
    if request.method != "POST":
        return _campaign_page(request, found, caller, _fresh_form(caller, link=link), prizes=prizes)
    return _draw(request, found, caller, link)


def _shown(slug: str) -> tuple[Campaign | None, Sequence[Prize]]:
    """Return what the page of a campaign shows to everybody, read once for many."""

    def read() -> tuple[Campaign, Sequence[Prize]] | None:
        found = selectors.campaign_at(slug)
        return None if found is None else (found, list(selectors.prizes_of(found)))

    return cached_pages.cached(slug, read) or (None, [])


def _draw(request: HttpRequest, found: Campaign, caller: Caller, link: str) -> HttpResponse:
    """Take the form and draw."""
    person = request.POST.get("person", "")
    form = DrawForm(request.POST, is_known=bool(caller.person))
    if not form.is_valid():
        if "request_id" in form.errors:
            form = _fresh_form(caller, person=person, link=link)
        return _campaign_page(request, found, caller, form, status=HTTPStatus.BAD_REQUEST)
    try:
        drawn = draw_as(
            as_person(caller, form.cleaned_data.get("person", "")),
            found,
            request_id=str(form.cleaned_data["request_id"]),
            luck=SYSTEM_LUCK,
            language=get_language() or "",
        )
    except DrawError as error:
        page = _campaign_page(
            request,
            found,
            caller,
            _fresh_form(caller, person=person, link=link),
            said=explain_draw_error(error, found),
            status=HTTPStatus.UNPROCESSABLE_ENTITY if isinstance(error, MALFORMED) else status_of(error),
        )
        return with_level(page, error)
    _remember(request, drawn)
    return redirect("awards:draw", drawn.public_id)


@require_safe
@never_cache
def draw(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Say plainly what a draw came to, and how far the prize has come."""
    return _draw_page(request, public_id)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@sensitive_post_parameters()
def claim_prize(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Take where the gift goes, and go back to the draw's page; say why if it is not taken.

    Whoever opens this address again, as the language switch does, is led to that page, too.
    """
    if request.method != "POST":
        return redirect("awards:draw", public_id)
    found = selectors.draw_with(public_id)
    if found is None or found.won is None:
        raise Http404
    form = ClaimForm(request.POST)
    if not form.is_valid():
        return _draw_page(request, public_id, form, status=HTTPStatus.BAD_REQUEST)
    try:
        claim_or_repeat(found.won, form.recipient, language=get_language() or "")
    except ClaimRefused as refused:
        return _draw_page(request, public_id, said=explain_claim_error(refused), status=status_of(refused))
    return redirect("awards:draw", public_id)


def _draw_page(
    request: HttpRequest,
    public_id: uuid.UUID,
    form: ClaimForm | None = None,
    *,
    said: str = "",
    status: HTTPStatus = HTTPStatus.OK,
) -> HttpResponse:
    found = selectors.draw_with(public_id)
    if found is None:
        raise Http404
    award = found.won and selectors.award_with(found.won.public_id)
    unclaimed = award is not None and award.is_unclaimed
    context = {
        "draw": found,
        "campaign": found.campaign,
        "award": award,
        "unclaimed": unclaimed,
        "form": (form or ClaimForm()) if award is not None and why_not_claimable(award) is None else None,
        "waiting": award is not None and award.status == AwardStatus.WON and not unclaimed,
        "again": None if award else selectors.redraw_of(found),
        "said": said,
    }
    return render(request, "awards/draw.html", context, status=status)


def _campaign_page(
    request: HttpRequest,
    found: Campaign,
    caller: Caller | None = None,
    form: DrawForm | None = None,
    *,
    said: str = "",
    unknown: AccessRefused | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    prizes: Sequence[Prize] | None = None,
) -> HttpResponse:
    """Return the page of a campaign; without a caller it has no form, and says why.

    ``unknown`` is why nobody knows who asks. While nobody can draw at all, that is said in its place.
    """
    prizes = list(selectors.prizes_of(found)) if prizes is None else prizes
    refusal = draws.closed(found)
    if refusal is None and not any(prize.stock != 0 for prize in prizes):
        refusal = SoldOut("every prize of this campaign has been won")
    entitlement = caller.entitlement if caller else None
    if refusal is None and entitlement is not None:
        refusal = draws.why_not_usable(entitlement)
    refused = refusal or unknown
    context = {
        "campaign": found,
        "prizes": prizes,
        "form": form,
        "person": mask(caller.person) if caller and caller.person else "",
        "open": refusal is None and form is not None,
        "said": explain_draw_error(refused) if refused and not said else said,
        "drawn": entitlement.draw if entitlement else None,
        "mine": _draws_of_mine(request, found),
    }
    return render(request, "awards/campaign.html", context, status=status)


def _fresh_form(caller: Caller, *, person: str = "", link: str = "") -> DrawForm:
    """Return a form with a one-time id of its own."""
    initial = {"request_id": uuid.uuid4(), "person": person, "link": link}
    return DrawForm(initial=initial, is_known=bool(caller.person))


def _remember(request: HttpRequest, drawn: Draw) -> None:
    """Keep the draw in the session, so that whoever made it finds the way back to it."""
    earlier = [id for id in _remembered(request) if id != str(drawn.public_id)]
    request.session[MINE] = [*earlier, str(drawn.public_id)][-KEPT:]


def _remembered(request: HttpRequest) -> list[str]:
    return list(request.session.get(MINE, []))


def _draws_of_mine(request: HttpRequest, found: Campaign) -> list[Draw]:
    """Return the draws made in this session in the campaign, the latest first."""
    ids = _remembered(request)
    return selectors.draws_with(map(uuid.UUID, ids), found) if ids else []
