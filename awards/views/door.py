"""In front of Django: draws that come too fast are refused before they cost anything, and queued ones are answered.

A refusal touches no database and no middleware. Neither need draws that wait in a queue a session: they are taken in
and answered here, too. Without this door all of it works, and costs what Django's middleware costs.
"""

import json
import math
import re
import time
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIRequest, get_script_name
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.urls import resolve, set_script_prefix
from django.utils import translation

from awards.models import Campaign
from awards.sale import tallies
from awards.sale.paces import pace_of, queue_of
from awards.views.door_page import HEADERS, page_for
from awards.views.queued import answer_queued
from awards.views.service import guarded

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
View = Callable[[HttpRequest], HttpResponse]

API_DRAW = re.compile(r"/api/campaigns/([-\w]+)/draws")
PAGE_DRAW = re.compile(r"/campaigns/([-\w]+)/")
QUEUED = re.compile(r"/api/campaigns/([-\w]+)/queued/([^/]+)")
STATUS = f"{HTTPStatus.TOO_MANY_REQUESTS.value} {HTTPStatus.TOO_MANY_REQUESTS.phrase}"
PROBLEM = json.dumps(
    {
        "type": "about:blank",
        "title": HTTPStatus.TOO_MANY_REQUESTS.phrase,
        "status": HTTPStatus.TOO_MANY_REQUESTS.value,
        "code": "too_many_draws",
        "detail": "Too many people are drawing at this moment. Send the same request again after Retry-After seconds.",
    }
).encode()


class SaleDoor:
    """A WSGI application around Django's."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Refuse, answer, or let in."""
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        if method == "POST" and "/campaigns/" in path:
            for pattern in (API_DRAW, PAGE_DRAW):
                found = pattern.fullmatch(path)
                if found and (wait := _wait(found[1])):
                    seconds = max(1, math.ceil(wait))
                    if pattern is PAGE_DRAW:
                        return _refuse(start_response, seconds, page_for(environ, seconds), HEADERS)
                    return _refuse(start_response, seconds, PROBLEM, [("Content-Type", "application/problem+json")])
                if found and pattern is API_DRAW and (campaign := queue_of(found[1])) is not None:
                    return self._serve(environ, start_response, partial(_draw, path=path, campaign=campaign))
        elif method == "GET" and (found := QUEUED.fullmatch(path)):
            return self._serve(environ, start_response, partial(_ask, slug=found[1], token=found[2]))
        return self._application(environ, start_response)

    def _serve(self, environ: Environ, start_response: StartResponse, view: View) -> Iterable[bytes]:
        """Have a view of ours answer without the middleware; what should be redirected to https goes through it."""
        request = WSGIRequest(environ)
        if settings.SECURE_SSL_REDIRECT and not request.is_secure():
            return self._application(environ, start_response)
        set_script_prefix(get_script_name(environ))
        _close_if_obsolete()
        try:
            with translation.override(translation.get_language_from_request(request)):
                response: Any = convert_exception_to_response(view)(request)
        finally:
            _close_if_obsolete()
        response.headers.setdefault("Content-Length", str(len(response.content)))
        start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
        return [response.content]


def _draw(request: Any, *, path: str, campaign: Campaign) -> HttpResponse:
    """Have the API take a draw of a campaign that is known already."""
    request.resolver_match = match = resolve(path)
    request.campaign = campaign
    response: HttpResponse = match.func(request, *match.args, **match.kwargs)
    return response


@guarded
def _ask(_request: Any, *, slug: str, token: str) -> HttpResponse:
    return answer_queued(slug, token)


def _wait(slug: str) -> float:
    """Return how many seconds a draw has to wait before it is let in, and count it."""
    pace = pace_of(slug)
    if pace is None:
        return 0.0
    wait = pace.wait()
    tallies.count_request(pace.campaign_id, admitted=not wait)
    return wait


def _refuse(
    start_response: StartResponse, seconds: int, body: bytes, headers: Iterable[tuple[str, str]]
) -> Iterable[bytes]:
    always = [
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("Retry-After", str(seconds)),
    ]
    start_response(STATUS, [*headers, *always])
    return [body]


def _close_if_obsolete() -> None:
    """Close sessions as Django does around each request, but do not ask each time whether the server is there.

    If it is not, one request fails, and the session is closed before the next.
    """
    for connection in connections.all(initialized_only=True):
        is_old = connection.close_at is not None and time.monotonic() >= connection.close_at
        if is_old or connection.errors_occurred:
            connection.close_if_unusable_or_obsolete()
