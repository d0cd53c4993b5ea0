"""What a draw that waits in a queue came to: asked at its own address, which waits a little for the answer."""

import threading
import time
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from ninja import Router

from awards.errors import DrawError, DrawRefused, LimitReached
from awards.models import Campaign
from awards.sale.queueing import QueuedAnswer, answer_to, request_of
from awards.views.answers import DrawOut, QueuedOut, address_of, draw_content
from awards.views.problems import Code, Problem
from awards.views.queueing import waiting
from awards.views.refusals import refused

WAITS_FOR = 2.0
"""Seconds that an answer is waited for."""
LOOKS_EVERY = 0.1
WAIT_AT_ONCE = 1
"""Requests of a process that wait beside each other; others are told at once that there is no answer yet.

Each keeps a thread of the web server, which has four.
"""

_places = threading.BoundedSemaphore(WAIT_AT_ONCE)


router = Router(tags=["acts"])


@router.get(
    "/campaigns/{slug:slug}/queued/{token}",
    auth=None,
    response={200: DrawOut, 202: QueuedOut},
    summary="Ask for a queued draw",
    url_name="api-queued",
)
def show_queued_draw(request: HttpRequest, slug: str, token: str) -> Any:
    """Return the draw, a problem if it was refused, or 202 while it waits. Whoever has the address may ask."""
    return answer_queued(slug, token)


def answer_queued(slug: str, token: str) -> HttpResponse:
    """Return what the request of the token came to; with nothing yet, wait for it if few others do."""
    found = request_of(token)
    if found is None:
        return Problem(Code.UNKNOWN_REQUEST, _("There is no such request.")).respond()
    result = answer_to(*found)
    if result.waits and _places.acquire(blocking=False):
        try:
            result = _wait(*found)
        finally:
            _places.release()
    if result.waits:
        return waiting(reverse("awards:api-queued", args=[slug, token]))
    return _answer(result, slug, found[0])


def _wait(campaign_id: int, request_id: str) -> QueuedAnswer:
    until = time.monotonic() + WAITS_FOR
    while (result := answer_to(campaign_id, request_id)).waits and time.monotonic() < until:
        time.sleep(LOOKS_EVERY)
    return result


def _answer(result: QueuedAnswer, slug: str, campaign_id: int) -> HttpResponse:
    if result.draw is not None:
        won = result.draw.won
        location = {"Location": address_of(won)} if won else {}
        return JsonResponse(draw_content(result.draw), headers={"Cache-Control": "no-store", **location})
    if result.is_too_late:
        content = {"id": None, "campaign": slug, "outcome": "lost", "reason": "too_late", "award": None}
        return JsonResponse(content, headers={"Cache-Control": "no-store"})
    error = error_of(result.code)
    # Only the limit says something of the campaign; most who ask at a sale's end read that it is sold out.
    campaign = Campaign.objects.filter(pk=campaign_id).first() if isinstance(error, LimitReached) else None
    return refused(error, campaign)


def error_of(code: str) -> DrawError:
    """Return the refusal of that code."""
    kinds: list[type[DrawError]] = [DrawError]
    for kind in kinds:
        if kind.code == code:
            return kind(code)
        kinds += kind.__subclasses__()
    return DrawRefused(code)
