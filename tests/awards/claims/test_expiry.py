"""What nobody claims in time: its piece is in stock again, and is drawn for once more where the campaign says so."""

import random
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from awards.claims import expiry
from awards.claims.claiming import claim
from awards.errors import ClaimExpired
from awards.models import Award, AwardStatus, Block, DailyStatistic, Draw, Prize, StockChange
from outbox import Message, hurry
from outbox.testing import deliver_pending
from tests.awards.claims.given import ANNA, a_claimable, let_time_pass, stock_of
from tests.awards.given import Highest, Sequence, a_draw
from tests.awards.test_pages import text

pytestmark = pytest.mark.django_db

EXPIRE = "awards.expire_claim"


def expire(award: Award) -> None:
    let_time_pass(award)
    deliver_pending(EXPIRE)
    award.refresh_from_db()


def a_redrawn(*losers: str) -> Award:
    """Return an award that is over in a campaign that redraws, in which ``losers`` have drawn nothing."""
    award = a_claimable(redraws_expired=True, losing_weight=5)
    for loser in losers:
        a_draw(award.prize.campaign, loser, luck=Sequence(0))
    expire(award)
    return award


def test_its_piece_can_be_won_again_and_nobody_has_work_from_it(client):
    award = a_claimable(stock=3)
    deliver_pending("awards.count_claimable")

    expire(award)

    assert (award.status, stock_of(award)) == (AwardStatus.EXPIRED, 3)
    assert StockChange.objects.get().reason == f"award {award.public_id} has expired"
    assert list(DailyStatistic.objects.values_list("won", "revoked")) == [(1, 1)]
    assert Award.objects.count() == Draw.objects.count() == 1
    assert not Message.objects.filter(exhausted_at__isnull=False).exists()
    page = text(client.get(f"/draws/{award.draw.public_id}/"))
    assert "You had won Gift MUG-01 ✕ Expired Nobody said in time where to send it" in page


def test_called_early_it_waits_for_the_award_s_own_date():
    award = a_claimable()
    with transaction.atomic():
        assert hurry("award.claim.due", key=award.pk) == [EXPIRE]

    [delivery] = deliver_pending(EXPIRE)

    assert delivery.outcomes == ("snoozed",)
    assert delivery.message.due_at - award.claim_until < timedelta(seconds=5)
    assert Award.objects.get().is_unclaimed


def test_one_that_is_expired_is_not_claimed_and_not_expired_twice():
    award = a_claimable()
    expire(award)

    with pytest.raises(ClaimExpired):
        claim(award, ANNA)
    with transaction.atomic():
        assert expiry.expire(award.pk) is None
    assert stock_of(award) == 3


def test_one_that_was_claimed_does_not_expire_though_its_time_is_over():
    award = a_claimable()
    claim(award, ANNA)
    let_time_pass(award)

    with transaction.atomic():
        assert expiry.expire(award.pk) is None

    award.refresh_from_db()
    assert (award.status, award.claimed_at is not None, stock_of(award)) == (AwardStatus.WON, True, 2)


def test_a_piece_that_must_not_come_back_stays_taken():
    award = a_claimable()
    Prize.objects.update(returns_to_stock=False)

    expire(award)

    assert stock_of(award) == 2


def test_it_is_drawn_for_once_more_where_the_campaign_says_so(client):
    award = a_redrawn("bertha", "carla")
    kept = stock_of(award)

    with transaction.atomic():
        drawn = expiry.redraw(award.pk, Highest())

    lost = Draw.objects.get(person="carla", redraw_of=None)
    assert (drawn.person, drawn.redraw_of, drawn.award.prize) == ("carla", lost, award.prize)
    assert drawn.award.is_unclaimed
    assert kept == stock_of(award) == 2
    assert "your ticket was drawn for it" in text(client.get(f"/draws/{lost.public_id}/"))
    assert "No luck this time" in text(client.get(f"/draws/{lost.public_id}/"))


def test_a_redraw_happens_once_however_often_its_message_comes():
    award = a_redrawn("bertha", "carla")

    deliver_pending("awards.redraw")
    # PostgreSQL names the constraint, SQLite the columns.
    with pytest.raises(IntegrityError, match=r"awards_draw_once|draw\.request_id"), transaction.atomic():
        expiry.redraw(award.pk, Highest())

    assert Draw.objects.exclude(redraw_of=None).count() == 1


def test_who_is_blocked_is_not_drawn_and_with_nobody_left_the_piece_is_in_stock_again():
    award = a_redrawn("mallory")
    Block.objects.create(kind="person", subject="mallory", reason="a bot", blocked_by="maria")

    deliver_pending("awards.redraw")

    assert Draw.objects.exclude(redraw_of=None).count() == 0
    assert stock_of(award) == 3


def test_who_was_forgotten_is_not_drawn():
    award = a_redrawn("carla")
    call_command("erase_person", "carla", reason="letter 12", actor="ada", yes=True, stdout=StringIO())

    deliver_pending("awards.redraw")

    assert Draw.objects.exclude(redraw_of=None).count() == 0
    assert stock_of(award) == 3


def test_who_is_last_and_is_drawn_elsewhere_at_that_moment_is_passed_over():
    award = a_redrawn("bertha", "carla")

    class Meanwhile(Highest):
        def randrange(self, stop: int, /) -> int:
            number = super().randrange(stop)
            Draw.objects.filter(person="carla").delete()
            return number

    with transaction.atomic():
        drawn = expiry.redraw(award.pk, Meanwhile())

    assert drawn.person == "bertha"
    assert drawn.proof["losing draws"] == 1


def test_every_losing_draw_has_one_ticket():
    award = a_redrawn("bertha", "bertha", "carla")
    drawn = []
    for seed in range(30):
        with transaction.atomic():
            drawn.append(expiry.redraw(award.pk, random.Random(seed)).person)
            transaction.set_rollback(True)

    assert 10 < drawn.count("bertha") < 30
    assert "anna.seltsam@example.com" not in drawn
