"""``manage.py outbox_quarantine`` and ``outbox_receiver``: from a shell, with a reason, in the audit."""

import io
import json
from collections.abc import Iterator

import pytest
from django.core.management import CommandError, call_command

from outbox import receive, sources
from outbox.models import AuditEntry, Message, Quarantined
from outbox.testing import receive_from

pytestmark = pytest.mark.django_db(transaction=True)

WHO = ("--reason", "it is mended", "--actor", "root")


@pytest.fixture(autouse=True)
def partner() -> Iterator[None]:
    receive("partner.events", source="partner", topic=lambda m: f"shop.{m.properties['type']}")
    assert receive_from("partner", {"n": 1}, message_id="1", type="unheard_of") == "unknown_topic"
    assert receive_from("partner", {"n": 2}, message_id="2", type="unheard_of") == "unknown_topic"
    assert receive_from("partner", b"\x1b[31m", message_id="3\x1b", type="sold") == "no_json"
    yield
    sources.forget_source("partner")


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("outbox_quarantine", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_what_waits_is_listed_and_a_terminal_shows_it_and_does_not_obey_it() -> None:
    listed = run("list")
    as_json = [json.loads(line) for line in run("list", "--json", "--source", "partner").splitlines()]

    assert "partner  1  unknown_topic" in listed
    assert "\x1b" not in listed
    assert [row["sender_id"] for row in as_json] == ["3\x1b", "2", "1"]
    assert run("list", "--source", "other") == ""


def test_all_of_a_source_is_taken_in_for_one_cause_once_it_is_mended() -> None:
    receive("partner.events", source="partner", topic="shop.sold")

    said = run("take", "--all-of", "partner", "--because", "unknown_topic", *WHO)

    assert said.count("taken in") == 2
    assert Message.objects.count() == 2
    assert [row.reason for row in Quarantined.objects.open()] == ["no_json"]
    assert {entry.actor for entry in AuditEntry.objects.all()} == {"root"}


def test_what_is_refused_is_said_and_the_rest_is_done() -> None:
    ids = [str(row.pk) for row in Quarantined.objects.order_by("pk")]
    receive("partner.events", source="partner", topic="shop.sold")

    with pytest.raises(CommandError, match="1 of 3 refused"):
        run("take", *ids, *WHO)

    assert Message.objects.count() == 2


def test_one_is_discarded_or_taken_in_as_a_message_of_its_own() -> None:
    first, second, third = Quarantined.objects.order_by("pk")
    receive("partner.events", source="partner", topic="shop.sold")

    assert "discarded" in run("discard", str(third.pk), *WHO)
    run("take", "--as-new", str(first.pk), *WHO)

    assert Message.objects.get().key == f"partner:1#{first.pk}"
    assert list(Quarantined.objects.open()) == [second]


@pytest.mark.parametrize("arguments", [["take", *WHO], ["take", "1", "--all-of", "partner", *WHO], ["discard", *WHO]])
def test_either_ids_or_a_source_are_named(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match="Name messages by their ids"):
        run(*arguments)


def test_a_receiver_of_a_source_that_nobody_has_is_refused() -> None:
    with pytest.raises(CommandError, match=r"other: no receive\(\) in a consumers\.py has this source"):
        call_command("outbox_receiver", "other")
