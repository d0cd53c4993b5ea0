"""The desk's own error pages: what happened, what was not done, what to do, and the way back to the list as it was.

The desk's views show them by themselves where they refuse somebody or find nothing. A project has them for all of its
admin by one line in its root ``urls.py``, and one in its settings::

    from outbox.admin.error_pages import handler400, handler403, handler404, handler500
    CSRF_FAILURE_VIEW = "outbox.admin.error_pages.csrf_failure"

Outside the admin each does what Django's own does, or ``otherwise``, which a project gives by ``functools.partial``.
"""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.sites import all_sites
from django.core.exceptions import DisallowedHost, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views import csrf, defaults

from outbox.admin import typed
from outbox.admin.visible import make_visible

Otherwise = Callable[..., HttpResponseBase]
LABELS = {"reason": gettext_lazy("Reason"), "evidence": gettext_lazy("Evidence"), "note": gettext_lazy("Note")}
"""What fields are called that many forms have; others are shown under their own names."""


def handler400(
    request: HttpRequest, exception: Exception, *, otherwise: Otherwise = defaults.bad_request
) -> HttpResponseBase:
    """Answer a request that cannot be read: too large, too many fields, or not for this host."""
    if not is_at_desk(request):
        return otherwise(request, exception)
    return _alone(
        HTTPStatus.BAD_REQUEST,
        _("This cannot be read"),
        [
            _why_bad(exception),
            _("Nothing was done."),
            _("Go back in your browser: what you typed is still there."),
        ],
    )


def handler403(
    request: HttpRequest, exception: Exception, *, otherwise: Otherwise = defaults.permission_denied
) -> HttpResponseBase:
    """Answer somebody who may not see this, or do it."""
    if not is_at_desk(request):
        return otherwise(request, exception)
    return _page(
        request,
        HTTPStatus.FORBIDDEN,
        _("Not allowed"),
        [
            _who(request),
            *([str(exception)] if str(exception) else []),
            _("Nothing was done."),
            _("Ask a lead to do it, or ask for the permission."),
        ],
        texts=typed.typed_texts(request),
    )


def handler404(
    request: HttpRequest, exception: Exception, *, otherwise: Otherwise = defaults.page_not_found
) -> HttpResponseBase:
    """Answer for an address at which there is nothing."""
    if not is_at_desk(request):
        return otherwise(request, exception)
    return _page(
        request,
        HTTPStatus.NOT_FOUND,
        _("Not found"),
        [
            _("There is nothing at this address. What is finished is removed in time."),
            _("Nothing was done."),
            _("Go back to the list and look there."),
        ],
        texts=typed.typed_texts(request),
    )


def handler500(request: HttpRequest, *, otherwise: Otherwise = defaults.server_error) -> HttpResponseBase:
    """Answer for a failure of the desk itself, without the database."""
    if not is_at_desk(request):
        return otherwise(request)
    return _alone(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        _("Something went wrong"),
        [
            _("The desk has failed. The log of the web server has the error."),
            _("What you asked for is done whole or not at all. Open the page anew: it shows which."),
            _("Go back in your browser: what you typed is still there. Look first, then try again in a moment."),
        ],
    )


def csrf_failure(
    request: HttpRequest, reason: str = "", *, otherwise: Otherwise = csrf.csrf_failure
) -> HttpResponseBase:
    """Answer a form that bears no token, or an old one; what was typed stays if the form was made for this person."""
    if not is_at_desk(request):
        return otherwise(request, reason=reason)
    said = [
        _("The page was from before you last signed in, or your browser did not send our cookie."),
        _("Nothing was done."),
    ]
    kept = typed.keep(request)
    if kept:
        said.append(_("Open the form anew: what you had typed is in it. Then send it."))
    else:
        said.append(_("Open the page anew, and send it again. Allow cookies for this site if you come back here."))
    return _page(
        request,
        HTTPStatus.FORBIDDEN,
        _("Please send it once more"),
        said,
        texts=typed.typed_texts(request) if kept else [],
        again=request.get_full_path(),
    )


def signed_out(request: HttpRequest) -> HttpResponseBase:
    """Answer a form that came when the session was over: lead to the login if what was typed is kept, else show it."""
    if typed.keep(request) or not (texts := typed.typed_texts(request)):
        return redirect(request.get_full_path())
    return _page(
        request,
        HTTPStatus.FORBIDDEN,
        _("You were signed out"),
        [
            _("Nobody has used this session for a while, or you have signed out elsewhere."),
            _("Nothing was done."),
            _("Copy what you had typed from here before you sign in again; it could not be kept."),
        ],
        texts=texts,
        again=request.get_full_path(),
    )


def is_at_desk(request: HttpRequest) -> bool:
    """Tell whether a request came to an admin site."""
    return _site_of(request) is not None


def _site_of(request: HttpRequest) -> admin.AdminSite | None:
    try:
        match = request.resolver_match or resolve(request.path_info)
    except Resolver404:
        return None
    if "admin" not in match.app_names:
        return None
    return next((site for site in all_sites if site.name in match.namespaces), admin.site)


def _who(request: HttpRequest) -> str:
    if not hasattr(request, "user") or not request.user.is_authenticated:
        return _("This is not open to everybody, and you are not signed in.")
    words = _("You are signed in as %(name)s, who may not see this page or may not do this.")
    return words % {"name": request.user.get_username()}


def _why_bad(exception: Exception) -> str:
    match exception:
        case RequestDataTooBig():
            return _("What you sent is too large: this server takes %(size)s MiB of text at a time.") % {
                "size": round((settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0) / 2**20, 1)
            }
        case TooManyFieldsSent() | TooManyFilesSent():
            return _("What you sent has too many fields: this server takes %(count)s at a time.") % {
                "count": settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
            }
        case _:
            return _("Your browser sent something that cannot be read.")


def _page(
    request: HttpRequest,
    status: HTTPStatus,
    title: str,
    said: Sequence[str],
    *,
    texts: Sequence[tuple[str, str]] = (),
    again: str = "",
) -> HttpResponse:
    """Return a page of the desk, with its lists beside it; one that stands alone if it is too early for that."""
    if not hasattr(request, "user"):
        return _alone(status, title, said)
    site = _site_of(request) or admin.site
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": title,
        "said": said,
        "texts": [(LABELS.get(name, name), text) for name, text in texts],
        "again": again,
        "back": "" if again else _came_from(request),
    }
    text = render_to_string("outbox/desk/error.html", context, request)
    answer = HttpResponse(make_visible(text), status=status)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _alone(status: HTTPStatus, title: str, said: Sequence[str]) -> HttpResponse:
    """Return a page that needs neither session nor database nor hashed file names, whatever has just failed."""
    return HttpResponse(render_to_string("outbox/desk/error_alone.html", {"title": title, "said": said}), status=status)


def _came_from(request: HttpRequest) -> str:
    """Return the page of ours from which one came, with its filters; nothing if it is this one or no page of ours."""
    came_from = request.headers.get("Referer", "")
    try:
        host = request.get_host()
    except DisallowedHost:
        return ""
    if not url_has_allowed_host_and_scheme(came_from, {host}, require_https=request.is_secure()):
        return ""
    return "" if came_from == request.build_absolute_uri() and request.method != "POST" else came_from
