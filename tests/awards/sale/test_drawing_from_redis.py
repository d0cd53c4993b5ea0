"""Draws whose pieces Redis hands out: each piece once, each request once, and the prize's row follows."""

import random
import uuid

import pytest

from awards.errors import LimitReached, NothingNow, RequestReused, SaleClosed, SaleUnavailable, SoldOut
from awards.models import Award, Campaign, Draw, Participation, Prize, Sale, SaleState
from awards.sale import redis_stock, warming
from outbox import Message
from outbox.models import Half
from tests.awards.given import Sequence, points
from tests.awards.sale.given import a_sale, adds_up, draw, failing, found, pieces_left, settle
from tests.awards.test_draw_races import at_once

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 8


def test_a_piece_is_taken_in_redis_and_written_down_later(redis):
    campaign = a_sale(pieces=3)

    drawn = draw(campaign)

    prize = Prize.objects.get()
    assert drawn.award.piece == 1
    assert (prize.stock, pieces_left(campaign.sale, prize.pk)) == (3, [2, 3])
    settle()
    prize.refresh_from_db()
    assert prize.stock == 2
    assert Award.objects.get().stock_written
    assert [half.state for half in Half.objects.all()] == ["published"]


def test_the_last_piece_is_the_last_and_everybody_else_hears_sold_out(redis):
    campaign = a_sale(pieces=2)

    answers = [draw(campaign, f"person {number}") for number in range(2)]
    with pytest.raises(SoldOut):
        draw(campaign, "too late")
    settle()

    assert {answer.award.piece for answer in answers} == {1, 2}
    assert Prize.objects.get().stock == 0
    assert Sale.objects.get().sold_out_at is not None
    assert Half.objects.count() == 2, "whoever finds nothing left writes nothing"


def test_many_at_once_never_get_one_piece_twice(redis):
    campaign = a_sale(pieces=THREADS + 3)

    def draw_twice():
        drawn = []
        for _ in range(2):
            try:
                drawn.append(draw(campaign, str(uuid.uuid4())))
            except SoldOut:
                drawn.append(None)
        return drawn

    answers = [answer for answers in at_once(*[draw_twice] * THREADS) for answer in answers]
    settle()

    assert sum(answer is not None for answer in answers) == THREADS + 3
    assert adds_up(campaign, THREADS + 3)
    assert Prize.objects.get().stock == 0


def test_one_request_sent_many_times_at_once_is_one_draw_and_one_piece(redis):
    campaign = a_sale(pieces=10)

    answers = at_once(*[lambda: draw(campaign, "anna", "request-1")] * THREADS)
    settle()

    assert {type(answer) for answer in answers} == {Draw}, answers
    assert Draw.objects.count() == Award.objects.count() == 1
    assert adds_up(campaign, 10)
    assert len(pieces_left(campaign.sale, Prize.objects.get().pk)) == 9


def test_a_request_id_of_another_person_is_refused(redis):
    campaign = a_sale()
    draw(campaign, "anna", "request-1")

    with pytest.raises(RequestReused):
        draw(campaign, "bertha", "request-1")


def test_redis_counts_what_each_person_may_draw_and_the_database_does_so_too(redis):
    campaign = a_sale(draws_per_person=1)
    draw(campaign, "anna")

    with pytest.raises(LimitReached):
        draw(campaign, "anna")

    assert Half.objects.count() == 1, "Redis knew it, so nothing was begun"
    redis.client.hdel(redis_stock._keys(campaign.pk, campaign.sale.epoch)[2], fingerprint("anna"))
    with pytest.raises(LimitReached):
        draw(campaign, "anna")
    settle()
    assert Participation.objects.get().draws == 1
    assert adds_up(campaign, 5)
    assert len(pieces_left(campaign.sale, Prize.objects.get().pk)) == 4


def test_a_draw_that_loses_takes_nothing_and_is_counted_once(redis):
    campaign = a_sale(losing_weight=5, draws_per_person=2)

    lost = draw(campaign, "anna", "request-1", Sequence(0))
    again = draw(campaign, "anna", "request-1", Sequence(0))

    assert lost.won is None
    assert again.pk == lost.pk
    assert not Half.objects.exists()
    keys = redis_stock._keys(campaign.pk, campaign.sale.epoch)
    assert redis.client.hget(keys[2], fingerprint("anna")) == "1"


