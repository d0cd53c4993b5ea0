"""The API as a whole: its routes, what becomes of whatever goes wrong in one, and what each address has around it."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import ValidationError
from ninja.operation import Operation

from awards.errors import DrawError, InvalidPerson
from awards.views import api as acts
from awards.views import people, queued
from awards.views.api import key_missing
from awards.views.keys import ReadAtTheDoor
from awards.views.problems import Code, Problem
from awards.views.refusals import failure, refused

log = logging.getLogger("awards.api")

ROUTERS = (acts.router, queued.router, people.router)
View = Callable[..., HttpResponse]


class ShopApi(NinjaAPI):
    """The API for the servers of shops."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """Return the name by which generated clients call the operation."""
        return operation.view_func.__name__


def make_api() -> ShopApi:
    """Return the API with its routes and handlers."""
    api = ShopApi(
        title="Makegood: promotions",
        version="1",
        description="For the servers of shops: draw for customers, give them entitlements, see what they have won. "
        "Texts are written in the language that Accept-Language asks for; codes are not.",
        urls_namespace="awards-api",
        openapi_url=None,
        docs_url=None,
        parser=ReadAtTheDoor(),
    )
    for router in ROUTERS:
        api.add_router("", router)
    for kind in (Problem, DrawError, ValidationError, Http404, Exception):
        api.add_exception_handler(kind, respond)
    return api


def respond(_request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
    """Answer what went wrong; of an error that nobody expected no more than that there was one."""
    match error:
        case Problem():
            return error.respond()
        case DrawError():
            return refused(error)
        case ValidationError():
            return _of_values(error)
        case Http404():
            return nothing_there().respond()
        case OperationalError() | InterfaceError():
            log.error("a call met the database: %s", error)
            said = _("The database does not answer. Send the same request again later.")
            return Problem(Code.UNAVAILABLE, said, headers={"Retry-After": "5"}).respond()
        case _:
            log.error("a call ended in an error", exc_info=error if isinstance(error, BaseException) else None)
            return failure().respond()


def nothing_there() -> Problem:
    """Return what is said of an address under which nothing is."""
    return Problem(Code.UNKNOWN_ADDRESS, _("There is nothing at this address."))


def guarded(view: View) -> View:
    """Return the view as the API has it: no CSRF, as a key shows who calls; no cache; and never a page of HTML."""

    @csrf_exempt
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        asked, request.method = request.method, "GET" if request.method == "HEAD" else request.method
        try:
            response = view(request, *args, **kwargs)
        except Exception as error:  # a page of HTML would be no answer to a program
            response = respond(request, error)
        finally:
            request.method = asked
        if isinstance(response, HttpResponseNotAllowed):
            response = _not_allowed(response["Allow"])
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return answer


def _not_allowed(methods: str) -> HttpResponse:
    allowed = methods.replace("GET", "GET, HEAD")
    detail = _("This address takes %(methods)s only.") % {"methods": allowed}
    return Problem(Code.METHOD_NOT_ALLOWED, detail, headers={"Allow": allowed}).respond()


def _of_values(error: ValidationError) -> HttpResponse:
    """Answer what is said of the first value that is not as the document has it."""
    first = error.errors[0]
    part, *names = map(str, first["loc"])
    if part == "path":
        return nothing_there().respond()
    if part == "header":
        return key_missing().respond()
    where = ".".join(name for name in names if name not in ("body", "asked", "page")) or part
    if first["type"] == "string_unicode" and where == "person":
        return refused(InvalidPerson("it holds half a character"))
    said = _("What was sent is not as it must be: %(where)s: %(message)s") % {"where": where, "message": first["msg"]}
    return Problem(Code.WRONG_QUERY if part == "query" else Code.WRONG_BODY, said).respond()


api = make_api()
