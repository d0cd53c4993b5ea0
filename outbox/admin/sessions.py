"""Who works at the desk stays signed in; who has left it is signed out after half an hour.

Add it to ``MIDDLEWARE``, anywhere behind ``AuthenticationMiddleware``::

    "outbox.admin.sessions.end_idle_sessions",

It is for the admin's own sites alone: sessions of the rest of a project stay as its settings have them.
"""

import time
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from outbox.admin.error_pages import is_at_desk
from outbox.admin.typed import BY_ITSELF
from outbox.conf import conf

GetResponse = Callable[[HttpRequest], HttpResponseBase]
SEEN = "outbox.seen"
"""Under which name the session has when its person was last seen, in seconds of the epoch."""
SAVED_EVERY = 60
"""Seconds within which a session is not saved a second time."""


def end_idle_sessions(get_response: GetResponse) -> GetResponse:
    """Return a middleware under which a session of the desk ends ``DESK_SESSION`` after the last request of its person.

    A page that reads itself again does not keep it alive.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if hasattr(request, "session") and is_at_desk(request) and request.user.is_authenticated:
            _note_that_seen(request)
        return response

    return middleware


def _note_that_seen(request: HttpRequest) -> None:
    now = time.time()
    if BY_ITSELF in request.headers or now - request.session.get(SEEN, 0) < SAVED_EVERY:
        return
    request.session[SEEN] = now
    request.session.set_expiry(int(conf().desk_session.total_seconds()))
