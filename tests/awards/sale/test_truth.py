"""What the page and the commands say of a sale is whether people can draw, and what they were refused for."""

import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from awards.models import Campaign, Sale, SaleState
from tests.awards.sale.given import a_queue, a_sale, press, settle, watch

pytestmark = pytest.mark.django_db(transaction=True)

LATER = {"starts_at": timedelta(hours=1), "ends_at": timedelta(hours=2)}
PAST = {"starts_at": timedelta(hours=-2), "ends_at": timedelta(hours=-1)}


def said_of(client: Client, sale: Sale) -> list[str]:
    """Return what the page and the list say of how the sale stands."""
    pages = (watch(client, sale), client.get(reverse("admin:awards_sale_changelist")).content.decode())
    marks = [re.search('<span class="mg-state mg-.*?</span> .*?</span>', page, re.DOTALL) for page in pages]
    return [strip_tags(mark[0]) for mark in marks if mark]


@pytest.mark.parametrize(
    ("sale", "fields", "said"),
    [
        ({"state": "open"}, {}, "▶ open"),
        ({"state": "open"}, {"active": False}, "✕ the campaign is switched off"),
        ({"state": "open"}, PAST, "■ the campaign is over"),
        ({"state": "open"}, LATER, "◷ opens with the campaign"),
        ({"state": "closed"}, PAST, "✕ closed"),
        ({}, LATER, "◷ opens with the campaign"),
        ({}, PAST, "■ the campaign is over"),
        ({"stock_in": "redis"}, {}, "◷ opens with the first draw"),
        ({"stock_in": "database"}, {}, "▶ open"),
        ({"state": "warming"}, {}, "… being prewarmed"),
        ({"state": "warming"}, {"active": False}, "✕ the campaign is switched off"),
    ],
)
def test_a_sale_is_open_where_people_can_draw(redis, maria, sale, fields, said):
    campaign = a_sale(warm=False, sale=sale, **fields)

    assert said_of(maria, campaign.sale) == [said, said]


@pytest.mark.parametrize("stock_in", ["redis", "database"])
@pytest.mark.parametrize("state", ["new", "closed", "open"])
def test_a_sale_whose_campaign_is_over_is_not_opened(redis, maria, stock_in, state):
    campaign = a_sale(warm=False, sale={"stock_in": stock_in})
    Sale.objects.update(state=state)
    old = watch(maria, campaign.sale)
    Campaign.objects.update(ends_at=Campaign.objects.with_clock().get().clock)

    said = press(maria, campaign.sale, "warm" if state == "open" else "open", on=old).content.decode()
    for act in ("open", "prewarm") if stock_in == "redis" else ("open",):
        with pytest.raises(CommandError, match=r"the campaign ended at .* UTC: give it a later end first"):
            call_command("sale", "raffle", act)

    if stock_in == "redis" or state != "open":
        assert "The sale was not opened: its campaign ended at" in said
    settle()
    assert Sale.objects.get().state == state
    page = watch(maria, campaign.sale)
    assert "Open the sale" not in page
    assert "Count the stock once more" not in page


@pytest.mark.parametrize(
    ("fields", "said", "written"),
    [
        ({}, "The sale opens.", "opens"),
        ({"active": False}, "nobody can draw: the campaign is switched off", "nobody can draw"),
        (LATER, "People can draw when the campaign begins.", "opens with the campaign at"),
    ],
)
def test_what_opening_a_sale_comes_to_is_said(maria, capsys, fields, said, written):
    campaign = a_queue(**fields)

    assert said in press(maria, campaign.sale, "open").content.decode()
    press(maria, campaign.sale, "close")
    call_command("sale", "raffle", "open")

    assert written in capsys.readouterr().out
    assert Sale.objects.get().state == SaleState.OPEN
