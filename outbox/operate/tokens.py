"""The tokens by which programs act for a person: made, revoked, recognised, and what each lets its owner do.

The secret has 256 random bits, so a plain SHA-256 of it cannot be guessed back. It is shown once and never kept.
"""

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Protocol

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox.conf import conf
from outbox.errors import Conflict, NotAllowed
from outbox.models import ApiToken, TokenScope
from outbox.models.api import PREFIX_LENGTH, TOKEN_NAME_LENGTH
from outbox.operate import text_checks
from outbox.operate.actions import API_REFUSED, Action
from outbox.operate.denials import append_refusal, noted_if_refused
from outbox.operate.operator_action import Actor, OperatorAction, snapshot
from outbox.operate.wording import format_datetime

BEGINNING = "mg_"
SECRET = re.compile(rf"{BEGINNING}[A-Za-z0-9_-]{{43}}")
AUDITED_TOKEN = ("name", "owner", "scopes", "expires_at", "revoked_at", "revoked_by")
"""What the audit keeps of a token with each act."""
REFUSED_AGAIN = timedelta(minutes=10)
"""How often at most it is noted that the same call of the same token was refused for the same reason."""
ORIGIN_LENGTH = 100
BY_TOKEN = "API token “"  # noqa: S105  # no secret
"""How the origin of what a program has done begins."""

PERMISSIONS_OF: Mapping[TokenScope, frozenset[str]] = {
    TokenScope.READ_MESSAGES: frozenset({"outbox.view_message", "outbox.view_failuregroup"}),
    TokenScope.RETRY_MESSAGES: frozenset({"outbox.retry_message"}),
    TokenScope.CLOSE_MESSAGES: frozenset(
        {"outbox.resolve_message", "outbox.discard_message", "outbox.withdraw_message"}
    ),
    TokenScope.READ_PAYLOADS: frozenset({"outbox.view_payload"}),
    TokenScope.READ_OPERATIONS: frozenset({"outbox.view_bulkoperation"}),
    TokenScope.RUN_OPERATIONS: frozenset({"outbox.bulk_message"}),
    TokenScope.READ_CONSUMERS: frozenset({"outbox.view_consumerstate"}),
    TokenScope.PAUSE_CONSUMERS: frozenset({"outbox.pause_consumer"}),
}
"""The permissions of its owner that a token with the scope may use, if the owner has them."""


class Owner(Protocol):
    """What is needed of the Django user for whom a token acts."""

    pk: Any
    is_active: bool

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Tell whether the user has the permission ``app.codename``."""

    def get_username(self) -> str:
        """Return the name that the audit keeps."""


class Invalid(StrEnum):
    """Why a token that there is gives nothing."""

    REVOKED = "token_revoked"
    EXPIRED = "token_expired"
    INACTIVE = "token_owner_inactive"


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """The owner of a token, as far as the token goes: an ``operate.Person`` whose acts name the token they came by."""

    token: ApiToken
    user: Owner
    address: str

    def has_perm(self, perm: str, _obj: Any = None) -> bool:
        """Tell whether a scope of the token covers the permission, and its owner has it now."""
        return self.covers(perm) and self.user.has_perm(perm)

    def get_username(self) -> str:
        """Return the owner's name: a second person is another person, whatever each of them acts by."""
        return self.user.get_username()

    def covers(self, perm: str) -> bool:
        """Tell whether a scope of the token covers the permission."""
        known = (TokenScope(scope) for scope in self.token.scopes if scope in TokenScope.values)
        return any(perm in PERMISSIONS_OF[scope] for scope in known)

    @property
    def origin(self) -> str:
        """From where it acts, as the audit keeps it: which token, and the address of the call."""
        return origin_of_token(self.token, self.address)


