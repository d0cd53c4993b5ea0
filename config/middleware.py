"""Middleware of the project's own: the content security policy, answers without a body, and quiet refusals."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.log import log_response

POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"

GetResponse = Callable[[HttpRequest], HttpResponseBase]


def content_security_policy(get_response: GetResponse) -> GetResponse:
    """Return a middleware under which a page loads nothing, and runs nothing, but what we serve ourselves."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return middleware


def without_body(get_response: GetResponse) -> GetResponse:
    """Return a middleware that answers HEAD with the headers of a GET and no body, as HTTP has it.

    Django's views make the body all the same, and its handler leaves it to the server to drop, which gunicorn takes
    for a mistake and warns of. The first in ``MIDDLEWARE``, so that the length is known by then.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if request.method == "HEAD":
            if isinstance(response, StreamingHttpResponse):
                response.streaming_content = ()
            elif isinstance(response, HttpResponse):
                response.headers.setdefault("Content-Length", str(len(response.content)))
                response.content = b""
        return response

    return middleware


def quiet_refusals(get_response: GetResponse) -> GetResponse:
    """Return a middleware that tells the log of an answer at the answer's own ``log_level``, if it has one.

    Django's handler calls each answer from 500 on an error, and so a log that is watched. It leaves alone what was told
    already.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        level = getattr(response, "log_level", "")
        if level and isinstance(response, HttpResponse):
            said = ("%s: %s", response.reason_phrase, request.path)
            log_response(*said, response=response, request=request, level=level)
        return response

    return middleware
