"""How a sale is set up in the admin, and what may not be changed under it."""

import pytest
from django.test import Client
from django.urls import reverse

from awards.models import Award, Because, Campaign, Prize, Sale, StockIn
from awards.sale.running import close_sale, open_sale
from awards.services import sales
from tests.awards.sale.given import a_sale, draw, settle

pytestmark = pytest.mark.django_db(transaction=True)


def to_the_database(client: Client, sale: Sale):
    form = {"stock_in": "database", "burst": 1, "within": 30, "rate": "", "paused_consumers": ""}
    return client.post(reverse("admin:awards_sale_change", args=[sale.pk]), form, follow=True)


def delete(client: Client, sale: Sale):
    return client.post(reverse("admin:awards_sale_delete", args=[sale.pk]), {"post": "yes"}, follow=True)


def a_closed_sale(pieces: int, won: int) -> Campaign:
    """Make a sale that is closed while nothing of what was won is written down."""
    campaign = a_sale(pieces=pieces)
    for number in range(won):
        draw(campaign, f"person {number}")
    close_sale(campaign.sale, because=Because.CLOSED)
    return campaign


@pytest.mark.parametrize("act", [to_the_database, delete])
def test_what_redis_has_sold_is_written_down_before_the_database_sells(redis, maria, act):
    campaign = a_closed_sale(pieces=3, won=2)

    act(maria, campaign.sale)

    assert not Sale.objects.filter(stock_in=StockIn.REDIS).exists()
    assert Prize.objects.get().stock == 1
    assert not Award.objects.filter(stock_written=False).exists()
    settle()
    assert Prize.objects.get().stock == 1


@pytest.mark.parametrize("act", [to_the_database, delete])
def test_a_sale_that_is_opened_meanwhile_stays_where_it_is(redis, maria, act, monkeypatch):
    campaign = a_closed_sale(pieces=3, won=0)
    leave = sales.leave_redis

    def open_and_leave(sale):
        open_sale(campaign.sale)
        leave(sale)

    monkeypatch.setattr(sales, "leave_redis", open_and_leave)
    page = act(maria, campaign.sale)

    assert "The sale was opened meanwhile. Close it first." in page.content.decode()
    assert Sale.objects.get().stock_in == StockIn.REDIS
