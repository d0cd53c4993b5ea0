"""What every address of the API has around it: no session, no transaction of the host's, no cache, and never HTML."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from outbox.api.problems import Code, Problem
from outbox.api.service import respond
from outbox.monitoring.outside_transactions import in_no_transaction

View = Callable[..., HttpResponse]


def guarded(view: View) -> View:
    """Return the view as the API has it. A token shows who calls, so there is no cookie that CSRF could misuse."""

    @csrf_exempt
    @in_no_transaction
    @never_cache
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except Exception as error:  # a page of HTML would be no answer to a program
            return respond(request, error)
        if isinstance(response, HttpResponseNotAllowed):
            return _not_allowed(response["Allow"])
        return response

    answer.login_required = False  # type: ignore[attr-defined]  # a host's LoginRequiredMiddleware would redirect
    return answer


def _not_allowed(methods: str) -> HttpResponse:
    detail = _("This address takes %(methods)s only.") % {"methods": methods}
    return Problem(Code.METHOD_NOT_ALLOWED, detail, headers={"Allow": methods}).respond()
