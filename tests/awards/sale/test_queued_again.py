"""A queued draw that is sent again: the same address, whatever has become of the campaign, and one draw."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.test import Client

from awards.errors import Blocked, DrawRefused, RequestReused, SoldOut
from awards.models import Campaign, Draw
from awards.sale.queueing import answer_to, queue_draw, request_of
from awards.views import queued
from outbox import Message
from tests.awards.sale.given import a_queue, drawn, found, post

pytestmark = pytest.mark.django_db(transaction=True)
client = Client(raise_request_exception=False)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(queued, "WAITS_FOR", 0.0)


def test_the_same_request_again_has_the_same_address_and_is_drawn_once():
    a_queue()

    addresses = [client.get(post()["Location"]).status_code for _ in range(3)]
    drawn()

    assert addresses == [202, 202, 202]
    assert Draw.objects.count() == 1
    assert post("bertha").json()["code"] == "idempotency_key_reused"
    assert post().status_code == 202
    drawn()
    assert Draw.objects.count() == 1


@pytest.mark.parametrize("is_drawn", [True, False], ids=["drawn", "waiting"])
@pytest.mark.parametrize(
    "fields",
    [{"active": False}, {"ends_at": Now() - timedelta(seconds=1), "starts_at": Now() - timedelta(days=1)}],
    ids=["switched off", "over"],
)
def test_the_same_request_again_has_its_address_whatever_has_become_of_the_campaign(fields, is_drawn):
    campaign = a_queue()
    address = post()["Location"]
    if is_drawn:
        drawn()
    Campaign.objects.update(**fields)

    with pytest.raises(DrawRefused):
        queue_draw(found(), person="anna", request_id="another")
    again = queue_draw(found(), person="anna", request_id="request-1")

    assert request_of(again) == request_of(address.rpartition("/")[2])
    assert answer_to(campaign.pk, "request-1").waits is not is_drawn


def test_a_person_who_was_blocked_meanwhile_still_reads_of_the_draw():
    a_queue()
    address = post()["Location"]
    drawn()

    def refuse(_person: str) -> None:
        raise Blocked("blocked")

    again = queue_draw(found(), person="anna", request_id="request-1", guard=refuse)

    assert request_of(again) == request_of(address.rpartition("/")[2])
    with pytest.raises(Blocked):
        queue_draw(found(), person="anna", request_id="another", guard=refuse)


def test_what_is_known_to_be_sold_out_is_said_at_once_but_who_has_drawn_reads_of_the_draw():
    campaign = a_queue(pieces=1)
    first = post("anna", "request-1")["Location"]
    drawn()
    campaign.is_sold_out = True  # as the process knows it a second later

    with pytest.raises(SoldOut):
        queue_draw(campaign, person="bertha", request_id="request-2")
    with pytest.raises(RequestReused):
        queue_draw(campaign, person="bertha", request_id="request-1")

    assert not Message.objects.filter(topic="sale.draw", key__endswith="request-2").exists()
    again = queue_draw(campaign, person="anna", request_id="request-1")
    assert client.get(f"/api/campaigns/raffle/queued/{again}").json() == client.get(first).json()
