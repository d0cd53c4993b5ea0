"""The page on which a sale is watched, its buttons, and the command that does the same."""

import json
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import strip_tags

from awards.models import Award, Because, Prize, Sale, SaleSecond, SaleState
from awards.sale import redis_stock, tallies
from awards.sale.comparing import compare
from awards.services import draws
from outbox.testing import deliver_pending
from tests.awards.given import Highest, a_campaign, points
from tests.awards.sale.given import a_queue, a_sale, draw, found, press, settle, watch

pytestmark = pytest.mark.django_db(transaction=True)


def in_words(page: str) -> str:
    return " ".join(strip_tags(page).split())


def test_what_is_sold_and_refused_is_seen(redis, maria):
    campaign = a_sale(pieces=5, sale={"rate": 10})
    draw(campaign)
    for number in range(20):
        tallies.count_request(campaign.pk, admitted=number < 5)
    tallies.write_down()

    page = watch(maria, campaign.sale)

    assert "0.1" in page, "one draw in ten seconds"
    assert "1.5 · at most 10 a second are let in" in in_words(page), "fifteen were refused"
    assert "Open the sale" not in page
    assert "Close the sale" in page


@pytest.mark.parametrize("stock_in", ["redis", "database"])
@pytest.mark.parametrize("act", ["open", "close"])
def test_how_many_came_in_each_second_is_forgotten_a_week_later(redis, maria, act, stock_in):
    campaign, earlier = a_sale(sale={"stock_in": stock_in}, warm=False), a_campaign("earlier")
    now = timezone.now()
    for came, days in ((campaign, 8), (campaign, 6), (earlier, 8), (earlier, 6)):
        SaleSecond.objects.add(came.pk, now - timedelta(days=days), admitted=1, refused=1)

    press(maria, campaign.sale, act)
    settle()

    assert {second.campaign_id for second in SaleSecond.objects.all()} == {campaign.pk, earlier.pk}
    assert all(now - second.second < timedelta(days=7) for second in SaleSecond.objects.all())


def test_what_waits_in_the_queue_is_seen(maria):
    campaign = a_queue()
    for number in range(3):
        Client().post(
            "/api/campaigns/raffle/draws",
            json.dumps({"person": f"person {number}"}),
            content_type="application/json",
            headers={"Idempotency-Key": f"request-{number}"},
        )

    page = watch(maria, campaign.sale)

    assert "In the queue" in page
    assert "the oldest for 0 s" in page


def test_since_when_a_stock_in_the_database_is_sold_out_is_seen(maria):
    campaign = a_queue(pieces=2)
    draws.draw_ticket(campaign, person="anna", request_id="1", luck=Highest())
    while_one_is_left = watch(maria, campaign.sale)
    last = draws.draw_ticket(campaign, person="bert", request_id="2", luck=Highest())

    page = watch(maria, campaign.sale)

    assert "<dt>Sold out</dt>" not in while_one_is_left
    since = formats.date_format(timezone.localtime(Award.objects.get(draw=last).won_at), "DATETIME_FORMAT")
    assert f"<dt>Sold out</dt> <dd>{since}</dd>" in " ".join(page.split())


def test_a_sale_is_closed_and_opened_again_by_hand(redis, maria):
    campaign = a_sale()

    press(maria, campaign.sale, "close")
    assert Sale.objects.get().state == SaleState.CLOSED
    press(maria, campaign.sale, "open")
    assert Sale.objects.get().state == SaleState.WARMING
    deliver_pending("awards.warm_sale")

    assert Sale.objects.get().state == SaleState.OPEN
    assert draw(found()).award.piece == 1


def test_who_may_only_look_presses_nothing(redis, maria):
    campaign = a_sale()
    Group.objects.get(name="Campaign manager").permissions.remove(Permission.objects.get(codename="run_sale"))

    assert "Close the sale" not in watch(maria, campaign.sale)
    assert press(maria, campaign.sale, "close").status_code == 403
    assert Sale.objects.get().state == SaleState.OPEN


def test_a_stock_that_does_not_add_up_is_said(redis, maria, capsys):
    campaign = a_sale(pieces=3)
    prize = Prize.objects.get()
    drawn = draw(campaign)
    settle()
    assert compare(campaign.sale)[0].balances

    redis.client.rpush(redis_stock._pieces(campaign.pk, campaign.sale.epoch, prize.pk), drawn.award.piece)

    [stock] = compare(campaign.sale)
    assert (stock.missing, stock.won_twice) == (-1, 1)
    assert "do not agree" in watch(maria, campaign.sale)
    with pytest.raises(CommandError, match="does not add up"):
        call_command("sale", "raffle", "check")
    assert "adds up: no" in capsys.readouterr().out
    call_command("sale", "raffle", "prewarm")
    said = capsys.readouterr().out
    assert "50 points: 2 left, 1 won, 2 in Redis" in said
    assert "adds up: yes" in said
    assert compare(Sale.objects.get())[0].balances


def test_a_prewarming_by_command_that_finds_no_redis_is_done_once_there_is_one(redis, settings):
    a_sale()
    there = settings.OUTBOX
    settings.OUTBOX = {**there, "REDIS_URL": "redis://127.0.0.1:1/0"}

    with pytest.raises(CommandError, match="Redis does not answer"):
        call_command("sale", "raffle", "prewarm")
    assert Sale.objects.get().state == SaleState.WARMING
    settings.OUTBOX = there
    deliver_pending("awards.warm_sale")
    assert Sale.objects.get().state == SaleState.WARMING, "a worker does not come between while it is under way"
    settle()

    assert Sale.objects.get().state == SaleState.OPEN
    assert draw(found()).award.piece == 1


