"""Who comes in: the token of a call, what it is for, how often it calls, and what it has brought.

In this order, so that nobody learns more than they may: the token, the number of its calls, its scope and its owner's
permission, and only then the parameters and the body. A session cookie is never looked at.
"""

import json
import logging
import math
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, UnreadablePostError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from ninja.security import HttpBearer

from outbox.api.problems import STATUS_OF, Code, Problem, invalid
from outbox.conf import conf
from outbox.errors import NotAllowed
from outbox.models import ApiToken, TokenScope
from outbox.models.api import WINDOW
from outbox.operate.json_texts import read_json
from outbox.operate.origin import origin_of
from outbox.operate.tokens import (
    PERMISSIONS_OF,
    Invalid,
    TokenHolder,
    find_owner,
    find_token,
    note_refusal,
)

log = logging.getLogger("outbox.api")

BODY_LIMIT: Final = 2_500_000
"""Bytes that a body may have; a list of 200,000 ids fits in."""
INVALID_WORDS = {
    Invalid.REVOKED: gettext_lazy("The token was revoked. Make another."),
    Invalid.EXPIRED: gettext_lazy("The token is over. Make another."),
    Invalid.INACTIVE: gettext_lazy("Whoever the token acts for is no longer active here, or not there."),
}
NOTED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
"""Refusals that the audit has, where the token is one of ours."""


class Token(HttpBearer):
    """Lets in who may do what ``permission`` names, and reads what they have brought."""

    def __init__(self, permission: str, *, query: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.permission = permission
        self.query = query
        """The names that the address may have after its question mark."""

    @property
    def scope(self) -> TokenScope:
        """The scope that covers the permission; every address has one."""
        scope = scope_of(self.permission)
        assert scope is not None  # noqa: S101  # an address that no token opens is a mistake of ours
        return scope

    def __call__(self, request: HttpRequest) -> TokenHolder:
        """Return who calls, or raise the ``Problem``."""
        holder = super().__call__(request)
        if holder is None:
            raise Problem(Code.TOKEN_MISSING, _("Send a token: the header “Authorization: Bearer mg_…”."))
        found: TokenHolder = holder
        if unknown := sorted(set(request.GET) - set(self.query)):
            raise invalid([{"loc": ("query", unknown[0][:50]), "msg": "There is no such parameter"}])
        if request.method == "POST":
            request.parsed_body = _read_body(request)  # type: ignore[attr-defined]  # for the parser
        return found

    def authenticate(self, request: HttpRequest, token: str) -> TokenHolder:
        """Return the holder of the secret, or raise the ``Problem``."""
        address = origin_of(request)
        found = find_token(token.strip())
        if found is None:
            log.warning("a call with an unknown token from %.60r", address)
            raise Problem(Code.TOKEN_UNKNOWN, _("There is no such token."))
        try:
            return self._let_in(found, address)
        except Problem as problem:
            note(problem, request, found, address)
            raise

    def _let_in(self, token: ApiToken, address: str) -> TokenHolder:
        owner, why_not = find_owner(token)
        if owner is None or why_not is not None:
            why_not = why_not or Invalid.INACTIVE
            raise Problem(Code(why_not.value), str(INVALID_WORDS[why_not]))
        if not ApiToken.objects.take_turn(token, calls=conf().api_rate):
            raise _too_many(token)
        holder = TokenHolder(token, owner, address)
        require(holder, self.permission)
        return holder


def holder_of(request: HttpRequest) -> TokenHolder:
    """Return who calls, as the door has let them in."""
    holder: TokenHolder = request.auth  # type: ignore[attr-defined]  # put there by django-ninja
    return holder


def by(request: HttpRequest) -> dict[str, Any]:
    """Return who acts, and from where, as ``operate`` takes it."""
    holder = holder_of(request)
    return {"actor": holder, "origin": holder.origin}


def require(holder: TokenHolder, permission: str) -> None:
    """Raise the ``Problem`` of a token that is not for this, or of an owner who may not do it."""
    if not holder.covers(permission):
        scope = scope_of(permission)
        if scope is None:
            raise Problem(Code.SCOPE_MISSING, _("No token is for this: it is done at the desk, or by a command."))
        words = {"scope": scope.value}
        raise Problem(
            Code.SCOPE_MISSING, _("The token is not for this: it takes the scope “%(scope)s”.") % words, more=words
        )
    if not holder.user.has_perm(permission):
        words = {"permission": permission}
        raise Problem(
            Code.PERMISSION_MISSING,
            _("Whoever the token acts for may not do this: it takes the permission “%(permission)s”.") % words,
            more=words,
        )


def note(problem: Problem, request: HttpRequest, token: ApiToken, address: str) -> None:
    """Note a refusal in the audit, if it is one that somebody may want to look into."""
    if STATUS_OF[problem.code] in NOTED:
        route = request.resolver_match.route if request.resolver_match else ""
        call = f"{request.method} {route}"[:200]
        lacks = str(problem.more.get("permission") or problem.more.get("scope") or "")
        note_refusal(token, address=address, call=call, path=request.path, code=problem.code.value, lacks=lacks)


def scope_of(permission: str) -> TokenScope | None:
    """Return the scope that covers a permission; None if the API does nothing that takes it, as edit a payload."""
    return next((scope for scope, covered in PERMISSIONS_OF.items() if permission in covered), None)


def _too_many(token: ApiToken) -> Problem:
    rate = conf().api_rate
    free_in = ApiToken.objects.full_in(token) + WINDOW / rate - WINDOW
    wait = min(max(math.ceil(free_in.total_seconds()), 1), 60)
    detail = _("Too many calls: a token has %(rate)d a minute. Go on in %(seconds)d s.")
    return Problem(Code.TOO_MANY_CALLS, detail % {"rate": rate, "seconds": wait}, headers={"Retry-After": str(wait)})


def _read_body(request: HttpRequest) -> Any:
    """Return the JSON that was sent; no call takes anything else."""
    length = str(request.META.get("CONTENT_LENGTH") or "")
    if length.isdecimal() and (len(length) > 18 or int(length) > BODY_LIMIT):
        raise _too_large()
    if request.content_type != "application/json":
        raise Problem(Code.NO_JSON_TYPE, _("Send JSON, and say so: “Content-Type: application/json”."))
    try:
        body = request.body
    except RequestDataTooBig as error:
        raise _too_large() from error
    except UnreadablePostError as error:
        raise Problem(Code.NOT_JSON, _("The body broke off.")) from error
    if len(body) > BODY_LIMIT:
        raise _too_large()
    try:
        found = _with_whole_numbers(read_json(body.decode()))
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()  # half a character, or no number
    except UnicodeError as error:
        raise Problem(Code.NOT_JSON, _("The body is no UTF-8.")) from error
    except (NotAllowed, ValueError, RecursionError) as refusal:
        raise Problem(Code.NOT_JSON, str(refusal)) from refusal
    return found


def _with_whole_numbers(value: Any) -> Any:
    """Return JSON with 7.0 read as 7, which is the same number there."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_with_whole_numbers(each) for each in value]
        case dict():
            return {name: _with_whole_numbers(each) for name, each in value.items()}
    return value


def _too_large() -> Problem:
    return Problem(Code.TOO_LARGE, _("The body has more than %(limit)d bytes.") % {"limit": BODY_LIMIT})
