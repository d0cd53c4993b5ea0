"""The API as a shop's server calls it: with the key of a client."""

import json
from dataclasses import dataclass
from typing import Any

from django.test import Client

from awards.models import ApiClient, Scope
from tests.awards.clients.given import a_client

API = "/api/"


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    body: Any
    headers: Any

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and code of a problem."""
        assert self.headers["Content-Type"] == "application/problem+json"
        return self.status, self.body["code"]


@dataclass(frozen=True)
class Shop:
    """A shop's server."""

    client: ApiClient
    key: str

    def get(self, path: str, **query: Any) -> Answer:
        """Ask for something."""
        return self.call("GET", path, query=query)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        """Ask for something to be done."""
        return self.call("POST", path, body, headers=headers)

    def call(self, method: str, path: str, body: Any = None, *, query: Any = None, headers: Any = None) -> Answer:
        """Call as ``method``; the body is sent as JSON."""
        answer = Client(raise_request_exception=False).generic(
            method,
            API + path,
            b"" if body is None else json.dumps(body).encode(),
            "application/json",
            query_params=query or None,
            headers={"Authorization": self.key, **(headers or {})},
        )
        return Answer(answer.status_code, json.loads(answer.content) if answer.content else None, answer.headers)


def a_shop(*scopes: Scope) -> Shop:
    """Make a client with these scopes, by default with all, and return it with its key."""
    return Shop(*a_client(*(scopes or Scope), rate=60_000))
