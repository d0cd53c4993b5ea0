"""Tokens are made for oneself, with scopes and an end; the secret is kept nowhere; both acts are in the audit."""

from datetime import timedelta

import pytest

from outbox import audit
from outbox.errors import Conflict, NotAllowed, PermissionMissing
from outbox.models import ApiToken, AuditEntry, TokenScope
from outbox.operate.actions import PERMISSIONS, Action
from outbox.operate.tokens import PERMISSIONS_OF, TokenHolder, find_owner, find_token, make_token, revoke_token
from tests.harness.desk import user

pytestmark = pytest.mark.django_db(transaction=True)

GIVEN = {"name": "night job", "scopes": ["messages:read"], "lasting": timedelta(days=30), "reason": "retries at night"}


def test_the_secret_is_given_once_and_kept_nowhere() -> None:
    ann = user("ann", "manage_apitoken")

    token, secret = make_token(owner=ann, actor=ann, **GIVEN)

    found = find_token(secret)
    assert found == token
    assert find_owner(found) == (ann, None)
    assert (token.owner, token.made_by, token.prefix) == ("ann", "ann", secret[:10])
    row = {name: str(value) for name, value in ApiToken.objects.values().get().items()}
    entry = str(AuditEntry.objects.values().get())
    assert not [text for text in (*row.values(), entry) if secret[10:] in text]


def test_two_secrets_are_never_the_same_and_long_enough_not_to_be_guessed() -> None:
    ann = user("ann", "manage_apitoken")

    secrets = {make_token(owner=ann, actor=ann, **GIVEN)[1] for _token in range(5)}

    assert len(secrets) == 5
    assert {len(secret) for secret in secrets} == {46}


def test_whoever_may_not_makes_none_and_nobody_makes_one_for_another() -> None:
    ann, ben = user("ann", "manage_apitoken"), user("ben")

    with pytest.raises(PermissionMissing):
        make_token(owner=ben, actor=ben, **GIVEN)
    with pytest.raises(NotAllowed, match="for yourself"):
        make_token(owner=ben, actor=ann, **GIVEN)
    assert not ApiToken.objects.exists()
    assert make_token(owner=ben, actor="root", **GIVEN)[0].owner == "ben"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"name": "x" * 61},
        {"name": "a\u202eb"},
        {"scopes": []},
        {"scopes": ["everything"]},
        {"scopes": ["messages:read", "everything"]},
        {"lasting": timedelta(0)},
        {"lasting": timedelta(days=91)},
        {"reason": ""},
    ],
    ids=str,
)
def test_a_token_has_a_name_scopes_an_end_and_a_reason(wrong) -> None:
    with pytest.raises(NotAllowed):
        make_token(owner=user("ann"), actor="root", **{**GIVEN, **wrong})

    assert not ApiToken.objects.exists()


def test_what_is_revoked_gives_nothing_and_both_acts_are_in_the_audit() -> None:
    ann, ben = user("ann", "manage_apitoken"), user("ben", "manage_apitoken")
    token, secret = make_token(owner=ann, actor=ann, **GIVEN)

    revoke_token(token.pk, actor=ben, reason="the laptop is lost", origin="10.0.0.1")

    found = find_token(secret)
    assert find_owner(found) == (None, "token_revoked")
    entries = AuditEntry.objects.order_by("pk")
    assert [(entry.action, entry.actor, entry.subject) for entry in entries] == [
        ("token_make", "ann", str(token)),
        ("token_revoke", "ben", str(token)),
    ]
    assert audit.verify_chain() is None
    with pytest.raises(Conflict, match="ben has revoked it already"):
        revoke_token(token.pk, actor=ann, reason="again")
    with pytest.raises(Conflict):
        revoke_token(2_000_000_000, actor=ann, reason="nothing")


def test_revoking_takes_the_permission() -> None:
    token, _secret = make_token(owner=user("ann"), actor="root", **GIVEN)

    with pytest.raises(PermissionMissing):
        revoke_token(token.pk, actor=user("ben"), reason="no matter")


def test_every_permission_belongs_to_one_scope_and_every_scope_gives_some() -> None:
    every = [permission for covered in PERMISSIONS_OF.values() for permission in covered]

    assert set(PERMISSIONS_OF) == set(TokenScope)
    assert len(every) == len(set(every))
    assert PERMISSIONS[Action.TOKEN_MAKE] not in every
    assert PERMISSIONS[Action.BULK_APPROVE] not in every


def test_a_holder_may_do_what_the_scopes_cover_and_the_owner_may() -> None:
    ann = user("ann", "retry_message", "discard_message")
    token, _secret = make_token(owner=ann, actor="root", **{**GIVEN, "scopes": ["messages:retry", "messages:read"]})

    holder = TokenHolder(token, ann, "10.0.0.1")

    assert holder.has_perm("outbox.retry_message")
    assert not holder.has_perm("outbox.discard_message")
    assert not holder.has_perm("outbox.view_message")
    assert holder.get_username() == "ann"
    assert len(TokenHolder(token, ann, "x" * 500).origin) == 100
