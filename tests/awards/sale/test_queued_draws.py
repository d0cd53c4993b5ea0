"""Draws that wait in a queue: 202, an address to ask, drawn for many at once, and not won if it took too long."""

import json
import random
from datetime import timedelta
from io import BytesIO

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from awards.errors import DrawRefused
from awards.models import (
    Award,
    Campaign,
    Draw,
    Entitlement,
    Participation,
    Prize,
    QueuedRefusal,
    Sale,
    SaleState,
)
from awards.sale import paces
from awards.sale.bulk_drawing import draw_for_all
from awards.sale.queueing import QueuedRequest, answer_to, token_of
from awards.views import queued
from awards.views.door import SaleDoor
from outbox import Message
from outbox.testing import deliver_pending
from tests.awards.given import Highest, a_campaign, a_draw, points
from tests.awards.sale.given import a_queue, drawn, post

pytestmark = pytest.mark.django_db(transaction=True)
DRAWS = "/api/campaigns/raffle/draws"
client = Client(raise_request_exception=False)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(queued, "WAITS_FOR", 0.0)


def test_a_draw_is_answered_202_and_its_address_answers_when_it_is_drawn():
    a_queue()

    response = post()
    address = response["Location"]
    before = client.get(address)
    drawn()
    after = client.get(address)

    assert (response.status_code, response.json()) == (202, {"status": "queued", "url": address})
    assert (before.status_code, before["Retry-After"]) == (202, "1")
    assert after.status_code == 200
    assert after.json()["outcome"] == "won"
    assert after["Location"] == f"/api/awards/{Award.objects.get().public_id}"


def test_nobody_asks_by_an_address_that_was_made_up():
    a_queue()

    response = client.get("/api/campaigns/raffle/queued/made-up")

    assert (response.status_code, response.json()["code"]) == (404, "unknown_request")


def test_a_chunk_is_one_transaction_with_one_update_for_its_prize():
    a_queue(pieces=100)
    for number in range(40):
        post(f"person {number}", f"request-{number}")

    with CaptureQueriesContext(
        connection,
    ) as captured:
        drawn()

    said = [query["sql"] for query in captured.captured_queries]
    assert sum(sql.startswith('UPDATE "awards_prize"') for sql in said) == 1
    assert sum(sql.startswith('INSERT INTO "awards_draw"') for sql in said) == 1
    assert Prize.objects.get().stock == 60
    assert Award.objects.count() == 40
    assert len(said) < 60


def test_sold_out_in_the_middle_of_a_chunk_is_said_to_those_who_came_later():
    campaign = a_queue(pieces=3)
    for number in range(5):
        post(f"person {number}", f"request-{number}")

    drawn()

    assert Prize.objects.get().stock == 0
    assert Award.objects.count() == 3
    assert QueuedRefusal.objects.filter(code="sold_out").count() == 2
    refused = QueuedRefusal.objects.first()
    response = client.get(f"/api/campaigns/raffle/queued/{token(campaign, refused.request_id)}")
    assert (response.status_code, response.json()["code"]) == (409, "sold_out")
    assert Participation.objects.filter(draws__gt=0).count() == 3


def test_what_waited_too_long_is_not_won_and_no_work_for_anybody():
    campaign = a_queue()
    address = post()["Location"]
    Message.objects.filter(topic="sale.draw").update(expires_at=Now() - timedelta(seconds=1))
    assert client.get(address).status_code == 202, "not before the message is closed"

    drawn()
    assert Message.objects.filter(topic="sale.draw").close_as_overdue() == 1, "as the rescan does"
    response = client.get(address)

    assert response.status_code == 200
    assert response.json()["outcome"] == "lost"
    assert response.json()["reason"] == "too_late"
    assert answer_to(campaign.pk, "request-1").is_too_late
    assert not Draw.objects.exists()


def test_what_waits_while_the_sale_is_closed_is_drawn_when_it_is_open_again():
    a_queue()
    address = post()["Location"]
    Sale.objects.update(state=SaleState.CLOSED)
    drawn()
    while_closed = client.get(address)
    refusals = QueuedRefusal.objects.count()

    Sale.objects.update(state=SaleState.OPEN)
    deliver_pending("awards.draw_queued", ignore_waits=True)

    assert (while_closed.status_code, refusals) == (202, 0)
    assert client.get(address).json()["outcome"] == "won"


