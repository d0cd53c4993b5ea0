"""What is left, refused and paused, and who did what: on the page of a sale, in its history, and by the command."""

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils.html import strip_tags

from awards.models import Prize, Sale
from awards.sale import tallies
from awards.sale.running import open_sale
from tests.awards.given import points
from tests.awards.sale.given import a_queue, a_sale, post, press, settle, watch

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("stock_in", ["redis", "database"])
def test_a_prize_whose_stock_has_no_limit_is_left(redis, maria, capsys, stock_in):
    campaign = a_sale(warm=False, sale={"stock_in": stock_in})
    Prize.objects.update(stock=None, name="Sticker")
    points(campaign, stock=0, name="Mug")

    page = watch(maria, campaign.sale)
    call_command("sale", "raffle", "check")

    table = page[page.index("<caption>What is left") :]
    assert "Sticker</a>" in table
    assert "no limit" in table
    assert "<dt>Sold out</dt>" not in page
    assert "Sticker: no limit" in capsys.readouterr().out


def test_what_people_are_refused_for_is_seen(maria):
    campaign = a_sale(pieces=0, warm=False, sale={"stock_in": "database"})
    for number in range(3):
        assert post(f"person {number}", f"request-{number}").status_code == 409
    tallies.write_down()

    page = watch(maria, campaign.sale)

    table = " ".join(strip_tags(page[page.index("Draws that were refused today") :]).split())
    assert table.startswith("Draws that were refused today Code Times sold_out 3 As of ")


def test_what_it_pauses_is_seen_before_and_after_it_opens(maria):
    campaign = a_queue(sale={"paused_consumers": "awards.count_win\nawards.tell_winner"})
    before = " ".join(strip_tags(watch(maria, campaign.sale)).split())
    open_sale(campaign.sale)
    Sale.objects.update(paused_consumers="")

    after = " ".join(strip_tags(watch(maria, campaign.sale)).split())

    assert "Pauses when it opens awards.count_win awards.tell_winner" in before
    assert "Paused when it opened awards.count_win awards.tell_winner" in after


def test_the_history_of_a_sale_is_told_in_sentences_of_the_reader_s_language(redis, maria):
    campaign = a_sale()
    for act in ("warm", "close", "open"):
        press(maria, campaign.sale, act)
        settle()
    address = reverse("admin:awards_sale_history", args=[campaign.sale.pk])

    english = maria.get(address).content.decode()
    chinese = maria.get(address, headers={"Accept-Language": "zh-hans"}).content.decode()

    assert all(said in english for said in ("Opened the sale.", "Closed the sale.", "Had the stock counted once more."))
    assert all(said in chinese for said in ("开启了抢购。", "关闭了抢购。", "重新清点了库存。"))


def test_a_stock_that_redis_has_not_is_not_said_to_add_up(redis, capsys):
    a_sale(warm=False, sale={"state": "warming"})

    call_command("sale", "raffle", "check")

    assert "adds up: not known" in capsys.readouterr().out
