"""Points that were credited are taken back by a counter-entry, and never below what the rules allow."""

import pytest
from django.db import IntegrityError, transaction

from awards.errors import AwardChanged, IssuedByHand, PointsSpent
from awards.models import Award, AwardStatus, DailyStatistic, PointsAccount, PointsEntry, Prize
from awards.services.revoking import revoke
from outbox.testing import deliver_pending
from tests.awards.given import a_campaign, a_draw, an_award_of_a_coupon, hand_out, points
from tests.awards.test_closed_by_hand import handle

pytestmark = pytest.mark.django_db


def an_issued(**rules) -> Award:
    campaign = a_campaign(**rules)
    points(campaign, 50, stock=3)
    award = a_draw(campaign, "anna").award
    deliver_pending()
    return Award.objects.select_related("prize__campaign").get(pk=award.pk)


def spend(some: int) -> None:
    PointsAccount.objects.filter(pk="anna").update(balance=50 - some)


def entries() -> list[int]:
    return list(PointsEntry.objects.order_by("pk").values_list("points", flat=True))


def test_a_counter_entry_takes_them_back_and_the_credit_stays_written():
    award = an_issued(restock_revoked=True)

    done = revoke(award, actor="ada", reason="drawn by a bot")

    award.refresh_from_db()
    assert (award.status, award.reason, award.issued_at) == (AwardStatus.REVOKED, "drawn by a bot", None)
    assert (done.points, done.may_be_issued, done.restocked) == (50, False, True)
    assert entries() == [50, -50]
    assert PointsAccount.objects.get().balance == 0
    assert PointsEntry.objects.get(points=-50).takes_back.award == award
    assert list(DailyStatistic.objects.values_list("won", "revoked")) == [(1, 1)]
    assert Prize.objects.get().stock == 3


def test_they_are_taken_back_once():
    award = an_issued()
    revoke(award, actor="ada")

    with pytest.raises(AwardChanged):
        revoke(award, actor="ada")
    with pytest.raises(AwardChanged):
        revoke(Award.objects.select_related("prize__campaign").get(), actor="ada")
    credit = PointsEntry.objects.get(points=50)
    with pytest.raises(IntegrityError), transaction.atomic():
        PointsEntry.objects.create(account_id="anna", takes_back=credit, points=-50)
    assert entries() == [50, -50]


def test_they_are_not_taken_back_below_nothing_and_nothing_is_written():
    award = an_issued()
    spend(20)

    with pytest.raises(PointsSpent) as refused:
        revoke(award, actor="ada")

    award.refresh_from_db()
    assert (refused.value.left, refused.value.points) == (30, 50)
    assert (award.status, entries()) == (AwardStatus.ISSUED, [50])


def test_they_are_taken_back_into_debt_where_the_campaign_allows_it():
    award = an_issued(allows_debt=True)
    spend(20)

    revoke(award, actor="ada")

    account = PointsAccount.objects.get()
    assert (account.balance, account.debt_limit) == (-20, 20)
    with pytest.raises(IntegrityError), transaction.atomic():
        PointsAccount.objects.filter(pk="anna").update(balance=-21)


def test_points_that_were_issued_by_hand_are_not_taken_back_here():
    campaign = a_campaign()
    points(campaign, 50, stock=3)
    handle(a_draw(campaign, "anna").award)
    award = Award.objects.select_related("prize__campaign").get()

    with pytest.raises(IssuedByHand):
        revoke(award, actor="ada")

    award.refresh_from_db()
    assert (award.status, award.closed_from, entries()) == (AwardStatus.ISSUED, AwardStatus.WON, [])


def test_a_code_that_was_handed_out_is_not_taken_back():
    award = an_award_of_a_coupon()
    hand_out(award)
    award.refresh_from_db()

    with pytest.raises(AwardChanged):
        revoke(award, actor="ada")
