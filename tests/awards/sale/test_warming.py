"""Redis that has forgotten, or remembers too much: the sale closes, is prewarmed from the database, and opens."""

import uuid
from itertools import count

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from redis import Redis
from redis.exceptions import ConnectionError as RedisDown

from awards.errors import SaleClosed, SaleUnavailable, SoldOut, StockTooSmall
from awards.models import Award, Because, Prize, Sale, SaleState, StockAct
from awards.sale import redis_stock, warming
from awards.sale.comparing import compare
from awards.sale.running import close_sale, open_sale
from awards.services import campaigns
from awards.services.campaigns import StockChangeRequest
from awards.services.revoking import revoke
from awards.services.sales import close_for_warming
from awards.services.written_stock import write_down
from outbox import Message
from outbox.models import ConsumerState, Half
from outbox.testing import deliver_pending
from tests.awards.sale.given import a_sale, adds_up, draw, failing, found, pieces_left, settle
from tests.awards.test_draw_races import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def state() -> str:
    return Sale.objects.get().state


def test_the_first_who_comes_when_the_campaign_has_begun_has_the_sale_prewarmed(redis):
    a_sale(warm=False)

    with pytest.raises(SaleClosed):
        draw(found())
    settle()

    assert state() == SaleState.OPEN
    assert draw(found()).award.piece == 1


def test_redis_that_was_flushed_is_filled_with_what_no_award_has(redis):
    campaign = a_sale(pieces=4)
    for number in range(2):
        draw(campaign, f"person {number}")

    redis.client.flushall()
    with pytest.raises(SaleClosed):
        draw(found(), "anna")
    assert state() == SaleState.WARMING
    settle()

    assert state() == SaleState.OPEN
    assert [draw(found(), f"later {number}").award.piece for number in range(2)] == [3, 4]
    with pytest.raises(SoldOut):
        draw(found(), "too late")
    settle()
    assert adds_up(campaign, 4)


def test_a_replica_without_the_last_takes_hands_a_piece_out_twice_and_nobody_gets_it(redis):
    campaign = a_sale(pieces=3)
    prize = Prize.objects.get()
    first = draw(campaign, "anna")

    # The replica that is promoted has not heard of that take.
    keys = redis_stock._keys(campaign.pk, campaign.sale.epoch)
    redis.client.lpush(redis_stock._pieces(campaign.pk, campaign.sale.epoch, prize.pk), first.award.piece)
    redis.client.delete(keys[1], keys[3])
    with pytest.raises(SaleClosed):
        draw(found(), "bertha")

    assert Award.objects.count() == 1
    assert state() == SaleState.WARMING
    settle()
    assert state() == SaleState.OPEN
    assert [draw(found(), f"person {number}").award.piece for number in range(2)] == [2, 3]
    with pytest.raises(SoldOut):
        draw(found(), "too late")
    settle()
    assert adds_up(campaign, 3)


def test_a_piece_taken_before_a_prewarming_is_never_drawn_after_it(redis, monkeypatch):
    campaign = a_sale(pieces=1)
    own = redis_stock.take

    def take_and_sleep(*args):
        answer = own(*args)
        monkeypatch.setattr(redis_stock, "take", own)
        Sale.objects.switch(campaign.sale, SaleState.WARMING)
        assert warming.warm(campaign.sale.pk)
        return answer

    monkeypatch.setattr(redis_stock, "take", take_and_sleep)
    with pytest.raises(SaleClosed):
        draw(campaign, "anna")

    assert not Award.objects.exists()
    assert draw(found(), "bertha").award.piece == 1
    settle()
    assert Half.objects.filter(state="taken_back").count() == 1
    assert adds_up(campaign, 1)


def test_redis_that_does_not_answer_refuses_and_what_was_begun_is_taken_back(redis):
    campaign = a_sale(pieces=2)
    with failing("awards.sale.redis_stock.take", RedisDown("gone")), pytest.raises(SaleUnavailable):
        draw(campaign, "anna", "request-1")
    settle()

    assert [half.state for half in Half.objects.all()] == ["taken_back"]
    assert draw(found(), "anna", "request-1").award.piece == 1