def test_a_chunk_draws_by_the_same_rules_as_single_draws():
    """The same luck, the same people, one by one and together."""
    for slug in ("one", "many"):
        campaign = a_campaign(slug, losing_weight=3, draws_per_person=2, budget_points=400)
        points(campaign, 50, weight=2, stock=4)
        points(campaign, 70, weight=1, wins_per_person=1)
        points(campaign, 90, weight=1, wins_per_day=2)
    people = [f"person {number % 7}" for number in range(40)]

    luck = random.Random(3)
    one, many = Campaign.objects.get(slug="one"), Campaign.objects.get(slug="many")
    outcomes = []
    for number, person in enumerate(people):
        try:
            won = a_draw(one, person, f"request-{number}", luck).won
            outcomes.append(won.prize.name if won else "")
        except DrawRefused as refusal:
            outcomes.append(refusal.code)
    asked = [QueuedRequest(many.pk, f"request-{number}", person) for number, person in enumerate(people)]
    with transaction.atomic():
        draw_for_all(many.pk, asked, random.Random(3))

    found = []
    for number in range(len(people)):
        answer = answer_to(many.pk, f"request-{number}")
        found.append(answer.code or (answer.draw.won.prize.name if answer.draw.won else ""))
    assert found == outcomes
    rows = [
        list(Prize.objects.filter(campaign=each).order_by("pk").values_list("stock", "wins_that_day"))
        for each in (one, many)
    ]
    assert rows[0] == rows[1]
    spent = [Campaign.objects.values_list("spent_points", flat=True).get(pk=each.pk) for each in (one, many)]
    assert spent[0] == spent[1]
    limits = [
        list(Participation.objects.filter(campaign=each, draws__gt=0).order_by("person").values_list("person", "draws"))
        for each in (one, many)
    ]
    assert limits[0] == limits[1]


def test_each_queued_draw_uses_one_entitlement_and_a_refused_one_uses_none():
    campaign = a_queue(pieces=1, needs_entitlement=True, access="link")
    for number in range(2):
        Entitlement.objects.create(campaign=campaign, person=f"person {number}", source=f"order {number}", given_by="m")
    asked = [QueuedRequest(campaign.pk, f"request-{number}", f"person {number}") for number in range(3)]
    with transaction.atomic():
        draw_for_all(campaign.pk, asked, Highest())

    assert [answer_to(campaign.pk, f"request-{number}").code for number in range(3)] == ["", "sold_out", "not_entitled"]
    used = Entitlement.objects.order_by("pk").values_list("used_at", flat=True)
    assert [at is not None for at in used] == [True, False]


def test_one_request_that_cannot_be_read_is_rejected_alone():
    a_queue()
    post("anna", "request-1")
    post("bertha", "request-2")
    Message.objects.filter(topic="sale.draw", key__endswith="request-1").update(payload={"campaign": "x"})

    drawn()

    assert Draw.objects.get().person == "bertha"
    assert Message.objects.get(topic="sale.draw", key__endswith="request-1").status == "failed"


def test_a_campaign_that_is_over_when_its_turn_comes_refuses_what_waits():
    campaign = a_queue()
    post()
    campaign.active = False
    campaign.save(update_fields=["active"])

    drawn()

    assert answer_to(campaign.pk, "request-1").code == "campaign_inactive"


def token(campaign, request_id: str) -> str:
    return token_of(campaign.pk, request_id)


def test_at_the_door_a_queued_draw_costs_one_insert_and_its_answer_one_select():
    a_queue()
    told = []

    def behind_the_door(_environ, _start_response):
        raise AssertionError("Django was asked")

    def ask(method: str, path: str, body: bytes = b"", key: str = "") -> tuple[str, dict]:
        environ = {**RequestFactory()._base_environ(), "REQUEST_METHOD": method, "PATH_INFO": path}
        environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body)), "HTTP_IDEMPOTENCY_KEY": key}
        environ["CONTENT_TYPE"] = "application/json"
        answer = b"".join(SaleDoor(behind_the_door)(environ, lambda status, _headers: told.append(status)))
        return told[-1], json.loads(answer)

    ask("POST", DRAWS, b'{"person": "bertha"}', "request-0")  # the first in a while reads what sales there are
    with CaptureQueriesContext(connection) as taken_in:
        status, body = ask("POST", DRAWS, b'{"person": "anna"}', "request-1")
    drawn()
    with CaptureQueriesContext(connection) as answered:
        asked, draw = ask("GET", body["url"])

    statements = [query["sql"].split()[0] for query in taken_in.captured_queries]
    assert status == "202 Accepted"
    assert [each for each in statements if each not in ("BEGIN", "COMMIT")] == ["INSERT"]
    assert asked == "200 OK"
    assert (draw["person"], draw["outcome"]) == ("anna", "won")
    assert len(answered.captured_queries) == 1


def test_a_process_knows_what_is_sold_out_and_that_something_came_back():
    a_queue(pieces=1)
    paces.load()
    known = [paces._known.queues["raffle"].is_sold_out]

    Prize.objects.update(stock=0)
    paces.load()
    known.append(paces._known.queues["raffle"].is_sold_out)
    Prize.objects.update(stock=2)
    paces.load()
    known.append(paces._known.queues["raffle"].is_sold_out)

    assert known == [False, True, False]
