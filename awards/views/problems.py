"""What goes wrong with a call, as RFC 9457 has it: a status, a code for programs, and plain words for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus

from django.http import HttpResponse, JsonResponse

MEDIA_TYPE = "application/problem+json"


class Code(StrEnum):
    """What is wrong with the call itself. Like those of the errors of a draw, no code changes its meaning."""

    BAD_REQUEST = "bad_request"
    WRONG_BODY = "wrong_body"
    WRONG_QUERY = "wrong_query"
    WRONG_ADDRESS = "wrong_address"
    KEY_MISSING = "idempotency_key_missing"
    MALFORMED_JSON = "malformed_json"
    NOT_UTF8 = "not_utf8"
    DUPLICATE_KEY = "duplicate_key"
    UNKNOWN_ADDRESS = "unknown_address"
    UNKNOWN_CAMPAIGN = "unknown_campaign"
    UNKNOWN_AWARD = "unknown_award"
    UNKNOWN_PAGE = "unknown_page"
    UNKNOWN_REQUEST = "unknown_request"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    SOURCE_TAKEN = "source_taken"
    LENGTH_MISSING = "length_missing"
    BODY_TOO_LARGE = "body_too_large"
    NOT_JSON = "not_json"
    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"


STATUS_OF: Mapping[Code, HTTPStatus] = {
    Code.BAD_REQUEST: HTTPStatus.BAD_REQUEST,
    Code.WRONG_BODY: HTTPStatus.BAD_REQUEST,
    Code.WRONG_QUERY: HTTPStatus.BAD_REQUEST,
    Code.WRONG_ADDRESS: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.KEY_MISSING: HTTPStatus.BAD_REQUEST,
    Code.MALFORMED_JSON: HTTPStatus.BAD_REQUEST,
    Code.NOT_UTF8: HTTPStatus.BAD_REQUEST,
    Code.DUPLICATE_KEY: HTTPStatus.BAD_REQUEST,
    Code.UNKNOWN_ADDRESS: HTTPStatus.NOT_FOUND,
    Code.UNKNOWN_CAMPAIGN: HTTPStatus.NOT_FOUND,
    Code.UNKNOWN_AWARD: HTTPStatus.NOT_FOUND,
    Code.UNKNOWN_PAGE: HTTPStatus.NOT_FOUND,
    Code.UNKNOWN_REQUEST: HTTPStatus.NOT_FOUND,
    Code.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    Code.SOURCE_TAKEN: HTTPStatus.CONFLICT,
    Code.LENGTH_MISSING: HTTPStatus.LENGTH_REQUIRED,
    Code.BODY_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.NOT_JSON: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Code.SERVER_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


@dataclass
class Problem(Exception):
    """A call that cannot be served: ``detail`` says why and what to do."""

    code: Code
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def respond(self) -> HttpResponse:
        """Return the answer."""
        return problem(STATUS_OF[self.code], self.code.value, self.detail, headers=self.headers)


def problem(status: HTTPStatus, code: str, detail: str, *, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return what went wrong: ``code`` for programs, ``detail`` for the people who read their logs."""
    content = {"type": "about:blank", "title": status.phrase, "status": status.value, "code": code, "detail": detail}
    return JsonResponse(
        content,
        status=status,
        content_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
