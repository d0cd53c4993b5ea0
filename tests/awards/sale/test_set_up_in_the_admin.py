"""How a sale is set up in the admin, and what may not be changed under it."""

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from awards.models import Award, Because, Campaign, Prize, Sale, StockIn
from awards.sale.running import close_sale, open_sale
from awards.services import sales
from tests.awards.admin.conftest import desk, manager
from tests.awards.admin.test_campaigns_in_the_admin import form_of, page_of
from tests.awards.sale.given import a_sale, draw, found, settle

__all__ = ["desk", "manager"]

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


def give_a_budget(client: Client, campaign: Campaign):
    return client.post(page_of(campaign), form_of(campaign, Prize.objects.get(), budget_points="100"))


def limit_the_wins(client: Client, campaign: Campaign):
    prize = Prize.objects.get(campaign=campaign)
    form = {"name": prize.name, "kind": "points", "value": "50", "weight": "1", "wins_per_day": "1"}
    return client.post(page_of(prize), {**form, "stockchange_set-TOTAL_FORMS": 0, "stockchange_set-INITIAL_FORMS": 0})


def test_a_prize_that_is_added_while_the_sale_is_open_is_sold_from_redis_too(redis, desk):
    campaign = a_sale(pieces=1)
    first = Prize.objects.get()
    more = {"name": "Mug", "kind": "points", "value": "20", "vendor_sku": "", "weight": "1", "stock": "2", "id": ""}
    added = {f"prize_set-1-{name}": value for name, value in more.items()}
    added |= {"prize_set-1-campaign": str(campaign.pk), "prize_set-TOTAL_FORMS": "2"}

    page = desk.post(page_of(campaign), form_of(campaign, first, **added))
    settle()
    for number in range(3):
        draw(found(), f"person {number}")

    assert page.status_code == 302
    assert Award.objects.filter(prize=first).count() == 1
    assert Award.objects.exclude(prize=first).count() == 2


CANNOT_BE_COUNTED = [(give_a_budget, "A campaign with a budget"), (limit_the_wins, "a limit of wins a day")]


@pytest.mark.parametrize(("act", "said"), CANNOT_BE_COUNTED)
def test_what_redis_cannot_count_is_not_set_under_its_sale(redis, desk, act, said):
    campaign = a_sale(warm=False)

    page = act(desk, campaign)

    assert said in page.content.decode()
    assert not Campaign.objects.get().has_any_budget
    assert Prize.objects.get().wins_per_day is None


@pytest.mark.parametrize(("act", "_said"), CANNOT_BE_COUNTED)
def test_what_the_database_counts_is_set_under_its_sale(redis, desk, act, _said):
    campaign = a_sale(warm=False, sale={"stock_in": StockIn.DATABASE})

    assert act(desk, campaign).status_code == 302

    assert Campaign.objects.get().has_any_budget or Prize.objects.get().wins_per_day


@pytest.mark.parametrize("act", ["add", "limit"])
def test_a_stock_in_redis_has_at_most_a_million_pieces(redis, desk, act):
    campaign = a_sale(pieces=None if act == "limit" else 5)
    prize = Prize.objects.get()
    page = reverse("admin:awards_prize_stock", args=[prize.pk])
    form = {"act": act, "pieces": str(2**31 - 1 - 5), "reason": "plenty", "request_id": str(uuid.uuid4())}

    refused = desk.post(page, form, follow=True).content.decode()
    taken = desk.post(page, {**form, "pieces": "999995"}, follow=True).content.decode()

    assert "at most 1,000,000 pieces where its stock is in Redis" in refused
    assert "The stock is" in taken
    assert 999_995 <= Prize.objects.get().stock <= 1_000_000
    assert Prize.objects.get().campaign == campaign


def test_a_prize_of_more_than_a_million_pieces_is_not_put_into_redis(redis, maria):
    campaign = a_sale(warm=False, sale={"stock_in": StockIn.DATABASE})
    Prize.objects.update(stock=1_000_001)
    form = {"stock_in": "redis", "burst": 1, "within": 30, "rate": "", "paused_consumers": ""}

    page = maria.post(reverse("admin:awards_sale_change", args=[campaign.sale.pk]), form, follow=True)

    assert "at most 1,000,000 pieces where its stock is in Redis" in page.content.decode()
    assert Sale.objects.get().stock_in == StockIn.DATABASE


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