@noted_if_refused(Action.TOKEN_MAKE, name="API token {}".format)
def make_token(
    name: str,
    *,
    owner: Owner,
    scopes: Collection[str],
    lasting: timedelta,
    actor: Actor,
    reason: str,
    origin: str = "",
) -> tuple[ApiToken, str]:
    """Make a token that acts for ``owner`` and is valid for ``lasting``; return it and its secret, which nobody keeps.

    Whoever is a person makes tokens for themselves. Raises ``NotAllowed`` for another owner, without scopes, and for a
    longer time than ``API_TOKEN_LIFE``.
    """
    action = OperatorAction(Action.TOKEN_MAKE, actor, reason, origin)
    action.check()
    if not isinstance(actor, str) and getattr(actor, "pk", None) != owner.pk:
        raise NotAllowed(_("You make tokens for yourself. What acts for somebody else is made by a command."))
    name = text_checks.check_text(name, limit=TOKEN_NAME_LENGTH)
    if not name:
        raise NotAllowed(_("Give the token a name, by which the audit tells it from others."))
    wanted = [scope.value for scope in TokenScope if scope in scopes]
    if not wanted or set(scopes) - set(wanted):
        raise NotAllowed(_("Say what the token is for: one or more of %(scopes)s.") % {"scopes": ", ".join(TokenScope)})
    if not timedelta(0) < lasting <= conf().api_token_life:
        raise NotAllowed(
            _("A token is valid for at most %(days)d days (API_TOKEN_LIFE).") % {"days": conf().api_token_life.days}
        )
    secret = BEGINNING + secrets.token_urlsafe(32)
    with transaction.atomic(using=conf().database):
        made = ApiToken(
            name=name,
            owner=owner.get_username()[:150],
            owner_key=str(owner.pk),
            prefix=secret[:PREFIX_LENGTH],
            digest=digest_of(secret),
            scopes=wanted,
            made_by=action.actor_name,
            expires_at=Now() + lasting,
        )
        made.save(force_insert=True, using=conf().database)
        made.refresh_from_db()
        action.record(str(made), before={}, after=snapshot(made, AUDITED_TOKEN))
    return made, secret


@noted_if_refused(Action.TOKEN_REVOKE, name="API token {}".format)
def revoke_token(token_id: int, *, actor: Actor, reason: str, origin: str = "") -> ApiToken:
    """Let a token give nothing from now on. Raises ``Conflict`` if it was revoked already, or is not there."""
    action = OperatorAction(Action.TOKEN_REVOKE, actor, reason, origin)
    action.check()
    token = ApiToken.objects.filter(pk=token_id).first()
    if token is None:
        raise Conflict(_("The token is not there."))
    return action.change(
        token,
        ApiToken.objects.filter(pk=token_id, revoked_at__isnull=True),
        audited=AUDITED_TOKEN,
        subject=str(token),
        conflict=lambda: _revoked_already(token_id),
        revoked_at=Now(),
        revoked_by=action.actor_name,
    )


def find_token(secret: str) -> ApiToken | None:
    """Return the token with this secret, valid or not, for ``find_owner``; None if there is none."""
    if SECRET.fullmatch(secret) is None:
        return None
    return ApiToken.objects.with_time().filter(digest=digest_of(secret)).first()


def find_owner(token: ApiToken) -> tuple[Owner | None, Invalid | None]:
    """Return for whom a token that was found acts, or why it gives nothing."""
    if token.revoked_at is not None:
        return None, Invalid.REVOKED
    if not token.is_in_time:
        return None, Invalid.EXPIRED
    # A key of another kind than the table's is nobody's: the user model may have been changed since.
    try:
        user: Any = get_user_model()._default_manager.filter(pk=token.owner_key).first()
    except (ValueError, TypeError, ValidationError):
        user = None
    if user is None or not user.is_active:
        return None, Invalid.INACTIVE
    return user, None


def origin_of_token(token: ApiToken, address: str) -> str:
    """Return from where a call comes, as the audit keeps it."""
    return f"{BY_TOKEN}{token.name}” {token.prefix}, {address}"[:ORIGIN_LENGTH]


def is_by_token(origin: str) -> bool:
    """Tell whether an origin in the audit is a token, so that a program has acted for the person."""
    return origin.startswith(BY_TOKEN)


def note_refusal(token: ApiToken, *, address: str, call: str, path: str, code: str, lacks: str = "") -> None:
    """Note in the audit that a call was refused, at most once in ``REFUSED_AGAIN`` for token, call and code.

    ``lacks`` is the permission or the scope that it takes. Each entry waits for others who append, and a program that
    is refused asks again and again.
    """
    append_refusal(
        token.owner,
        API_REFUSED,
        f"{token}: {call}: {code}",
        before={},
        after={"path": path[:200]},
        reason=lacks,
        origin=origin_of_token(token, address),
        once_in=REFUSED_AGAIN,
    )


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text, as 64 hex digits."""
    return sha256(text.encode()).hexdigest()


def _revoked_already(token_id: int) -> Conflict:
    token = ApiToken.objects.get(pk=token_id)
    if token.revoked_at is None:
        return Conflict(_("The token is not there."))
    return Conflict(
        _("%(actor)s has revoked it already (%(at)s).")
        % {"actor": token.revoked_by, "at": format_datetime(token.revoked_at)}
    )
