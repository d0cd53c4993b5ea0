"""What the log says of draws that a sale refuses: thousands in a minute, and nothing of them is an error of ours."""

import logging

import pytest
from django.test import Client
from redis.exceptions import ConnectionError as RedisDown

from awards.models import Because, Sale
from tests.awards.sale.given import a_sale, failing, post

pytestmark = pytest.mark.django_db(transaction=True)


def on_the_page() -> int:
    client = Client()
    page = client.get("/campaigns/raffle/")
    form = {"person": "anna", "request_id": page.context["form"]["request_id"].value()}
    return client.post("/campaigns/raffle/", form).status_code


def by_program() -> int:
    return post().status_code


def told(caplog) -> set[tuple[str, str]]:
    return {(record.levelname, record.getMessage()) for record in caplog.records if record.name == "django.request"}


WAYS = [(by_program, "/api/campaigns/raffle/draws"), (on_the_page, "/campaigns/raffle/")]


@pytest.mark.parametrize(("ask", "address"), WAYS)
def test_a_draw_that_comes_while_the_sale_is_prewarmed_is_no_error(redis, caplog, ask, address):
    campaign = a_sale()
    Sale.objects.close_for_warming(campaign.sale, Because.STOCK_CHANGED)
    caplog.set_level(logging.INFO, "django.request")

    assert ask() == 503

    assert told(caplog) == {("INFO", f"Service Unavailable: {address}")}


@pytest.mark.parametrize(("ask", "address"), WAYS)
def test_a_stock_that_cannot_be_asked_is_a_warning(redis, caplog, ask, address):
    a_sale()

    with failing("awards.sale.redis_stock.take", RedisDown("gone")):
        assert ask() == 503

    assert told(caplog) == {("WARNING", f"Service Unavailable: {address}")}


def test_a_failure_of_ours_is_an_error_as_ever(redis, caplog):
    a_sale()

    with failing("awards.sale.redis_stock.take", ZeroDivisionError("oops")):
        assert post().status_code == 500

    assert ("ERROR", "Internal Server Error: /api/campaigns/raffle/draws") in told(caplog)
