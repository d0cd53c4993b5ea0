"""What goes wrong with a call, as RFC 9457 has it: a status, a code for programs, and plain words for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from django.http import JsonResponse
from django.utils.translation import gettext as _

MEDIA_TYPE = "application/problem+json"


class Code(StrEnum):
    """What went wrong. The codes are part of the API: none changes its meaning."""

    NOT_JSON = "not_json"
    TOKEN_MISSING = "token_missing"  # noqa: S105  # codes, no secrets; so are the next ones
    TOKEN_UNKNOWN = "token_unknown"  # noqa: S105
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    TOKEN_OWNER_INACTIVE = "token_owner_inactive"  # noqa: S105
    SCOPE_MISSING = "scope_missing"
    PERMISSION_MISSING = "permission_missing"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    NOT_ALLOWED = "not_allowed"
    EVIDENCE_TAKEN = "evidence_taken"
    TOO_LARGE = "too_large"
    NO_JSON_TYPE = "unsupported_media_type"
    INVALID = "invalid"
    KEY_REUSED = "idempotency_key_reused"
    TOO_MANY_CALLS = "too_many_calls"
    INTERNAL = "internal_error"
    UNAVAILABLE = "unavailable"


STATUS_OF: Mapping[Code, HTTPStatus] = {
    Code.NOT_JSON: HTTPStatus.BAD_REQUEST,
    Code.TOKEN_MISSING: HTTPStatus.UNAUTHORIZED,
    Code.TOKEN_UNKNOWN: HTTPStatus.UNAUTHORIZED,
    Code.TOKEN_REVOKED: HTTPStatus.UNAUTHORIZED,
    Code.TOKEN_EXPIRED: HTTPStatus.UNAUTHORIZED,
    Code.TOKEN_OWNER_INACTIVE: HTTPStatus.UNAUTHORIZED,
    Code.SCOPE_MISSING: HTTPStatus.FORBIDDEN,
    Code.PERMISSION_MISSING: HTTPStatus.FORBIDDEN,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    Code.CONFLICT: HTTPStatus.CONFLICT,
    Code.NOT_ALLOWED: HTTPStatus.CONFLICT,
    Code.EVIDENCE_TAKEN: HTTPStatus.CONFLICT,
    Code.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.NO_JSON_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Code.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.KEY_REUSED: HTTPStatus.CONFLICT,
    Code.TOO_MANY_CALLS: HTTPStatus.TOO_MANY_REQUESTS,
    Code.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="outbox"'}


@dataclass
class Problem(Exception):
    """A call that is refused: ``detail`` says why and what to do, ``more`` are members of its own."""

    code: Code
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def respond(self) -> JsonResponse:
        """Return the answer, which nobody keeps."""
        status = STATUS_OF[self.code]
        content = {
            "type": "about:blank",
            "title": status.phrase,
            "status": status.value,
            "code": self.code.value,
            "detail": self.detail,
            **self.more,
        }
        challenge = CHALLENGE if status is HTTPStatus.UNAUTHORIZED else {}
        headers = {"Cache-Control": "no-store", **challenge, **self.headers}
        return JsonResponse(content, status=status, content_type=MEDIA_TYPE, headers=headers)


def not_found() -> Problem:
    """Return what is said of an address under which nothing is, or no longer."""
    return Problem(Code.NOT_FOUND, _("There is nothing at this address, or no longer. Settled messages are pruned."))


def invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Return what is said of values that are not as the document of the API has them, one by one."""
    found = [{"where": _where(error["loc"]), "message": str(error["msg"])} for error in errors]
    first = found[0] if found else {"where": "", "message": ""}
    detail = _("What was sent is not as it must be: %(where)s: %(message)s") % first
    return Problem(Code.INVALID, detail, more={"errors": found})


def _where(place: Sequence[Any]) -> str:
    """Return where a value stands; the library names the body twice."""
    return ".".join(map(str, place[1:] if place[:2] == ("body", "body") else place))
