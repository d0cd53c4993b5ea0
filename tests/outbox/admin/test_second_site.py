"""A project with two admin sites, and one that groups its figures: links stay on the site, ids stay ids."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import include, path

from outbox import operate
from outbox.admin import Description, admin_url, describe
from outbox.admin.descriptions import forget_describer
from outbox.models import ConsumerState, Heartbeat
from tests.harness.desk import ISSUE, TOPIC, failure_group, wins

pytestmark = pytest.mark.django_db

BIG = 1_234_567

second = admin.AdminSite(name="second")
for model, shown_by in admin.site._registry.items():
    second.register(model, type(shown_by))
urlpatterns = [
    path("admin/", admin.site.urls),
    path("second/", second.urls),
    path("", include("outbox.urls")),
    path("", include("awards.urls")),
]


@pytest.fixture
def two_sites(settings):
    settings.ROOT_URLCONF = __name__


@pytest.fixture
def described():
    @describe(TOPIC)
    def tell(messages):
        return {one.pk: Description("a win", url=admin_url("outbox_message_change", one.pk)) for one in messages}

    yield
    forget_describer(TOPIC)


@pytest.fixture
def pages(lead: User):
    """Something on every page of the desk, under ids of seven digits; the paths under the site."""
    Heartbeat.objects.create(name="rescan")
    ConsumerState.objects.create(consumer=ISSUE, paused_by="ada")
    group = failure_group("jam", failures=3)
    wins.failed("7", id=BIG, failure=group.pk)
    wins.failed("7", id=BIG + 1, consumer="desk.order")
    operate.discard(BIG + 1, revision=0, actor=lead, reason="x")
    lists = ["", "outbox/", *(f"outbox/{name}/" for name in ("message", "consumerstate", "failuregroup", "auditentry"))]
    return [
        *lists,
        "outbox/message/?tab=failed",
        f"outbox/message/{BIG}/change/",
        f"outbox/message/{BIG + 1}/change/",
        f"outbox/consumerstate/{ISSUE}/change/",
        f"outbox/failuregroup/{group.pk}/change/",
    ]


def read(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer)
    return answer.content.decode()


def test_every_link_of_a_second_site_stays_on_it(two_sites, described, pages, desk: Client) -> None:
    found = {page: read(desk, f"/second/{page}") for page in pages}

    strayed = {page: re.findall(r'(?:href|action)="(/admin/[^"]*)"', text) for page, text in found.items()}
    assert strayed == {page: [] for page in pages}
    assert f"/second/outbox/message/{BIG}/change/" in found["outbox/message/?tab=failed"]


def test_ids_stay_plain_where_numbers_are_grouped(settings, pages, desk: Client) -> None:
    settings.USE_THOUSAND_SEPARATOR = True

    found = {page: read(desk, f"/admin/{page}") for page in pages}

    assert [page for page, text in found.items() if "1,234,56" in text] == []
    assert f'value="{BIG}:0"' in found["outbox/message/?tab=failed"]
    assert f"<dd>{BIG}</dd>" in found[f"outbox/message/{BIG}/change/"]