def test_what_a_changed_stock_is_now_is_said_without_what_is_won(redis, maria):
    a_sale(pieces=5)
    prize = Prize.objects.get()
    draw(found())
    names = ("change_stock", "change_prize")
    Group.objects.get(name="Campaign manager").permissions.add(*Permission.objects.filter(codename__in=names))
    form = {"request_id": uuid.uuid4(), "act": "remove", "pieces": 1, "reason": "broken"}

    page = maria.post(reverse("admin:awards_prize_stock", args=[prize.pk]), form, follow=True)

    assert "The stock is 3 now." in page.content.decode()


def test_a_page_without_redis_says_so(redis, maria, settings):
    campaign = a_sale()
    settings.OUTBOX = {**settings.OUTBOX, "REDIS_URL": "redis://127.0.0.1:1/0"}

    assert "Redis does not answer" in watch(maria, campaign.sale)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"stock_in": "redis", "queues": "on"}, "take their pieces from the database"),
        ({"stock_in": "redis", "budget": 1}, "A campaign with a budget"),
        ({"stock_in": "redis", "wins_per_day": 1}, "a limit of wins a day"),
    ],
)
def test_what_redis_cannot_count_is_refused_in_the_form(maria, settings, fields, said):
    settings.OUTBOX = {**settings.OUTBOX, "REDIS_URL": "redis://127.0.0.1:1/0"}
    campaign = a_campaign(budget_points=100 if fields.pop("budget", 0) else None)
    points(campaign, stock=5, wins_per_day=fields.pop("wins_per_day", None))
    form = {"campaign": campaign.pk, "burst": 1, "within": 30, "rate": "", "paused_consumers": "", **fields}

    page = maria.post(reverse("admin:awards_sale_add"), form)

    assert page.status_code == 200
    assert said in page.content.decode()
    assert not Sale.objects.exists()


def test_a_sale_is_made_in_the_admin(maria):
    campaign = a_campaign()
    form = {"campaign": campaign.pk, "stock_in": "database", "rate": 100, "burst": 20, "within": 30}

    maria.post(reverse("admin:awards_sale_add"), {**form, "paused_consumers": "awards.tell_winner", "queues": "on"})

    sale = Sale.objects.get()
    assert (sale.rate, sale.burst, sale.queues, sale.consumers_to_pause) == (100, 20, True, ["awards.tell_winner"])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("awards.tell_winer", "Did you mean awards.tell_winner?"),
        ("awards.tell_winner\nawards.warm_sale", "awards.warm_sale cannot be paused"),
    ],
)
def test_a_consumer_that_cannot_be_paused_is_refused_in_the_form(maria, names, said):
    form = {"campaign": a_campaign().pk, "stock_in": "database", "burst": 1, "within": 30, "paused_consumers": names}

    page = maria.post(reverse("admin:awards_sale_add"), form)

    assert said in page.content.decode()
    assert not Sale.objects.exists()


def test_a_stock_in_redis_is_refused_where_there_is_no_redis(maria, settings):
    settings.OUTBOX = {**settings.OUTBOX, "REDIS_URL": ""}
    form = {"campaign": a_campaign().pk, "stock_in": "redis", "burst": 1, "within": 30, "paused_consumers": ""}

    page = maria.post(reverse("admin:awards_sale_add"), form)

    assert "set REDIS_URL" in page.content.decode()
    assert not Sale.objects.exists()


def test_draws_that_come_between_two_looks_are_no_difference(redis, monkeypatch):
    campaign = a_sale(pieces=5)
    pieces = redis_stock.pieces

    def draw_first(*args):
        draw(found())
        return pieces(*args)

    monkeypatch.setattr(redis_stock, "pieces", draw_first)
    [stock] = compare(campaign.sale)

    assert (stock.rest, stock.in_redis, stock.held, stock.balances) == (5, 4, 1, True)


def test_while_it_is_prewarmed_nothing_is_compared(redis, maria):
    campaign = a_sale(pieces=3)
    Sale.objects.close_for_warming(campaign.sale, Because.NOT_IN_REDIS)
    redis.client.flushall()

    page = watch(maria, campaign.sale)

    assert "being prewarmed" in page
    assert "do not agree" not in page


def test_why_it_is_closed_is_said_in_the_reader_s_language(redis, maria):
    campaign = a_sale()
    press(maria, campaign.sale, "close")

    page = maria.get(
        reverse("admin:awards_sale_watch", args=[campaign.sale.pk]), headers={"Accept-Language": "zh-hans"}
    ).content.decode()

    assert "maria has closed it, " in in_words(watch(maria, campaign.sale))
    assert "由 maria 于" in page
    call_command("sale", "raffle", "open")
    call_command("sale", "raffle", "close")
    assert "by command" in watch(maria, campaign.sale)


def test_the_page_is_read_again_without_a_script_too(maria):
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in watch(maria, a_queue().sale)


def test_the_list_and_the_campaign_lead_to_the_page_of_the_sale(maria):
    campaign = a_queue()
    address = reverse("admin:awards_sale_watch", args=[campaign.sale.pk])
    Group.objects.get(name="Campaign manager").permissions.add(Permission.objects.get(codename="view_campaign"))

    assert address in maria.get(reverse("admin:awards_sale_changelist")).content.decode()
    page = maria.get(reverse("admin:awards_campaign_change", args=[campaign.pk])).content.decode()
    assert address in page
    assert 'href="/campaigns/raffle/"' in page
