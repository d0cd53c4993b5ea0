"""API tokens at the desk: made for oneself, shown once, revoked; for those who may."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from outbox.models import ApiToken, AuditEntry
from outbox.operate.tokens import find_token
from tests.harness.api import member_of, program_of
from tests.harness.desk import page_of, text_of, user

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/outbox/apitoken/"
MAKE = reverse("admin:outbox_apitoken_make")
GIVEN: dict[str, Any] = {"name": "night job", "scopes": ["messages:read"], "days": "30", "reason": "retries at night"}


@pytest.fixture
def ann(client: Client) -> User:
    person = user("ann", "view_apitoken", "manage_apitoken")
    client.force_login(person)
    return person


def test_a_token_is_made_for_oneself_and_shown_this_once(client: Client, ann: User) -> None:
    assert "Make the token" in text_of(client.get(MAKE))

    answer = client.post(MAKE, GIVEN)

    [secret] = re.findall(r"mg_[\w-]{43}", answer.content.decode())
    token = find_token(secret)
    assert token is not None
    assert (token.owner, token.made_by, token.scopes) == ("ann", "ann", ["messages:read"])
    assert "no-store" in answer["Cache-Control"]
    for path in (LIST, page_of(token), MAKE):
        assert secret not in client.get(path).content.decode()
    assert AuditEntry.objects.get().action == "token_make"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"days": "91"}, "At most 90."),
        ({"days": "0"}, "greater than or equal to 1"),
        ({"days": "9" * 5_000}, ""),
        ({"scopes": []}, "This field is required."),
        ({"scopes": ["everything"]}, "everything is not one of the available choices"),
        ({"name": "a\u202eb"}, "U+202E"),
        ({"reason": " "}, "This field is required."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(client: Client, ann: User, wrong: dict[str, Any], said: str) -> None:
    answer = client.post(MAKE, {**GIVEN, **wrong})

    assert answer.status_code == 200
    assert said in text_of(answer)
    assert not ApiToken.objects.exists()


def test_a_token_is_revoked_with_a_reason_and_both_acts_are_on_its_page(client: Client, ann: User) -> None:
    token = program_of(user("ben")).token

    answer = client.post(page_of(token), {"act": "token_revoke", "reason": "the laptop is lost"}, follow=True)

    said = text_of(answer)
    assert "Revoked: nobody gets in with it any more." in said
    assert "ann revoked the API token" in said
    assert "ada made the API token" in said
    token.refresh_from_db()
    assert token.revoked_by == "ann"
    assert client.post(page_of(token), {"act": "token_revoke", "reason": "again"}).status_code == 200
    assert AuditEntry.objects.filter(action="token_revoke").count() == 1


def test_who_may_only_look_is_told_why_and_changes_nothing(client: Client) -> None:
    token = program_of(user("ben")).token
    auditor = member_of("Outbox auditor")
    auditor.is_staff = True
    auditor.save()
    client.force_login(auditor)

    assert "night job" in text_of(client.get(LIST))
    assert "outbox.manage_apitoken" in text_of(client.get(page_of(token)))
    assert client.get(MAKE).status_code == 403
    refused = client.post(MAKE, GIVEN)
    assert (refused.status_code, "outbox.manage_apitoken" in text_of(refused)) == (403, True)
    assert "outbox.manage_apitoken" in text_of(client.post(page_of(token), {"act": "token_revoke", "reason": "x"}))
    token.refresh_from_db()
    assert (token.revoked_at, ApiToken.objects.count()) == (None, 1)


def test_who_may_not_look_sees_none(client: Client) -> None:
    token = program_of(user("ben")).token
    client.force_login(user("viewer", "view_message", "manage_apitoken"))

    for path in (LIST, page_of(token), MAKE):
        assert client.get(path).status_code == 403


@pytest.mark.parametrize("id", ["0", "2000000000", "x", "9" * 5_000, "%00"])
def test_an_address_of_nothing_leads_to_the_list(client: Client, ann: User, id: str) -> None:
    assert client.get(f"{LIST}{id}/change/").status_code == 302


def test_the_list_says_how_each_stands(client: Client, ann: User) -> None:
    program_of(ann, name="first")
    program_of(ann, name="second", expires_at=Now() - timedelta(days=1))
    program_of(ann, name="third", revoked_at=Now())

    said = text_of(client.get(LIST))

    assert re.findall(r"\b(?:revoked|over|valid)\b(?! until)", said)[:3] == ["revoked", "over", "valid"]
