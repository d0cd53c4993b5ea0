"""Draws at the same moment, in real threads on real connections."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from awards.errors import LimitReached, RequestReused, SoldOut
from awards.models import Award, Draw, Participation, Prize
from outbox import Message
from tests.awards.given import a_campaign, a_draw, a_gift, points

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 6
CONSUMERS = 3
"""Who listens to a gift that was won: the one who orders it, the one who tells the winner, the one who counts."""


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Start all calls at the same moment; return what each returned or raised."""
    barrier = Barrier(len(calls))

    def run(call):
        try:
            barrier.wait(timeout=10)
            return call()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.mark.parametrize("limit", [None, 1])
def test_one_request_sent_many_times_at_once_is_one_draw_with_one_answer(limit):
    campaign = a_campaign(draws_per_person=limit)
    a_gift(campaign, stock=100)

    answers = at_once(*[lambda: a_draw(campaign, "anna", "request-1")] * THREADS)

    assert [type(answer) for answer in answers] == [Draw] * THREADS
    assert len({answer.award.public_id for answer in answers}) == 1
    assert sorted(answer.repeated for answer in answers) == [False] + [True] * (THREADS - 1)
    assert Draw.objects.count() == Award.objects.count() == 1
    assert Message.objects.count() == CONSUMERS
    assert Prize.objects.get().stock == 99
    assert Participation.objects.get().draws == 1


def test_one_request_id_for_two_people_at_once_serves_one_and_refuses_the_other():
    campaign = a_campaign()
    points(campaign)

    answers = at_once(lambda: a_draw(campaign, "anna", "request-1"), lambda: a_draw(campaign, "bertha", "request-1"))

    assert sorted(type(answer).__name__ for answer in answers) == [Draw.__name__, RequestReused.__name__]
    assert Draw.objects.count() == Participation.objects.filter(draws=1).count() == 1


def test_the_last_request_for_the_last_prize_gets_the_same_answer_as_its_twin():
    campaign = a_campaign()
    a_gift(campaign, stock=1)

    answers = at_once(*[lambda: a_draw(campaign, "anna", "request-1")] * THREADS)

    assert len({answer.award.pk for answer in answers}) == 1


def test_a_limit_holds_against_many_requests_at_once():
    campaign = a_campaign(draws_per_person=2)
    points(campaign)

    answers = at_once(*[lambda: a_draw(campaign, "anna")] * THREADS)

    assert sum(isinstance(answer, Draw) for answer in answers) == 2
    assert sum(isinstance(answer, LimitReached) for answer in answers) == THREADS - 2
    assert Draw.objects.count() == Participation.objects.get().draws == 2


def test_stock_is_given_out_to_the_last_piece_and_never_beyond():
    campaign = a_campaign()
    a_gift(campaign, stock=THREADS * 2 - 1)

    def draw_twice_or_more():
        return [a_draw(campaign, "somebody") for _ in range(2)]

    answers = at_once(*[draw_twice_or_more] * THREADS)

    assert sum(isinstance(answer, SoldOut) for answer in answers) == 1
    assert Prize.objects.get().stock == 0
    assert Award.objects.count() == THREADS * 2 - 1
    assert Message.objects.count() == (THREADS * 2 - 1) * CONSUMERS


def test_people_who_draw_for_two_prizes_at_once_do_not_deadlock():
    campaign = a_campaign(losing_weight=1)
    a_gift(campaign, "MUG-01", stock=4)
    a_gift(campaign, "PEN-02", stock=4)

    def draw_until_sold_out(person):
        try:
            while True:
                a_draw(campaign, person, luck=random.Random(person))
        except SoldOut:
            return "sold out"

    answers = at_once(*[lambda person=f"person {number}": draw_until_sold_out(person) for number in range(THREADS)])

    assert answers == ["sold out"] * THREADS
    assert sorted(Prize.objects.values_list("stock", flat=True)) == [0, 0]
    assert Award.objects.count() == 8
