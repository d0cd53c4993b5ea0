"""The rules of a draw: when and how often a prize is won, what a budget allows, what is given instead, the proof."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from awards import rules
from awards.claims import expiry
from awards.errors import NothingNow, SoldOut
from awards.models import Award, Campaign, Draw, Prize
from awards.services.campaigns import copy_campaign
from awards.services.revoking import revoke
from outbox.testing import deliver_pending
from tests.awards.claims.given import a_claimable, let_time_pass
from tests.awards.given import Sequence, a_campaign, a_draw, a_gift, points
from tests.awards.test_draw_races import at_once

pytestmark = pytest.mark.django_db


def prize_of(drawn: Draw) -> str:
    return drawn.award.prize.name if drawn.won else "nothing"


def spent() -> tuple[Decimal, int]:
    return Campaign.objects.values_list("spent_money", "spent_points").get()


class TestWhenAndHowOften:
    @pytest.mark.parametrize(
        ("span", "can"),
        [
            ({"starts_at": timedelta(minutes=5)}, False),
            ({"ends_at": timedelta(minutes=-5)}, False),
            ({"starts_at": timedelta(minutes=-5), "ends_at": timedelta(minutes=5)}, True),
        ],
    )
    def test_a_prize_is_won_in_its_time_alone(self, span, can):
        campaign = a_campaign()
        mug = a_gift(campaign)
        Prize.objects.filter(pk=mug.pk).update(**{name: Now() + value for name, value in span.items()})

        if can:
            assert prize_of(a_draw(campaign)) == mug.name
        else:
            with pytest.raises(NothingNow):
                a_draw(campaign)

    def test_a_prize_is_won_so_often_a_day_and_on_the_next_day_again(self):
        campaign = a_campaign(losing_weight=1)
        a_gift(campaign, wins_per_day=2)

        drawn = [prize_of(a_draw(campaign, f"person {n}")) for n in range(2)]
        with pytest.raises(NothingNow):
            a_draw(campaign, "person 2")
        Prize.objects.update(win_day=Now() - timedelta(days=1))
        drawn.append(prize_of(a_draw(campaign, "person 2")))

        assert drawn == ["Gift MUG-01"] * 3
        assert Prize.objects.get().wins_that_day == 1

    def test_one_person_wins_a_prize_so_often_and_others_still_do(self):
        campaign = a_campaign()
        a_gift(campaign, wins_per_person=1, stock=5)
        award = a_draw(campaign, "anna").award

        with pytest.raises(NothingNow):
            a_draw(campaign, "anna")
        a_draw(campaign, "bertha")
        revoke(award, actor="ada")
        a_draw(campaign, "anna")

        assert Award.objects.count() == 3

    def test_a_draw_that_finds_nothing_to_win_is_not_used_up(self):
        campaign = a_campaign(draws_per_person=1)
        points(campaign)
        Prize.objects.update(starts_at=Now() + timedelta(minutes=5))
        with pytest.raises(NothingNow):
            a_draw(campaign)
        Prize.objects.update(starts_at=None)

        assert prize_of(a_draw(campaign)) == "50 points"


class TestInstead:
    def test_the_fallback_prize_is_given_where_it_would_be_sold_out(self):
        campaign = a_campaign()
        a_gift(campaign, stock=1)
        points(campaign, 5, weight=0, is_fallback=True)

        drawn = [a_draw(campaign) for _ in range(2)]

        assert [prize_of(each) for each in drawn] == ["Gift MUG-01", "5 points"]
        assert drawn[1].proof["fallback"] == drawn[1].award.prize_id

    def test_it_is_not_given_for_a_losing_ticket(self):
        campaign = a_campaign(losing_weight=1)
        a_gift(campaign, stock=1)
        points(campaign, 5, weight=0, is_fallback=True)

        assert prize_of(a_draw(campaign, luck=Sequence(0))) == "nothing"

    def test_without_one_it_is_sold_out(self):
        campaign = a_campaign()
        a_gift(campaign, stock=0)

        with pytest.raises(SoldOut):
            a_draw(campaign)

    def test_a_campaign_has_one_and_it_has_no_limits(self):
        campaign = a_campaign()
        points(campaign, 5, is_fallback=True)

        for fields in ({}, {"stock": 3}, {"wins_per_day": 1}):
            with pytest.raises(IntegrityError), transaction.atomic():
                points(campaign, 6, is_fallback=True, **fields)


class TestBudget:
    def test_what_a_budget_has_not_left_is_not_won(self):
        campaign = a_campaign(budget_money=Decimal(30))
        a_gift(campaign, value=Decimal("12.50"))

        for _ in range(2):
            a_draw(campaign)
        with pytest.raises(NothingNow):
            a_draw(campaign)

        assert spent() == (Decimal(25), 0)

    def test_points_have_a_budget_of_their_own_and_the_fallback_is_counted_beyond_it(self):
        campaign = a_campaign(budget_points=60)
        points(campaign, 50)
        points(campaign, 20, weight=0, is_fallback=True)

        drawn = [prize_of(a_draw(campaign)) for _ in range(2)]

        assert drawn == ["50 points", "20 points"]
        assert spent() == (0, 70)

    def test_what_is_revoked_or_expires_is_not_spent(self):
        campaign = a_campaign(budget_points=100)
        points(campaign, 50)
        revoke(a_draw(campaign).award, actor="ada")

        assert spent() == (0, 0)
        Campaign.objects.all().update(slug="other")
        award = a_claimable(budget_money=Decimal(20))
        assert Award.objects.get(pk=award.pk).budgeted
        let_time_pass(award)
        with transaction.atomic():
            expiry.expire(award.pk)
        assert Campaign.objects.get(pk=award.prize.campaign_id).spent_money == 0

    def test_what_was_won_before_there_was_a_budget_does_not_come_back_to_it(self):
        campaign = a_campaign()
        points(campaign, 50)
        award = a_draw(campaign).award
        Campaign.objects.update(budget_points=100)

        revoke(award, actor="ada")

        assert spent() == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_budgets_and_limits_of_a_day_hold_against_many_draws_at_once():
    campaign = a_campaign(budget_money=Decimal(100))
    a_gift(campaign, "MUG-01", value=Decimal(30), stock=50)
    a_gift(campaign, "PEN-02", value=Decimal(10), stock=50, wins_per_day=3)

    def draw_some(person):
        for turn in range(4):
            try:
                a_draw(campaign, f"{person} {turn}", luck=Sequence(turn % 2))
            except NothingNow:
                continue

    at_once(*[lambda number=number: draw_some(f"person {number}") for number in range(8)])

    awards = Award.objects.all()
    campaign.refresh_from_db()
    assert sum(award.value for award in awards) == campaign.spent_money <= 100
    assert awards.filter(vendor_sku="PEN-02").count() <= 3
    assert 100 - sum(prize.stock for prize in Prize.objects.all()) == awards.count()


class TestProof:
    def test_a_draw_keeps_the_odds_the_number_and_the_version_of_the_code(self):
        campaign = a_campaign(losing_weight=7)
        mug, pen = a_gift(campaign, weight=2), a_gift(campaign, "PEN-02", weight=1)

        drawn = a_draw(campaign, luck=Sequence(8))

        drawn.refresh_from_db()
        assert drawn.proof == {
            "code": rules.code_version(),
            "rounds": [{"tickets": [[None, 7], [mug.pk, 2], [pen.pk, 1]], "number": 8, "prize": mug.pk}],
            "fallback": None,
        }
        assert rules.replay(drawn.proof) == drawn.award.prize_id == mug.pk

    def test_a_proof_that_was_changed_does_not_hold(self):
        campaign = a_campaign(losing_weight=7)
        a_gift(campaign)
        drawn = a_draw(campaign)
        drawn.proof["rounds"][0]["number"] = 0

        with pytest.raises(ValueError, match="another ticket"):
            rules.replay(drawn.proof)

    def test_every_draw_of_a_campaign_can_be_proven(self):
        campaign = a_campaign(losing_weight=3)
        a_gift(campaign, stock=2)
        points(campaign, weight=0, is_fallback=True)
        drawn = [a_draw(campaign, luck=Sequence(number)) for number in (0, 3, 1, 3, 3)]

        assert [rules.replay(each.proof) for each in drawn] == [each.won and each.won.prize_id for each in drawn]
        assert [prize_of(each) for each in drawn] == ["nothing", "Gift MUG-01", "nothing", "Gift MUG-01", "50 points"]

    def test_the_desk_shows_it_and_says_whether_it_holds(self, admin_client):
        campaign = a_campaign(losing_weight=7)
        a_gift(campaign)
        drawn = a_draw(campaign)
        page = f"/admin/awards/draw/{drawn.pk}/change/"

        sound = admin_client.get(page).content.decode()
        drawn.proof["rounds"][0]["number"] = 0
        drawn.save()
        changed = admin_client.get(page).content.decode()

        assert "Number 8 of 8: Gift MUG-01" in sound
        assert "it comes to the same" in sound
        assert "This proof does not hold" in changed


class TestSimulation:
    def simulated(self, capsys, *arguments) -> str:
        call_command("simulate", "raffle", *arguments)
        return capsys.readouterr().out

    def test_it_says_what_a_campaign_would_give_away_and_writes_nothing(self, capsys):
        campaign = a_campaign(losing_weight=60)
        points(campaign, 50, weight=30)
        a_gift(campaign, weight=10, stock=100)
        before = list(Prize.objects.values())

        said = self.simulated(capsys, "--draws", "10000", "--seed", "7")
        lines = {line[:32].strip(): line[32:].split() for line in said.splitlines()}

        assert lines["Gift MUG-01"][:3] == ["100", "1.00%", "1,250.00"]
        assert 2_900 < int(lines["50 points"][0].replace(",", "")) < 3_700
        assert lines["refused: nothing to win"][0] == "0"
        assert "10,000 draws by 10,000 people give away 1,250.00 in money" in said
        assert list(Prize.objects.values()) == before
        assert not Draw.objects.exists()

    def test_the_same_seed_draws_the_same(self, capsys):
        points(a_campaign(losing_weight=60), 50, weight=30)

        assert self.simulated(capsys, "--draws", "500", "--seed", "7") == self.simulated(
            capsys, "--draws", "500", "--seed", "7"
        )

    def test_limits_budgets_and_the_fallback_hold_as_in_draws(self, capsys):
        campaign = a_campaign(budget_points=40, starts_at=timedelta(days=-1), ends_at=timedelta(days=1))
        points(campaign, 10, weight=1)
        a_gift(campaign, wins_per_person=1, value=Decimal(1))
        a_gift(campaign, "PEN-02", wins_per_day=2, value=Decimal(1))
        points(campaign, 1, weight=0, is_fallback=True)

        said = self.simulated(capsys, "--draws", "1000", "--people", "5", "--seed", "3")
        lines = {line[:32].strip(): line[32:].split() for line in said.splitlines()}

        assert lines["10 points"][0] == "4"
        assert lines["Gift MUG-01"][0] == "5"
        assert lines["Gift PEN-02"][0] in ("4", "6")
        assert lines["1 points"][0] == str(1_000 - 4 - 5 - int(lines["Gift PEN-02"][0]))
        assert "For the first time there was nothing to win at" in said

    def test_a_campaign_that_is_none_is_said(self):
        with pytest.raises(CommandError, match="there is no campaign 'none'"):
            call_command("simulate", "none")


def test_a_copy_has_the_same_rules_and_nothing_spent():
    campaign = a_campaign(budget_points=60)
    points(campaign, 50, wins_per_person=2)
    a_draw(campaign)
    deliver_pending()

    twin = copy_campaign(campaign)

    assert (twin.budget_points, twin.spent_points) == (60, 0)
    assert Prize.objects.get(campaign=twin).wins_per_person == 2
