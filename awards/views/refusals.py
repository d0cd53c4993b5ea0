"""What is answered when a request comes to no view of ours, or a view has failed: JSON below /api/, else a page."""

from http import HTTPStatus

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.views import defaults

from awards.views.problems import problem

API = "/api/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer a request that cannot be served as it is, such as one for a host that is not ours."""
    if request.path.startswith(API):
        return problem(HTTPStatus.BAD_REQUEST, "bad_request", _("The request cannot be read as it is."))
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer for a failure of ours, without the database."""
    if request.path.startswith(API):
        detail = _("Something failed here. Send the same request again, with the same Idempotency-Key.")
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "server_error", detail)
    return defaults.server_error(request)
