"""Entitlements by the list: written by workers, once each, and no person stands in a message."""

import pytest
from django.db import transaction

from awards.clients import imports
from awards.clients.imports import begin_import
from awards.models import Entitlement, EntitlementImport, ImportPart
from awards.persons import FaultyPerson, read_persons
from outbox import Message
from outbox.testing import deliver_pending
from tests.awards.clients.given import a_closed_campaign


def entries(number: int) -> list[tuple[str, str]]:
    return [(f"person-{turn}@example.com", f"order {turn}") for turn in range(number)]


@pytest.mark.django_db
def test_a_list_is_written_part_by_part_and_the_import_says_how_far_it_is(monkeypatch):
    monkeypatch.setattr(imports, "LINES_IN_A_PART", 10)
    campaign = a_closed_campaign()

    begun = begin_import(campaign, entries(25), actor="maria", expires_at=campaign.ends_at)
    payloads = str(list(Message.objects.values("key", "payload", "headers")))
    part = ImportPart.objects.order_by("pk").first()
    with transaction.atomic():
        imports.write_part(part.pk)
    begun.refresh_from_db()
    halfway = (begun.done, begun.added, begun.is_done)
    deliver_pending("awards.write_entitlements")

    begun.refresh_from_db()
    assert halfway == (10, 10, False)
    assert (begun.done, begun.added, begun.known, begun.is_done) == (25, 25, 0, True)
    assert Entitlement.objects.filter(given_by="maria", expires_at=campaign.ends_at).count() == 25
    assert not ImportPart.objects.exists()
    assert "person-" not in payloads


@pytest.mark.django_db
def test_the_same_list_again_gives_nothing_more():
    campaign = a_closed_campaign()
    for _ in range(2):
        begin_import(campaign, entries(3), actor="maria", expires_at=None)
        deliver_pending("awards.write_entitlements")

    assert [(each.done, each.added) for each in EntitlementImport.objects.order_by("pk")] == [(3, 3), (3, 0)]
    assert Entitlement.objects.count() == 3


def test_a_list_is_read_with_every_fault_told_by_its_line():
    text = "person,source\nAnna+x@Example.com,order 1\n\nbertha,order 1\nonly one\na,b,c\nan\u200bna,order 2\n"
    text += f"carla,{'x' * 101}\nDora,order 3"

    found = read_persons(text, ignores_tags=True)

    assert found.entries == (("anna@example.com", "order 1"), ("Dora", "order 3"))
    assert found.faulty_lines == (
        FaultyPerson(4, "doubled"),
        FaultyPerson(5, "columns"),
        FaultyPerson(6, "columns"),
        FaultyPerson(7, "person"),
        FaultyPerson(8, "source"),
    )
