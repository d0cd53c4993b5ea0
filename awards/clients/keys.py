"""The keys of clients: made once, shown once, kept as a hash, and revoked for good."""

import hashlib
import secrets
from collections.abc import Collection

from django.db import router, transaction

from awards.errors import KeyMissing, KeyRevoked, KeyUnknown, ScopeMissing, TooManyCalls
from awards.models import ApiClient, Scope
from awards.models.client import KEY_PREFIX_LENGTH, USUAL_RATE

MARK = "mga_"
"""What every key begins with, so that it is known for one where somebody has published it by mistake."""
SCHEME = "Bearer "


def make_client(name: str, *, scopes: Collection[Scope], actor: str, rate: int = USUAL_RATE) -> tuple[ApiClient, str]:
    """Make a client and return it with its key, which is nowhere else and cannot be shown again."""
    key = MARK + secrets.token_urlsafe(32)
    client = ApiClient.objects.create(
        name=name,
        prefix=key[:KEY_PREFIX_LENGTH],
        digest=_digest(key),
        scopes=sorted(scope.value for scope in scopes),
        rate=rate,
        made_by=actor,
    )
    return client, key


def client_of(header: str, scope: Scope) -> ApiClient:
    """Return the client whose key is in an ``Authorization`` header, with this call counted.

    Raises ``KeyMissing``, ``KeyUnknown``, ``KeyRevoked``, ``ScopeMissing`` or ``TooManyCalls``.
    """
    key = header.removeprefix(SCHEME).strip()
    if not header.startswith(SCHEME) or not key:
        raise KeyMissing("there is no key")
    client = ApiClient.objects.filter(digest=_digest(key)).first()
    if client is None:
        raise KeyUnknown("no client has this key")
    if client.revoked_at is not None:
        raise KeyRevoked(f"the key of {client.name} was revoked")
    if not client.may(scope):
        raise ScopeMissing(f"{client.name} may not {scope.value}")
    with transaction.atomic(using=router.db_for_write(ApiClient)):
        turn = ApiClient.objects.take_turn(client)
    if not turn:
        client.refresh_from_db(fields=["revoked_at"])
        raise KeyRevoked("revoked just now") if client.revoked_at else TooManyCalls(f"{client.rate} calls a minute")
    return client


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()