def test_pieces_that_are_added_are_sold_and_those_taken_off_are_not(redis):
    campaign = a_sale(pieces=3)
    prize = Prize.objects.get()
    draw(campaign, "anna")

    change(prize, StockAct.ADD, 2)
    settle()
    assert len(pieces_left(found().sale, prize.pk)) == 4
    change(prize, StockAct.REMOVE, 3)
    settle()

    assert len(pieces_left(found().sale, prize.pk)) == 1
    with pytest.raises(StockTooSmall):
        change(prize, StockAct.REMOVE, 2)
    assert state() == SaleState.OPEN, "a change that was refused has changed nothing"
    draw(found(), "bertha")
    settle()
    assert Prize.objects.get().stock == 0


@pytest.mark.parametrize("reopened", [False, True])
@pytest.mark.parametrize(("act", "pieces", "left"), [(StockAct.REMOVE, 3, 2), (StockAct.ADD, 2, 7)])
def test_a_stock_that_is_changed_while_redis_is_filled_is_counted_once_more(
    redis, monkeypatch, act, pieces, left, reopened
):
    campaign = a_sale(pieces=5, warm=False)
    prize = Prize.objects.get()
    Sale.objects.switch(campaign.sale, SaleState.WARMING)
    fill = redis_stock.fill

    def change_and_fill(*args, **options):
        monkeypatch.setattr(redis_stock, "fill", fill)
        if reopened:
            close_sale(campaign.sale, because=Because.CLOSED)
        change(prize, act, pieces)
        if reopened:
            open_sale(campaign.sale)
        fill(*args, **options)

    monkeypatch.setattr(redis_stock, "fill", change_and_fill)
    assert not warming.warm(campaign.sale.pk), "what it has filled Redis with is not so any more"
    settle()

    assert state() == SaleState.OPEN
    assert len(pieces_left(found().sale, prize.pk)) == left
    assert sum("pieces" in key for key in redis.client.scan_iter()) == 1, "earlier epochs are gone"


def test_a_closed_sale_whose_stock_was_changed_has_nothing_to_compare(redis):
    campaign = a_sale(pieces=3)
    draw(campaign, "anna")
    close_sale(campaign.sale, because=Because.CLOSED)
    assert compare(Sale.objects.get())[0].in_redis == 2

    change(Prize.objects.get(), StockAct.REMOVE, 1)

    [stock] = compare(Sale.objects.get())
    assert (stock.rest, stock.in_redis) == (1, None)


def test_what_is_won_and_not_written_down_is_not_there_to_be_removed(redis):
    campaign = a_sale(pieces=3)
    draw(campaign, "anna")
    draw(campaign, "bertha")

    with pytest.raises(StockTooSmall) as refused:
        change(Prize.objects.get(), StockAct.REMOVE, 2)
    change(Prize.objects.get(), StockAct.UNLIMIT, None)
    change(Prize.objects.get(), StockAct.LIMIT, 4)
    settle()

    assert refused.value.left == 1
    assert Prize.objects.get().stock == 4


def test_pieces_come_back_and_stocks_change_at_the_same_moment_and_nobody_waits_for_ever(redis):
    campaign = a_sale(pieces=12, restock_revoked=True)
    prize = Prize.objects.get()
    awards = [draw(campaign, f"person {number}").award for number in range(6)]

    def revoked(award):
        return lambda: revoke(award, actor="maria").restocked

    changes = [lambda: change(prize, StockAct.REMOVE, 1), lambda: change(prize, StockAct.ADD, 1)]
    *others, opened = at_once(
        *map(revoked, awards),
        *changes,
        lambda: write_stock_of(awards),
        lambda: warming.warm(campaign.sale.pk),
    )
    settle()

    assert others == [True] * 6 + [None] * 3
    assert isinstance(opened, bool), opened
    assert Prize.objects.get().stock == len(pieces_left(found().sale, prize.pk)) == 12


