"""The API as a whole: its routes, and what becomes of whatever goes wrong in one."""

import logging
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.operation import Operation
from ninja.parser import Parser

from outbox.api import messages, operations, state
from outbox.api.door import note
from outbox.api.problems import Code, Problem, invalid, not_found
from outbox.errors import Conflict, EvidenceTaken, OperatorError, PermissionMissing

log = logging.getLogger("outbox.api")

VERSION = "1"
ROUTERS = (messages.router, operations.router, state.router)


class ReadAtTheDoor(Parser):
    """Gives the body that the door has read already."""

    def parse_body(self, request: HttpRequest) -> Any:
        """Return what was sent."""
        return request.parsed_body  # type: ignore[attr-defined]  # put there by the door


class DeskApi(NinjaAPI):
    """The API of the desk."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """Return the name by which generated clients call the operation."""
        return operation.view_func.__name__


def make_api() -> DeskApi:
    """Return the API with its routes and handlers."""
    api = DeskApi(
        title="Makegood: the API of the desk",
        version=VERSION,
        description="For programs that act on messages while nobody is there. Texts are written in the language that "
        "Accept-Language asks for; codes are not.",
        urls_namespace="outbox-api",
        openapi_url=None,
        docs_url=None,
        parser=ReadAtTheDoor(),
    )
    for router in ROUTERS:
        api.add_router("", router)
    for kind in (Problem, OperatorError, ValidationError, HttpError, AuthenticationError, Http404, Exception):
        api.add_exception_handler(kind, respond)
    return api


def respond(request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
    """Answer what went wrong; refusals for want of a right are noted in the audit."""
    problem = problem_of(error)
    holder = getattr(request, "auth", None)
    if holder is not None:
        note(problem, request, holder.token, holder.address)
    return problem.respond()


def problem_of(error: object) -> Problem:
    """Return what is said of an error; of one that nobody expected no more than that it is in the log."""
    match error:
        case Problem():
            return error
        case PermissionMissing():
            return Problem(Code.PERMISSION_MISSING, str(error), more={"permission": error.permission})
        case EvidenceTaken():
            return Problem(Code.EVIDENCE_TAKEN, str(error), more={"message_id": error.message_id})
        case Conflict():
            return Problem(Code.CONFLICT, str(error))
        case OperatorError():
            return Problem(Code.NOT_ALLOWED, str(error))
        case ValidationError():
            return _of_values(error)
        case HttpError():
            return Problem(Code.NOT_JSON, error.message)
        case Http404():
            return not_found()
        case OperationalError() | InterfaceError():
            log.error("a call met the database: %s", error)
            return Problem(
                Code.UNAVAILABLE, _("The database does not answer. Try again later."), headers={"Retry-After": "5"}
            )
        case _:
            exc_info = error if isinstance(error, BaseException) else None
            log.error("a call ended in an error", exc_info=exc_info)
            return Problem(Code.INTERNAL, _("Something went wrong that is ours to mend; the log has it."))


def _of_values(error: ValidationError) -> Problem:
    """Return what is wrong with the values; an address that names nothing there can be is the address of nothing."""
    if any(each["loc"][0] == "path" for each in error.errors):
        return not_found()
    return invalid(error.errors)


api = make_api()
