"""The desk as tests meet it: two consumers of its own, messages, failure groups, people, and fixtures for all of it."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from outbox import consumer, registry
from outbox.broker import dispatcher
from outbox.models import FailureCount, FailureGroup
from outbox.policy import Backoff
from tests.harness.rows import Rows

LIMIT = 3
ISSUE, ORDER = "desk.issue", "desk.order"
TOPIC = "desk.won"

wins = Rows(
    ISSUE,
    topic=TOPIC,
    attempt_limit=LIMIT,
    payload={"award": 17, "winner": "ada@example.com", "lines": [1, None]},
    age=timedelta(minutes=6),
    key="1",
)
"""The messages that the desk shows in these tests."""


def failure_group(name: str = "jam", *, failures: int = 1, stuck: int = 0, **fields: Any) -> FailureGroup:
    """Make a failure group with so many failed attempts, in two slots, and so many messages that are stuck."""
    fingerprint = name.ljust(64, "-")
    values = {"consumer": ISSUE, "exception": "ValueError", "place": "shop/till.py:open", "title": f"the {name} jams"}
    made = FailureGroup.objects.create(fingerprint=fingerprint, **{**values, **fields})
    now = timezone.now()
    made.counts.create(slot=1, count=failures - failures // 2, last_at=now - timedelta(hours=1))
    FailureCount.objects.create(group=made, slot=2, count=failures // 2, last_at=now)
    for n in range(stuck):
        wins.failed(f"{name} {n}", consumer=made.consumer, failure=fingerprint)
    return made


def user(name: str, *permissions: str, **fields: Any) -> User:
    """Make somebody who may enter the admin, and there what is named."""
    person = User.objects.create_user(name, password="secret", is_staff=True, **fields)
    person.user_permissions.set(Permission.objects.filter(content_type__app_label="outbox", codename__in=permissions))
    return person


def _nothing(message: object) -> None:
    """Consume."""


@pytest.fixture(autouse=True)
def consumers() -> Iterator[None]:
    retry = Backoff(limit=LIMIT)
    consumer(TOPIC, name=ISSUE, retry=retry, deadline=timedelta(days=2))(_nothing)
    consumer(TOPIC, name=ORDER, retry=retry, atomic=False)(_nothing)
    yield
    registry.forget_consumer(ISSUE)
    registry.forget_consumer(ORDER)


@pytest.fixture(autouse=True)
def hints() -> Iterator[list[dict[str, list[int]]]]:
    given: list[dict[str, list[int]]] = []
    with mock.patch.object(dispatcher, "dispatch", given.append):
        yield given


@pytest.fixture(autouse=True)
def plain_static_files(settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def lead(db: None) -> User:
    return user(
        "lead",
        "view_message",
        "view_payload",
        "retry_message",
        "resolve_message",
        "discard_message",
        "erase_message",
        "withdraw_message",
        "hurry_message",
        "replay_message",
        "note_message",
        "save_view",
        "view_consumerstate",
        "view_heartbeat",
        "view_audit",
        "pause_consumer",
        "view_failuregroup",
        "change_failuregroup",
    )


@pytest.fixture
def viewer(db: None) -> User:
    return user("viewer", "view_message")


@pytest.fixture
def desk(client: Client, lead: User) -> Client:
    client.force_login(lead)
    return client


def page_of(row: Model) -> str:
    """Return the address of a row's page at the desk."""
    return reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk])


def text_of(answer: Any) -> str:
    """Return what a person reads of an answer: without markup, with single spaces."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())))