def test_a_stock_is_never_taken_off_twice_for_what_redis_has_handed_out(redis):
    campaign = a_sale(pieces=3)
    draw(campaign, "anna")

    change(Prize.objects.get(), StockAct.ADD, 1)
    settle()
    settle()

    assert Prize.objects.get().stock == 3
    assert Message.objects.filter(topic="stock.taken", status="success").count() == 1


def test_a_prewarming_that_was_cut_off_is_done_again(redis):
    campaign = a_sale(pieces=2, warm=False)
    Sale.objects.switch(campaign.sale, SaleState.WARMING)
    with failing("awards.sale.redis_stock.fill", ZeroDivisionError()), pytest.raises(ZeroDivisionError):
        warming.warm(campaign.sale.pk)
    with pytest.raises(SaleClosed):
        draw(found())

    assert warming.warm(campaign.sale.pk)

    assert draw(found()).award.piece == 1


def test_a_prewarming_whose_every_answer_is_lost_once_puts_each_piece_in_once(redis, monkeypatch):
    campaign = a_sale(pieces=12, warm=False)
    monkeypatch.setattr(redis_stock, "PUSHED_AT_ONCE", 5)
    Sale.objects.switch(campaign.sale, SaleState.WARMING)
    answers, own = count(), Redis.parse_response

    def lose_every_other(*args, **options):
        answer = own(*args, **options)
        if next(answers) % 2 == 0:
            raise RedisDown("the connection was cut off")
        return answer

    with monkeypatch.context() as cut_off:
        cut_off.setattr(Redis, "parse_response", lose_every_other)
        assert warming.warm(campaign.sale.pk)

    assert pieces_left(found().sale, Prize.objects.get().pk) == list(range(1, 13))


def test_redis_takes_in_many_thousands(redis):
    campaign = a_sale(pieces=12_000)
    key = redis_stock._pieces(campaign.pk, campaign.sale.epoch, Prize.objects.get().pk)

    assert pieces_left(campaign.sale, Prize.objects.get().pk) == list(range(1, 12_001))
    assert redis.client.ttl(key) > 0


def test_a_sale_of_more_pieces_than_redis_takes_in_is_closed_and_says_why(redis):
    campaign = a_sale(pieces=5)
    Prize.objects.update(stock=2**31 - 1)
    close_for_warming(campaign.sale, Because.COMMANDED)

    deliver_pending("awards.warm_sale")

    assert (state(), Sale.objects.get().why) == (SaleState.CLOSED, "a prize has more pieces than Redis takes in")
    assert Message.objects.get(consumer="awards.warm_sale").status == "success"
    with pytest.raises(SaleClosed):
        draw(found())
    Sale.objects.update(state=SaleState.NEW)
    with pytest.raises(CommandError, match="it is closed: a prize has more pieces than Redis takes in"):
        call_command("sale", "raffle", "prewarm")


def test_the_consumers_that_a_sale_names_rest_until_its_campaign_ends(redis):
    campaign = a_sale(sale={"paused_consumers": "awards.tell_winner\nawards.write_stock\nno.such"})

    paused = ConsumerState.objects.get(paused_at__isnull=False)

    assert paused.consumer == "awards.tell_winner", "what the sale lives on goes on"
    assert abs((paused.paused_until - campaign.ends_at).total_seconds()) < 5


def test_a_half_empty_sale_whose_pieces_redis_has_lost_is_prewarmed_when_it_looks_sold_out(redis):
    campaign = a_sale(pieces=3)
    prize = Prize.objects.get()
    redis.client.ltrim(redis_stock._pieces(campaign.pk, campaign.sale.epoch, prize.pk), 0, 0)

    draw(campaign, "anna")
    settle()

    assert len(pieces_left(found().sale, prize.pk)) == 2
    assert state() == SaleState.OPEN


def write_stock_of(awards: list[Award]) -> None:
    with transaction.atomic():
        write_down([award.public_id for award in awards])


def change(prize: Prize, act: StockAct, pieces: int | None) -> None:
    with transaction.atomic():
        request = StockChangeRequest(act=act, pieces=pieces, reason="test", request_id=uuid.uuid4())
        campaigns.change_stock(prize, request, actor="maria")
