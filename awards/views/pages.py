"""The public pages: what is running, a campaign to draw in, and what a draw came to. They work without JavaScript."""

import uuid
from http import HTTPStatus

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from awards.errors import DrawError, DrawRefused, SoldOut
from awards.luck import SYSTEM_LUCK
from awards.models import AwardStatus, Campaign, Draw
from awards.selectors import awards as selectors
from awards.services import draws
from awards.views.error_texts import explain_draw_error
from awards.views.forms import DrawForm

MINE = "draws"
"""Under which name the session keeps the ids of the draws made in it."""
KEPT = 20


@require_safe
@never_cache
def home(request: HttpRequest) -> HttpResponse:
    """List the campaigns in which one can draw now."""
    return render(request, "awards/home.html", {"campaigns": selectors.running_campaigns()})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def campaign(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a campaign and its form; take the form, draw, and go on to the result."""
    found = selectors.campaign_at(slug)
    if found is None:
        raise Http404
    if request.method != "POST":
        return _campaign_page(request, found, _fresh_form())
    form = DrawForm(request.POST)
    if not form.is_valid():
        if "request_id" in form.errors:
            form = _fresh_form(person=request.POST.get("person", ""))
        return _campaign_page(request, found, form, status=HTTPStatus.BAD_REQUEST)
    person = form.cleaned_data["person"]
    try:
        drawn = draws.draw_ticket(
            found,
            person=person,
            request_id=str(form.cleaned_data["request_id"]),
            luck=SYSTEM_LUCK,
            language=get_language() or "",
        )
    except DrawError as error:
        status = HTTPStatus.CONFLICT if isinstance(error, DrawRefused) else HTTPStatus.UNPROCESSABLE_ENTITY
        return _campaign_page(
            request, found, _fresh_form(person=person), said=explain_draw_error(error, found), status=status
        )
    _remember(request, drawn)
    return redirect("awards:draw", drawn.public_id)


@require_safe
@never_cache
def draw(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Say plainly what a draw came to, and how far the prize has come."""
    found = selectors.draw_with(public_id)
    if found is None:
        raise Http404
    award = found.won and selectors.award_with(found.won.public_id)
    context = {
        "draw": found,
        "campaign": found.campaign,
        "award": award,
        "waiting": award is not None and award.status == AwardStatus.WON,
    }
    return render(request, "awards/draw.html", context)


def _campaign_page(
    request: HttpRequest, found: Campaign, form: DrawForm, *, said: str = "", status: HTTPStatus = HTTPStatus.OK
) -> HttpResponse:
    prizes = list(selectors.prizes_of(found))
    refusal = draws.closed(found)
    if refusal is None and not any(prize.stock != 0 for prize in prizes):
        refusal = SoldOut("every prize of this campaign has been won")
    context = {
        "campaign": found,
        "prizes": prizes,
        "form": form,
        "open": refusal is None,
        "said": said or (explain_draw_error(refusal) if refusal else ""),
        "mine": _draws_of_mine(request, found),
    }
    return render(request, "awards/campaign.html", context, status=status)


def _fresh_form(*, person: str = "") -> DrawForm:
    """Return a form with a one-time id of its own."""
    return DrawForm(initial={"request_id": uuid.uuid4(), "person": person})


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
