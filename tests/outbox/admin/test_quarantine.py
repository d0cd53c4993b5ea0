"""The quarantine at the desk: seen without its content, settled one by one and together, by those who may."""

import json
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from outbox import receive, sources
from outbox.external.ingest.taking_in import take_in
from outbox.models import AuditEntry, Message, Quarantined, SourceState
from outbox.sources import Incoming
from tests.harness.desk import page_of, text_of, user

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/outbox/quarantined/"
SETTLE = f"{LIST}settle/"


@pytest.fixture
def ann(client: Client) -> User:
    person = user("ann", "view_quarantined", "settle_quarantined", "view_payload", "view_sourcestate")
    client.force_login(person)
    return person


@pytest.fixture
def rows() -> Iterator[list[Quarantined]]:
    """Three messages that could not be taken in: two of an unknown topic, one that is no JSON."""
    receive("partner.events", source="partner", topic=lambda m: f"shop.{m.properties['type']}")
    partner = sources.get_source("partner")
    assert partner is not None
    came = [
        _came("1", json.dumps({"card": "4711"}).encode(), type="unheard_of"),
        _came("2", json.dumps({"card": "4712"}).encode(), type="unheard_of"),
        _came("3", b"<no json>", type="sold"),
    ]
    take_in(partner, came)
    yield list(Quarantined.objects.order_by("pk"))
    sources.forget_source("partner")


def _came(id: str, body: bytes, *, type: str) -> Incoming:
    return Incoming(
        source="partner",
        queue="partner.events",
        body=body,
        properties={"message_id": id, "type": type},
        routing_key="x",
    )


def test_the_list_says_what_waits_and_why_and_shows_no_content(client: Client, ann: User, rows) -> None:
    said = text_of(client.get(LIST))
    of_another = text_of(client.get(f"{LIST}?source=other"))

    assert "partner 1" in said
    assert "no consumer listens to its topic" in said
    assert "its body is no JSON" in said
    assert "4711" not in said
    assert "There is no such message." in of_another


def test_the_content_is_shown_to_who_may_see_it_and_that_is_noted(client: Client, ann: User, rows) -> None:
    page = page_of(rows[0])
    before = text_of(client.get(page))

    said = text_of(client.post(page, {"act": "reveal"}))

    assert "4711" not in before
    assert '{"card": "4711"}' in said
    assert "unheard_of" in said
    assert AuditEntry.objects.get().action == "reveal"


def test_who_may_not_see_content_is_told_so(client: Client, rows) -> None:
    client.force_login(user("ben", "view_quarantined"))

    said = text_of(client.get(page_of(rows[0])))
    posted = text_of(client.post(page_of(rows[0]), {"act": "reveal"}))

    assert "outbox.view_payload" in said
    assert "4711" not in posted


def test_one_is_discarded_with_a_reason(client: Client, ann: User, rows) -> None:
    page = page_of(rows[2])

    without = client.post(page, {"act": "discard_quarantined", "reason": ""})
    answer = client.post(page, {"act": "discard_quarantined", "reason": "sent anew"}, follow=True)

    assert "This field is required." in text_of(without)
    assert "Discarded." in text_of(answer)
    assert "ann discarded the quarantined message" in text_of(answer)
    rows[2].refresh_from_db()
    assert rows[2].state == "discarded"


def test_one_that_is_not_mended_is_refused_with_the_reason(client: Client, ann: User, rows) -> None:
    said = text_of(client.post(page_of(rows[0]), {"act": "take_in", "reason": "try"}))

    assert "It still cannot be taken in: no consumer listens to its topic" in said
    rows[0].refresh_from_db()
    assert rows[0].state == "open"


def test_those_selected_are_taken_in_together_and_the_rest_is_named(client: Client, ann: User, rows) -> None:
    picked = {"act": "take_in", "pick": [str(row.pk) for row in rows]}
    asked = text_of(client.post(SETTLE, picked))
    receive("partner.events", source="partner", topic="shop.sold")

    answer = client.post(SETTLE, {**picked, "confirmed": "1", "reason": "the topic is mended"}, follow=True)

    assert "partner 3: its body is no JSON" in asked
    said = text_of(answer)
    assert "2 messages are settled." in said
    assert "partner 3 It still cannot be taken in" in said
    assert Message.objects.count() == 2
    assert sorted(Quarantined.objects.values_list("state", flat=True)) == ["open", "taken_in", "taken_in"]


def test_nothing_is_settled_without_a_selection_or_the_permission(client: Client, rows) -> None:
    client.force_login(user("ben", "view_quarantined"))

    nothing = text_of(client.post(SETTLE, {"act": "take_in"}, follow=True))
    refused = client.post(
        SETTLE, {"act": "discard_quarantined", "pick": [str(rows[0].pk)], "confirmed": "1", "reason": "x"}
    )

    assert "Nothing was selected." in nothing
    assert refused.status_code == 403
    assert Quarantined.objects.open().count() == 3


@pytest.mark.parametrize(
    "address", [f"{LIST}?state=nonsense&page=9999", f"{LIST}0/change/", f"{LIST}x/change/", SETTLE]
)
def test_an_address_that_means_nothing_leads_to_the_list(client: Client, ann: User, rows, address) -> None:
    assert client.get(address, follow=True).status_code == 200


def test_the_sources_are_listed(client: Client, ann: User, rows) -> None:
    said = text_of(client.get("/admin/outbox/sourcestate/"))

    assert SourceState.objects.get().quarantined == 3
    assert "partner" in said
