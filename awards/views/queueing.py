"""The answer to a draw that waits in a queue: 202, and where to ask."""

from http import HTTPStatus

from django.http import HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.translation import get_language

from awards.clients.callers import Caller
from awards.clients.drawing import queue_as
from awards.models import Campaign

ASK_AGAIN = 1
"""Seconds after which it is worth asking again."""


def accept(caller: Caller, campaign: Campaign, *, request_id: str) -> HttpResponse:
    """Put the draw into the queue, and say where one asks what it came to."""
    token = queue_as(caller, campaign, request_id=request_id, language=get_language() or "")
    return waiting(reverse("awards:api-queued", args=[campaign.slug, token]))


def waiting(address: str) -> HttpResponse:
    """Answer that the draw still waits."""
    headers = {"Location": address, "Retry-After": str(ASK_AGAIN), "Cache-Control": "no-store"}
    return JsonResponse({"status": "queued", "url": address}, status=HTTPStatus.ACCEPTED, headers=headers)
