"""Who began before midnight may come after one of the next day, whose counts stand: by each way to draw."""

import random
import uuid
from datetime import date, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from awards.errors import DailyLimitReached, DrawRefused, NothingNow
from awards.models import Campaign, Draw, Participation, Prize
from awards.sale.bulk_drawing import draw_for_all
from awards.sale.queueing import QueuedRequest, answer_to
from tests.awards.given import a_campaign, a_draw, a_gift, points

pytestmark = pytest.mark.django_db


def draw_alone(campaign: Campaign, person: str) -> str:
    try:
        a_draw(campaign, person)
    except DrawRefused as refusal:
        return refusal.code
    return "drawn"


def draw_together(campaign: Campaign, person: str) -> str:
    asked = QueuedRequest(campaign.pk, str(uuid.uuid4()), person)
    with transaction.atomic():
        draw_for_all(campaign.pk, [asked], random.Random(3))
    return answer_to(campaign.pk, asked.request_id).code or "drawn"


each_way = pytest.mark.parametrize("draw", [draw_alone, draw_together])


def tomorrow() -> date:
    return timezone.localdate() + timedelta(days=1)


@each_way
def test_a_draw_of_yesterday_counts_against_a_person_s_draws_of_today(draw):
    campaign = a_campaign(draws_per_day=2)
    points(campaign)
    draw(campaign, "anna")
    Participation.objects.update(day=tomorrow())

    said = [draw(campaign, "anna") for _ in range(2)]

    assert said == ["drawn", DailyLimitReached.code]
    mine = Participation.objects.get()
    assert (mine.draws, mine.draws_today, mine.day) == (2, 2, tomorrow())


@each_way
def test_a_win_of_yesterday_counts_against_a_prize_s_wins_of_today(draw):
    campaign = a_campaign()
    a_gift(campaign, stock=9, wins_per_day=2)
    draw(campaign, "anna")
    Prize.objects.update(win_day=tomorrow())

    said = [draw(campaign, person) for person in ("bertha", "carla")]

    assert said == ["drawn", NothingNow.code]
    prize = Prize.objects.get()
    assert (prize.stock, prize.wins_that_day, prize.win_day) == (7, 2, tomorrow())
    assert Draw.objects.count() == 2


@each_way
def test_the_next_day_begins_at_one(draw):
    campaign = a_campaign(draws_per_day=1)
    a_gift(campaign, stock=9, wins_per_day=1)
    draw(campaign, "anna")
    before = draw(campaign, "anna")
    Participation.objects.update(day=timezone.localdate() - timedelta(days=1))
    Prize.objects.update(win_day=timezone.localdate() - timedelta(days=1))

    assert (before, draw(campaign, "anna")) == (DailyLimitReached.code, "drawn")
    mine, prize = Participation.objects.get(), Prize.objects.get()
    assert (mine.draws_today, mine.day) == (1, timezone.localdate())
    assert (prize.wins_that_day, prize.win_day) == (1, timezone.localdate())
