"""The OpenAPI document: what the code says of calls and answers, and what can go wrong with each."""

import copy
from collections.abc import Iterator, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils.translation import override
from ninja import Schema
from ninja.openapi.schema import REF_TEMPLATE
from ninja.operation import Operation
from pydantic import Field

from awards.models import Scope
from awards.views.bodies import BODY_LIMIT
from awards.views.keys import Key
from awards.views.problems import MEDIA_TYPE
from awards.views.service import ROUTERS, api

ALWAYS = (HTTPStatus.SERVICE_UNAVAILABLE,)
WITH_KEY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
)
WITH_BODY = (
    HTTPStatus.CONFLICT,
    HTTPStatus.LENGTH_REQUIRED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
OF_ONE: Mapping[str, tuple[HTTPStatus, ...]] = {
    "draw": (HTTPStatus.UNPROCESSABLE_ENTITY,),
    "claim_award": (HTTPStatus.UNPROCESSABLE_ENTITY,),
}
"""What can go wrong with one call alone, by its name."""
WORDS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "The call is not as this document says: `code` and `detail` say what is wrong with it.",
    HTTPStatus.UNAUTHORIZED: "There is no key, or it is unknown or revoked.",
    HTTPStatus.FORBIDDEN: "The key is not for this; or the person is blocked, or refused by a check of the project's.",
    HTTPStatus.NOT_FOUND: "There is nothing of this name or id.",
    HTTPStatus.CONFLICT: "The state of things does not permit it. The same call may be permitted later, or never.",
    HTTPStatus.LENGTH_REQUIRED: "The body came in chunks.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"The body has more than {BODY_LIMIT} bytes.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not said to be `application/json` in UTF-8.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The Idempotency-Key was used for other data; or nobody delivers to the address.",
    HTTPStatus.TOO_MANY_REQUESTS: "The client has made all its calls of this minute. Go on after `Retry-After`.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database, or a check of the project's, does not answer. Send it again later.",
}
EXAMPLES: Mapping[HTTPStatus, tuple[str, str]] = {
    HTTPStatus.BAD_REQUEST: ("wrong_body", "What was sent is not as it must be: person: Field required"),
    HTTPStatus.UNAUTHORIZED: ("key_revoked", "This key was revoked. Ask for a new one."),
    HTTPStatus.FORBIDDEN: ("scope_missing", "Your key does not allow this."),
    HTTPStatus.NOT_FOUND: ("unknown_campaign", "There is no campaign of that name."),
    HTTPStatus.CONFLICT: ("campaign_over", "This campaign is over."),
    HTTPStatus.LENGTH_REQUIRED: ("length_missing", "Send the body with its Content-Length, not in chunks."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("body_too_large", f"The body may have at most {BODY_LIMIT} bytes."),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ("not_json", "Send the body as application/json, in UTF-8."),
    HTTPStatus.UNPROCESSABLE_ENTITY: ("idempotency_key_reused", "This request has been used with other data."),
    HTTPStatus.TOO_MANY_REQUESTS: ("too_many_requests", "You have made all the calls of this minute."),
    HTTPStatus.SERVICE_UNAVAILABLE: ("unavailable", "The database does not answer. Send the same request later."),
}
SECONDS = {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds to wait."}
HEADERS: Mapping[HTTPStatus, Mapping[str, Any]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": SECONDS},
}


class ProblemOut(Schema):
    """What went wrong (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str
    status: int
    code: str = Field(description="For programs. None changes its meaning; a project's own check may add some.")
    detail: str = Field(description="Why, and what to do, in plain words.")


def show_document(request: HttpRequest) -> JsonResponse:
    """Answer with the document; it has no secret, and needs no key."""
    return JsonResponse(build_document(request.path.removesuffix("openapi.json")))


@lru_cache(maxsize=8)
def build_document(prefix: str) -> dict[str, Any]:
    """Return the document of an API whose addresses begin with ``prefix``."""
    with override("en"):
        document: dict[str, Any] = copy.deepcopy(dict(api.get_openapi_schema(path_prefix=prefix)))
        scopes = "\n".join(f"- `{scope.value}`: {scope.label}" for scope in Scope)
    document["components"]["schemas"]["Problem"] = ProblemOut.model_json_schema(ref_template=REF_TEMPLATE)
    document["components"]["securitySchemes"] = {
        "Key": {
            "type": "http",
            "scheme": "bearer",
            "description": f"The key of a client: `Authorization: Bearer mga_…`. Its scopes:\n{scopes}",
        }
    }
    keys = {operation.view_func.__name__: key for operation, key in _operations()}
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            _complete(described, keys[described["operationId"]], path=path, method=method)
    return document


def _complete(operation: dict[str, Any], key: Key | None, *, path: str, method: str) -> None:
    """Add the scope that an operation takes, and what can go wrong."""
    statuses = {*ALWAYS, *(WITH_BODY if method == "post" else ()), *OF_ONE.get(operation["operationId"], ())}
    if key is not None:
        statuses |= {*WITH_KEY}
        if key.query:
            statuses.add(HTTPStatus.NOT_FOUND)
        operation["security"] = [{"Key": [key.scope.value]}, *([{}] if key.takes_anybody else [])]
        said = operation.get("description", "")
        operation["description"] = f"{said}\n\nTakes the scope `{key.scope.value}`."
    if "{" in path:
        statuses.add(HTTPStatus.NOT_FOUND)
    answers = {str(status): answer for status, answer in operation["responses"].items()}
    operation["responses"] = answers | {str(int(status)): _refusal(status) for status in sorted(statuses)}


def _refusal(status: HTTPStatus) -> dict[str, Any]:
    code, detail = EXAMPLES[status]
    example = {"type": "about:blank", "title": status.phrase, "status": status.value, "code": code, "detail": detail}
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {
        "description": WORDS[status],
        "content": {MEDIA_TYPE: content},
        **({"headers": dict(HEADERS[status])} if status in HEADERS else {}),
    }


def _operations() -> Iterator[tuple[Operation, Key | None]]:
    for router in ROUTERS:
        for view in router.path_operations.values():
            for operation in view.operations:
                yield operation, next((each for each in operation.auth_callbacks if isinstance(each, Key)), None)
