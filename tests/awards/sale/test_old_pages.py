"""A page of a sale that somebody else's act has made old: what is pressed on it, and what commands do then."""

import pytest
from django.core.management import CommandError, call_command

from awards.models import Because, Sale, SaleState
from awards.sale.running import close_sale, open_sale
from tests.awards.sale.given import a_sale, press, settle, watch

pytestmark = pytest.mark.django_db(transaction=True)


def state() -> str:
    settle()
    return Sale.objects.get().state


def test_a_sale_that_was_closed_is_not_opened_by_a_count_on_an_old_page(redis, maria):
    campaign = a_sale()
    old = watch(maria, campaign.sale)
    press(maria, campaign.sale, "close")

    page = press(maria, campaign.sale, "warm", on=old).content.decode()

    assert "The sale was closed meanwhile by maria. Nothing was changed; open it if people are to draw." in page
    assert "The sale opens." not in page
    assert state() == SaleState.CLOSED


def test_who_has_closed_it_is_left_open_where_nobody_knows(redis, maria):
    campaign = a_sale()
    old = watch(maria, campaign.sale)
    call_command("sale", "raffle", "close")

    page = press(maria, campaign.sale, "warm", on=old).content.decode()

    assert "The sale was closed meanwhile. Nothing was changed" in page
    assert state() == SaleState.CLOSED


@pytest.mark.parametrize("stock_in", ["redis", "database"])
def test_a_sale_that_was_closed_is_not_opened_on_a_page_from_before_it_was_on(redis, maria, stock_in):
    campaign = a_sale(warm=False, sale={"stock_in": stock_in})
    old = watch(maria, campaign.sale)
    open_sale(campaign.sale)
    settle()
    close_sale(campaign.sale, because=Because.CLOSED)

    page = press(maria, campaign.sale, "open", on=old).content.decode()

    assert "The sale was closed meanwhile." in page
    assert state() == SaleState.CLOSED


def test_a_sale_that_was_opened_is_not_counted_by_open_on_an_old_page(redis, maria):
    campaign = a_sale(warm=False)
    old = watch(maria, campaign.sale)
    open_sale(campaign.sale)
    settle()
    epoch = Sale.objects.get().epoch

    page = press(maria, campaign.sale, "open", on=old).content.decode()

    assert "The sale was opened meanwhile." in page
    assert (state(), Sale.objects.get().epoch) == (SaleState.OPEN, epoch)


def test_a_stock_that_has_left_redis_meanwhile_is_not_counted_for_it(redis, maria):
    campaign = a_sale()
    old = watch(maria, campaign.sale)
    Sale.objects.update(stock_in="database")

    press(maria, campaign.sale, "warm", on=old)

    assert state() == SaleState.OPEN, "nobody would ever have ended that prewarming"


def test_a_sale_is_closed_on_an_old_page_too(redis, maria):
    campaign = a_sale(warm=False)
    old = watch(maria, campaign.sale)
    open_sale(campaign.sale)
    settle()

    assert "The sale is closed." in press(maria, campaign.sale, "close", on=old).content.decode()
    assert state() == SaleState.CLOSED


def test_a_count_says_that_it_counts(redis, maria):
    campaign = a_sale()

    page = press(maria, campaign.sale, "warm").content.decode()

    assert "The stock is being counted." in page
    assert "The sale opens." not in page
    assert state() == SaleState.OPEN


def test_a_prewarming_by_command_opens_nothing_that_was_closed(redis):
    campaign = a_sale()
    close_sale(campaign.sale, because=Because.CLOSED)

    with pytest.raises(CommandError, match="the sale is closed: prewarm would open it"):
        call_command("sale", "raffle", "prewarm")

    assert state() == SaleState.CLOSED
