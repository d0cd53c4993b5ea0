"""The API as tests call it: with a token of somebody's, as a program does."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client

from outbox.maintenance.groups import make_groups
from outbox.models import ApiToken, TokenScope
from outbox.operate.tokens import make_token

API = "/outbox/api/v1/"
ALL_SCOPES = tuple(TokenScope.values)


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    body: Any
    headers: Any

    @property
    def code(self) -> str:
        """The code of a problem."""
        return str(self.body["code"])


@dataclass(frozen=True)
class Program:
    """A program that calls the API with a token."""

    secret: str
    token: ApiToken
    owner: User

    def get(self, path: str, **query: Any) -> Answer:
        """Ask for something."""
        return self.call("GET", path, query=query)

    def post(self, path: str, body: Any, *, key: str = "", **headers: str) -> Answer:
        """Ask for something to be done, under an ``Idempotency-Key`` if one is given."""
        return self.call("POST", path, body, headers={**headers, **({"Idempotency-Key": key} if key else {})})

    def call(
        self, method: str, path: str, body: Any = None, *, query: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Call as ``method``; ``body`` is sent as JSON, and bytes as they are."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        answer = Client().generic(
            method,
            API + path,
            content,
            "application/json",
            query_params=query or None,
            headers={"Authorization": f"Bearer {self.secret}", **(headers or {})},
        )
        return read(answer)


def read(answer: Any) -> Answer:
    """Return what Django's client was answered, which is JSON whatever happened."""
    assert answer["Content-Type"].startswith(("application/json", "application/problem+json")), answer.content[:300]
    return Answer(answer.status_code, json.loads(answer.content), answer.headers)


def program_of(owner: User, *scopes: str, name: str = "night job", **fields: Any) -> Program:
    """Make a token with these scopes, by default with all, that acts for ``owner``."""
    token, secret = make_token(
        name=name,
        owner=owner,
        scopes=scopes or ALL_SCOPES,
        lasting=timedelta(days=30),
        actor="ada",
        reason="for a test",
    )
    if fields:
        ApiToken.objects.filter(pk=token.pk).update(**fields)
    return Program(secret, token, owner)


def member_of(group: str, *, name: str = "") -> User:
    """Make somebody who is in one of our groups, or in none."""
    make_groups("default")
    person = User.objects.create_user(name or group.rpartition(" ")[2] or "nobody", password="secret")
    groups: Iterable[Group] = Group.objects.filter(name=group)
    person.groups.set(groups)
    return person
