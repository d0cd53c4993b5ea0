"""Redis for one test, of a server of the session's own; no hint is sent, and nothing is remembered."""

from collections.abc import Iterator

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.test import Client

from awards.sale import paces, tallies
from tests.awards.conftest import no_hints, plain_static_files
from tests.harness.redis_server import RedisServer, installed_here, redis_server

__all__ = ["no_hints", "plain_static_files"]


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if not installed_here():
        pytest.skip("there is no redis-server here")
    with redis_server(tmp_path_factory.mktemp("redis"), "--save", "", "--appendonly", "no") as server:
        yield server


@pytest.fixture
def redis(_server: RedisServer, settings) -> RedisServer:
    """The server that the stock of this test is in."""
    _server.client.flushall()
    settings.OUTBOX = {**settings.OUTBOX, "REDIS_URL": _server.url}
    return _server


@pytest.fixture
def maria() -> Client:
    """Somebody of the group that manages campaigns."""
    user = get_user_model().objects.create_user("maria", password="x", is_staff=True)
    group, _made = Group.objects.get_or_create(name="Campaign manager")
    names = ("view_sale", "change_sale", "run_sale", "add_sale", "view_prize")
    group.permissions.add(*Permission.objects.filter(content_type__app_label="awards", codename__in=names))
    user.groups.add(group)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch):
    monkeypatch.setattr(paces, "_known", paces._Known())
    yield
    tallies.forget()
