"""What is answered when a request comes to no view of ours, or a view has failed: JSON below /api/, else a page."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.views import defaults

from awards.errors import ClaimRefused, DrawError, SaleRefused, TooManyCalls
from awards.models import Campaign
from awards.views.error_texts import explain_claim_error, explain_draw_error
from awards.views.problems import Code, Problem, problem
from awards.views.statuses import status_of, with_level

API = "/api/"
SECONDS_TO_WAIT = 1
"""After which a client that was too fast has a call again, at the usual paces."""


def refused(error: DrawError | ClaimRefused, campaign: Campaign | None = None) -> HttpResponse:
    """Answer for a draw, an entitlement or a claim that was refused: the status, the code, and why."""
    status = status_of(error)
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyCalls | SaleRefused):
        headers["Retry-After"] = str(SECONDS_TO_WAIT)
    said = explain_claim_error(error) if isinstance(error, ClaimRefused) else explain_draw_error(error, campaign)
    return with_level(problem(status, error.code, said, headers=headers), error)


def failure() -> Problem:
    """Return what is said of a failure of ours."""
    detail = _("Something failed here. Send the same request again, with the same Idempotency-Key.")
    return Problem(Code.SERVER_ERROR, detail)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer a request that cannot be served as it is, such as one for a host that is not ours."""
    if request.path.startswith(API):
        return Problem(Code.BAD_REQUEST, _("The request cannot be read as it is.")).respond()
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer for a failure of ours, without the database."""
    if request.path.startswith(API):
        return failure().respond()
    return defaults.server_error(request)
