"""What is missing, at the desk: listed with what its sender says, closed by those who may; found by its number."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from outbox.models import AuditEntry, Gap, SequenceNumber, SequenceStream, WatchedStream
from tests.harness.desk import page_of, text_of, user, wins

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/outbox/gap/"


@pytest.fixture
def gap() -> Gap:
    watched = WatchedStream.objects.create(source="partner", stream="shop.orders/order.eu", epoch="e1", high=20)
    Gap.objects.create(watched=watched, first=9, last=11, said="failed")
    return Gap.objects.create(watched=watched, first=7, last=7, said="sent")


@pytest.fixture
def ann(client: Client) -> User:
    person = user("ann", "view_gap", "close_gap", "view_message")
    client.force_login(person)
    return person


def test_the_list_names_stream_and_number_and_what_the_sender_says(client: Client, ann: User, gap: Gap) -> None:
    said = text_of(client.get(LIST))
    of_another = text_of(client.get(f"{LIST}?source=other"))

    assert "shop.orders/order.eu#7" in said
    assert "it was sent, and its broker has confirmed it" in said
    assert "shop.orders/order.eu#9–11" in said
    assert "it has failed there, and waits for a person" in said
    assert "There is none." in of_another


def test_a_gap_is_closed_with_a_reason_and_stands_among_the_closed(client: Client, ann: User, gap: Gap) -> None:
    page = page_of(gap)
    without = text_of(client.post(page, {"act": "close_gap", "reason": ""}))
    assert Gap.objects.open().count() == 2

    said = text_of(client.post(page, {"act": "close_gap", "reason": "replayed as 21"}, follow=True))

    assert "Close the gap" in without
    assert "a person has seen to it" in said
    assert "#7" in text_of(client.get(f"{LIST}?state=closed"))
    assert AuditEntry.objects.values_list("actor", "action", "reason").get() == ("ann", "close_gap", "replayed as 21")


def test_who_may_only_look_cannot_close(client: Client, gap: Gap) -> None:
    client.force_login(user("viewer", "view_gap"))

    said = text_of(client.get(page_of(gap)))
    client.post(page_of(gap), {"act": "close_gap", "reason": "x"})

    assert "outbox.close_gap" in said
    assert Gap.objects.open().count() == 2


def test_where_nobody_did_anything_yet_nothing_is_told_of_people(client: Client, ann: User, gap: Gap) -> None:
    told = "What people did"
    assert told not in text_of(client.get(page_of(gap)))

    client.post(page_of(gap), {"act": "close_gap", "reason": "the sender has no such number"})

    assert told in text_of(client.get(page_of(gap)))


def test_what_a_gap_is_can_be_forgotten_meanwhile(client: Client, ann: User, gap: Gap) -> None:
    page = page_of(gap)
    WatchedStream.objects.all().delete()

    assert "The gap is not there any more." in text_of(client.get(page, follow=True))


def test_a_message_is_found_by_stream_and_number(client: Client, ann: User) -> None:
    message = wins.failed("4711")
    stream = SequenceStream.objects.create(forward=message.consumer, routing_key=message.topic, epoch="e1", given=17)
    SequenceNumber.objects.create(message_id=message.pk, stream=stream, number=17)

    found = text_of(client.get("/admin/outbox/message/", {"q": f"{stream.name}#17"}))
    nothing = text_of(client.get("/admin/outbox/message/", {"q": f"{stream.name}#18"}))

    assert message.key in found
    assert "The search is exact" in nothing
