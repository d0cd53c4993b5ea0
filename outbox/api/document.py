"""The OpenAPI document: what the code says of calls and answers, and what can go wrong with each."""

import copy
from collections.abc import Iterator, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils.translation import override
from ninja.openapi.schema import REF_TEMPLATE
from ninja.operation import Operation

from outbox.api.answers import ProblemOut
from outbox.api.door import BODY_LIMIT, Token
from outbox.api.problems import MEDIA_TYPE, STATUS_OF, Code
from outbox.api.service import ROUTERS, api
from outbox.models import TokenScope

ALWAYS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
WITH_BODY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
WORDS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "The body is no JSON in UTF-8.",
    HTTPStatus.UNAUTHORIZED: "There is no token, or it is unknown, revoked or over, or its owner is inactive.",
    HTTPStatus.FORBIDDEN: "The token has no scope for this, or its owner no permission.",
    HTTPStatus.NOT_FOUND: "There is nothing of this id or name, or no longer.",
    HTTPStatus.CONFLICT: "Somebody was faster, or the state of things does not permit it. `detail` says what to do.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"The body has more than {BODY_LIMIT} bytes.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not said to be `application/json`.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A value is not as this document says; `errors` names each.",
    HTTPStatus.TOO_MANY_REQUESTS: "The token has made as many calls as it may. Go on after `Retry-After` seconds.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database does not answer.",
}
EXAMPLES: Mapping[HTTPStatus, tuple[Code, str]] = {
    HTTPStatus.BAD_REQUEST: (Code.NOT_JSON, "Line 1, column 1: this is no JSON (Expecting value)."),
    HTTPStatus.UNAUTHORIZED: (Code.TOKEN_EXPIRED, "The token is over. Make another."),
    HTTPStatus.FORBIDDEN: (Code.SCOPE_MISSING, "The token is not for this: it takes the scope “messages:retry”."),
    HTTPStatus.NOT_FOUND: (Code.NOT_FOUND, "There is nothing at this address, or no longer."),
    HTTPStatus.CONFLICT: (Code.CONFLICT, "ben retried the message since you looked. Look again, then decide."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (Code.TOO_LARGE, f"The body has more than {BODY_LIMIT} bytes."),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: (Code.NO_JSON_TYPE, "Send JSON, and say so."),
    HTTPStatus.UNPROCESSABLE_ENTITY: (Code.INVALID, "What was sent is not as it must be: body.reason: Field required"),
    HTTPStatus.TOO_MANY_REQUESTS: (Code.TOO_MANY_CALLS, "Too many calls: a token has 300 a minute. Go on in 2 s."),
    HTTPStatus.SERVICE_UNAVAILABLE: (Code.UNAVAILABLE, "The database does not answer. Try again later."),
}
SECONDS = {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds to wait."}
HEADERS: Mapping[HTTPStatus, Mapping[str, Any]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": SECONDS},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": SECONDS},
}


def show_document(request: HttpRequest) -> JsonResponse:
    """Answer with the document; it has no secret, and needs no token."""
    return JsonResponse(build_document(request.path.removesuffix("openapi.json")))


@lru_cache(maxsize=8)
def build_document(prefix: str) -> dict[str, Any]:
    """Return the document of an API whose addresses begin with ``prefix``."""
    with override("en"):
        document: dict[str, Any] = copy.deepcopy(dict(api.get_openapi_schema(path_prefix=prefix)))
        scopes = "\n".join(f"- `{scope.value}`: {scope.label}" for scope in TokenScope)
    schema = ProblemOut.model_json_schema(ref_template=REF_TEMPLATE)
    schema["properties"]["code"]["enum"] = [code.value for code in Code]
    document["components"]["schemas"]["Problem"] = schema
    document["components"]["securitySchemes"]["Token"]["description"] = (
        f"A token of the desk: `Authorization: Bearer mg_…`. Its scopes:\n{scopes}"
    )
    tokens = {operation.view_func.__name__: token for operation, token in _operations()}
    for path, methods in document["paths"].items():
        for method, described_operation in methods.items():
            _complete(described_operation, tokens[described_operation["operationId"]], path=path, method=method)
    return document


def _complete(operation: dict[str, Any], token: Token, *, path: str, method: str) -> None:
    """Add the scope that an operation takes, and what can go wrong."""
    operation["security"] = [{"Token": [token.scope.value]}]
    said = operation.get("description", "")
    operation["description"] = f"{said}\n\nTakes the scope `{token.scope.value}`."
    statuses = {*ALWAYS, *(WITH_BODY if method == "post" else ())}
    if "{" in path or "after" in token.query:
        statuses.add(HTTPStatus.NOT_FOUND)
    answers = {str(status): answer for status, answer in operation["responses"].items()}
    operation["responses"] = answers | {str(int(status)): _refusal(status) for status in sorted(statuses)}


def _refusal(status: HTTPStatus) -> dict[str, Any]:
    code, detail = EXAMPLES[status]
    assert STATUS_OF[code] is status  # noqa: S101  # an example of something else would mislead
    example = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "code": code.value,
        "detail": detail,
    }
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {
        "description": WORDS[status],
        "content": {MEDIA_TYPE: content},
        **({"headers": dict(HEADERS[status])} if status in HEADERS else {}),
    }


def _operations() -> Iterator[tuple[Operation, Token]]:
    for router in ROUTERS:
        for view in router.path_operations.values():
            for operation in view.operations:
                [token] = [each for each in operation.auth_callbacks if isinstance(each, Token)]
                yield operation, token
