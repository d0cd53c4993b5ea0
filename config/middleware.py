"""Middleware of the project's own: the content security policy, and answers without a body."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

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
