"""What the tests of sales begin with: a campaign whose stock is in Redis, and draws from it."""

import json
import re
import uuid
from unittest import mock

from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from awards.consumers import sale_consumers  # noqa: F401  # its checks and consumers
from awards.models import Award, Campaign, Draw, Prize, Sale, SaleState, StockIn
from awards.sale import redis_stock, warming
from awards.sale.drawing import draw_from_redis
from awards.selectors import awards as selectors
from outbox.testing import check_back_halves, deliver_pending
from tests.awards.given import Highest, a_campaign, points

WROTE = "awards.write_stock"
GAVE_BACK = "awards.give_back"


def a_sale(slug: str = "raffle", *, pieces: int = 5, warm: bool = True, sale: dict | None = None, **fields) -> Campaign:
    """Make a campaign of one prize whose pieces are in Redis, open unless told otherwise."""
    campaign = a_campaign(slug, **fields)
    points(campaign, stock=pieces)
    row = Sale.objects.create(campaign=campaign, **{"stock_in": StockIn.REDIS, **(sale or {})})
    if warm:
        Sale.objects.switch(row, SaleState.WARMING)
        assert warming.warm(row.pk)
    return found(slug)


def a_queue(slug: str = "raffle", *, pieces: int | None = 5, sale: dict | None = None, **fields) -> Campaign:
    """Make a campaign of one prize whose draws wait in a queue."""
    campaign = a_campaign(slug, **fields)
    points(campaign, stock=pieces)
    Sale.objects.create(campaign=campaign, queues=True, **(sale or {}))
    return found(slug)


def found(slug: str = "raffle") -> Campaign:
    """Return the campaign as a request reads it."""
    campaign = selectors.campaign_at(slug)
    assert campaign is not None
    return campaign


def draw(campaign: Campaign | None = None, person: str = "anna", request_id: str = "", luck=None) -> Draw:
    return draw_from_redis(
        campaign or found(), person=person, request_id=request_id or str(uuid.uuid4()), luck=luck or Highest()
    )


def settle() -> None:
    """Have every half message asked about, and every message of the sale delivered."""
    check_back_halves()
    for consumer in (GAVE_BACK, WROTE, "awards.note_sold_out", "awards.warm_sale", "awards.draw_queued"):
        deliver_pending(consumer, ignore_waits=True)


def watch(client: Client, sale: Sale) -> str:
    """Return the page on which the sale is watched."""
    return client.get(reverse("admin:awards_sale_watch", args=[sale.pk])).content.decode()


def press(client: Client, sale: Sale, act: str, *, on: str = ""):
    """Press a button of the page, as it was read earlier or is now; return what comes then."""
    seen = re.search('name="seen" value="([^"]+)"', on or watch(client, sale))
    form = {"act": act, "seen": seen[1] if seen else ""}
    return client.post(reverse("admin:awards_sale_watch", args=[sale.pk]), form, follow=True)


def adds_up(campaign: Campaign, pieces: int) -> bool:
    """Tell whether awards and what is left are what there was, with no piece given twice."""
    numbers = list(Award.objects.filter(prize__campaign=campaign).values_list("piece", flat=True))
    left = Prize.objects.values_list("stock", flat=True).get(campaign=campaign)
    return len(numbers) == len(set(numbers)) and len(numbers) + left == pieces


def failing(where: str, error: BaseException):
    """Have a function fail after what it would have done was not done."""
    return mock.patch(where, side_effect=error)


def post(person: str = "anna", key: str = "request-1") -> HttpResponse:
    """Ask for a draw as a program does, of the campaign at the usual address."""
    return Client(raise_request_exception=False).post(
        "/api/campaigns/raffle/draws",
        json.dumps({"person": person}),
        content_type="application/json",
        headers={"Idempotency-Key": key},
    )


def drawn() -> None:
    """Have what waits in the queue drawn."""
    deliver_pending("awards.draw_queued")


def pieces_left(sale: Sale, prize: int) -> list[int]:
    """Return the numbers that Redis has of a prize."""
    there, _taken = redis_stock.pieces(sale, [prize])[prize]
    return there
