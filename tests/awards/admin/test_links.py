"""Nobody is led to a page that they may not see: each group follows every link of every page that it can reach."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.test import Client

from config.groups import give_groups_the_views
from outbox import audit
from outbox.maintenance.groups import GROUPS, make_groups
from outbox.models import Heartbeat
from outbox.operate.actions import Action
from tests.harness.bulk import prepared

pytestmark = pytest.mark.django_db

START = "/admin/"
SAME_KIND = 2
"""Pages of one kind that are looked at: two messages, two lists with these parameters."""
LINK = re.compile(r'<a\b[^>]*\bhref="([^"#]+)')


@pytest.fixture
def everything(consumers: Callable[[int], None], business: dict[str, Any]) -> None:
    consumers(2)
    prepared()
    Heartbeat.objects.create(name="rescan")
    with transaction.atomic():
        audit.append(
            actor="ada", origin="", action=Action.RETRY, subject="x", message_id=1, before={}, after={}, reason="x"
        )
    make_groups("default")
    give_groups_the_views("default")


def kind_of(address: str) -> tuple[str, ...]:
    """Return what pages of one kind have in common: the path without ids, and the names of the parameters."""
    path, query = urlsplit(address)[2:4]
    without_ids = re.sub(r"/[^/]+/(?=(change|edit|history|stock|codes)/)", "/…/", path)
    tabs = [value for name, value in parse_qsl(query) if name == "tab"]
    return (without_ids, *sorted(name for name, _value in parse_qsl(query)), *tabs)


def follow_every_link(client: Client) -> dict[str, tuple[int, str]]:
    """Return where the links lead, each with the status of the answer and the page that has the link."""
    found: dict[str, tuple[int, str]] = {}
    kinds: dict[tuple[str, ...], int] = {}
    waiting = [(START, "")]
    while waiting:
        address, source = waiting.pop()
        kind = kind_of(address)
        if address in found or kinds.get(kind, 0) >= SAME_KIND:
            continue
        kinds[kind] = kinds.get(kind, 0) + 1
        answer = client.get(address)
        found[address] = (answer.status_code, source)
        if answer.status_code != 200 or "text/html" not in answer.headers["Content-Type"]:
            continue
        links = (unescape(link) for link in LINK.findall(answer.content.decode()))
        waiting += [(urljoin(address, link), address) for link in links if not urlsplit(link).netloc]
    return found


def signed_in(*permissions: str, group: str = "") -> Client:
    user = User.objects.create_user("ada", password="x", is_staff=True)
    if group:
        user.groups.add(Group.objects.get(name=group))
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("group", GROUPS)
def test_every_link_of_each_group_leads_somewhere(everything: None, group: str) -> None:
    found = follow_every_link(signed_in(group=group))

    assert {address: led for address, led in found.items() if led[0] not in (200, 302)} == {}
    reached = {kind_of(address)[0] for address in found}
    assert {
        "/admin/outbox/message/…/change/",
        "/admin/outbox/failuregroup/…/change/",
        "/admin/outbox/consumerstate/…/change/",
        "/admin/outbox/bulkoperation/…/change/",
        "/admin/awards/award/…/change/",
        "/admin/awards/draw/…/change/",
    } <= reached


@pytest.mark.parametrize(
    "seen", ["message", "consumerstate", "failuregroup", "bulkoperation", "heartbeat", "audit", "award"]
)
def test_nor_is_somebody_led_astray_who_may_see_one_kind_of_rows(everything: None, seen: str) -> None:
    found = follow_every_link(signed_in(f"view_{seen}"))

    assert {address: led for address, led in found.items() if led[0] not in (200, 302)} == {}
    assert len(found) > 2


def test_whoever_may_see_nothing_is_led_nowhere(everything: None) -> None:
    found = follow_every_link(signed_in())

    assert {address: led for address, led in found.items() if led[0] not in (200, 302)} == {}
