"""Two consumers of the desk's own, dispatcher's hints caught, and plain static files."""

from collections.abc import Iterator
from datetime import timedelta
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.test import Client

from outbox import registry
from outbox.broker import dispatcher
from outbox.policy import Backoff
from tests.desk.browsing import browser, open_page
from tests.desk.rows import ISSUE, LIMIT, ORDER, TOPIC, user

__all__ = ["browser", "open_page"]


def _nothing(message: object) -> None:
    """Consume."""


@pytest.fixture(autouse=True)
def consumers() -> Iterator[None]:
    retry = Backoff(limit=LIMIT)
    registry.consumer(TOPIC, name=ISSUE, retry=retry, deadline=timedelta(days=2))(_nothing)
    registry.consumer(TOPIC, name=ORDER, retry=retry, atomic=False)(_nothing)
    yield
    registry.forget(ISSUE)
    registry.forget(ORDER)


@pytest.fixture(autouse=True)
def hints() -> Iterator[list[dict[str, list[int]]]]:
    given: list[dict[str, list[int]]] = []
    with mock.patch.object(dispatcher, "dispatch", given.append):
        yield given


@pytest.fixture(autouse=True)
def plain_static_files(settings) -> None:
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