@pytest.mark.parametrize(
    ("campaign_has", "prize_has"),
    [({"budget_money": 100}, {}), ({"budget_points": 100}, {}), ({}, {"wins_per_day": 9})],
)
def test_nobody_draws_beyond_what_redis_cannot_count(redis, campaign_has, prize_has):
    campaign = a_sale()
    Campaign.objects.update(**campaign_has, name="Raffle")
    Prize.objects.update(**prize_has, weight=1)

    with pytest.raises(SaleClosed):
        draw(found())

    assert not Half.objects.exists()
    assert len(pieces_left(campaign.sale, Prize.objects.get().pk)) == 5


def test_a_prize_that_is_gone_is_left_out_and_luck_is_asked_for_the_others(redis):
    campaign = a_sale(pieces=1, warm=False)
    points(campaign, 70, stock=1)
    sale = Sale.objects.get()
    Sale.objects.switch(sale, SaleState.WARMING)
    warming.warm(sale.pk)

    won = {draw(found(), f"person {number}", luck=random.Random(number)).award.prize_id for number in range(2)}

    assert len(won) == 2
    with pytest.raises(SoldOut):
        draw(found(), "too late")


def test_a_limit_of_wins_holds_where_two_draws_of_one_person_meet(redis):
    campaign = a_sale()
    Prize.objects.update(wins_per_person=1)

    answers = at_once(*[lambda: draw(campaign, "anna")] * 3)
    settle()

    assert sum(isinstance(answer, Draw) for answer in answers) == 1
    assert sum(isinstance(answer, NothingNow) for answer in answers) == 2
    assert adds_up(campaign, 5)
    assert len(pieces_left(campaign.sale, Prize.objects.get().pk)) == 4


def test_what_fails_after_the_piece_was_taken_gives_it_back_once_the_half_is_taken_back(redis):
    campaign = a_sale(pieces=1)
    prize = Prize.objects.get()

    with failing("awards.services.draws.award_prize", ZeroDivisionError()), pytest.raises(ZeroDivisionError):
        draw(campaign, "anna", "request-1")

    assert pieces_left(campaign.sale, prize.pk) == [], "it is held until nobody can draw it any more"
    settle()
    assert pieces_left(campaign.sale, prize.pk) == [1]
    assert Half.objects.get().state == "taken_back"
    assert draw(campaign, "anna", "request-1").award.piece == 1


def test_a_producer_that_was_slow_finds_its_half_taken_back_and_draws_nothing(redis, monkeypatch):
    campaign = a_sale(pieces=1)
    own = redis_stock.take

    def take_and_sleep(*args):
        answer = own(*args)
        monkeypatch.setattr(redis_stock, "take", own)
        settle()  # ten seconds pass: the check says no, and the piece is given back
        assert draw(campaign, "bertha", "request-2").award.piece == 1
        return answer

    monkeypatch.setattr(redis_stock, "take", take_and_sleep)
    with pytest.raises(SaleUnavailable):
        draw(campaign, "anna", "request-1")

    settle()
    assert Award.objects.get().person == "bertha"
    assert adds_up(campaign, 1)


def test_a_take_that_comes_after_it_was_given_back_takes_nothing(redis):
    campaign = a_sale(pieces=1)
    prize = Prize.objects.get()
    write_id = uuid.uuid4()
    asker = redis_stock.Asker(request_id="request-1", person="anna", limit=None)

    assert redis_stock.give_back(campaign.pk, campaign.sale.epoch, write_id) == "never"

    assert redis_stock.take(campaign.sale, asker, prize.pk, write_id).status == "void"
    assert pieces_left(campaign.sale, prize.pk) == [1]


def test_the_same_take_again_is_the_same_piece_and_giving_it_back_twice_is_once(redis):
    campaign = a_sale(pieces=3)
    prize = Prize.objects.get()
    write_id = uuid.uuid4()
    asker = redis_stock.Asker(request_id="request-1", person="anna", limit=None)

    first = redis_stock.take(campaign.sale, asker, prize.pk, write_id)
    again = redis_stock.take(campaign.sale, asker, prize.pk, write_id)
    given = [redis_stock.give_back(campaign.pk, campaign.sale.epoch, write_id) for _ in range(2)]

    assert first == again
    assert given == ["given back", "void"]
    assert sorted(pieces_left(campaign.sale, prize.pk)) == [1, 2, 3]


def test_a_sale_that_a_person_has_closed_refuses_and_writes_nothing(redis):
    campaign = a_sale()
    Sale.objects.switch(campaign.sale, SaleState.CLOSED)

    with pytest.raises(SaleClosed):
        draw(found())

    assert not Half.objects.exists()
    assert not Message.objects.exists()


def fingerprint(person: str) -> str:
    return redis_stock.Asker(request_id="", person=person, limit=None).fingerprint
