"""Django's own lists and pages of rows at the desk: times and keys as everywhere, each file once."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from outbox.models import Heartbeat
from tests.harness.desk import page_of
from tests.outbox.audit.entries import noted_at

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def addresses() -> dict[str, str]:
    entry = noted_at(timedelta(0))
    heartbeat = Heartbeat.objects.create(name="rescan", data={"lost": 3})
    return {
        "entry": reverse("admin:outbox_auditentry_change", args=[entry]),
        "heartbeats": reverse("admin:outbox_heartbeat_changelist"),
        "heartbeat": page_of(heartbeat),
    }


def test_each_script_and_style_of_the_desk_is_linked_once(desk: Client, addresses: dict[str, str]) -> None:
    pages = {name: desk.get(address).text for name, address in addresses.items()}

    for file in ("desk.css", "desk.js", "times.js"):
        assert {name: page.count(f"outbox/{file}") for name, page in pages.items()} == dict.fromkeys(pages, 1)


def test_a_row_leads_back_to_its_list_by_a_key_and_its_moment_is_the_reader_s(
    desk: Client, addresses: dict[str, str]
) -> None:
    for name in ("entry", "heartbeat"):
        page = desk.get(addresses[name]).text

        assert page.count('data-key="u"') == 1
        assert page.count("<time datetime=") == 1
    assert desk.get(addresses["heartbeats"]).text.count("<time datetime=") == 1
