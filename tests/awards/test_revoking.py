"""Taking an award back: its messages, its stock, its figures, and who is faster."""

import pytest
from django.db import transaction

from awards.errors import AwardChanged
from awards.listeners import COUNTED_BY, TOLD_BY
from awards.models import Award, AwardStatus, DailyStatistic, Prize, StockChange
from awards.services.revoking import revoke
from outbox import Message, Withdrawal, operate
from outbox.testing import deliver_pending
from tests.awards.given import a_campaign, a_draw, a_gift, message_of, points

pytestmark = pytest.mark.django_db


def a_gift_of(*, stock=3, **rules):
    campaign = a_campaign(**rules)
    a_gift(campaign, stock=stock)
    return a_draw(campaign).award


def stock_left():
    return Prize.objects.get().stock


def test_revoking_withdraws_what_waits_of_the_award_and_nobody_is_told_or_called():
    award = a_gift_of()

    done = revoke(award, actor="ada")

    assert (done.issuing, done.may_be_issued) == (Withdrawal.WITHDRAWN, False)
    assert set(Message.objects.values_list("status", "resolution")) == {("failed", "withdrawn")}
    assert deliver_pending(ignore_waits=True) == []


def test_a_revoked_win_is_counted_though_its_counting_was_withdrawn():
    revoke(a_gift_of(), actor="ada")

    assert list(DailyStatistic.objects.values_list("won", "revoked")) == [(1, 1)]


def test_a_revoked_win_that_was_counted_is_not_counted_twice():
    award = a_gift_of()
    deliver_pending(COUNTED_BY)

    revoke(award, actor="ada")

    assert list(DailyStatistic.objects.values_list("won", "revoked")) == [(1, 1)]


def test_the_stock_stays_taken_unless_the_campaign_says_that_it_comes_back():
    done = revoke(a_gift_of(stock=3), actor="ada")

    assert (done.restocked, stock_left()) == (False, 2)
    assert not StockChange.objects.exists()


def test_the_stock_comes_back_where_the_campaign_says_so_and_the_book_says_why():
    award = a_gift_of(stock=3, restock_revoked=True)

    done = revoke(award, actor="ada")

    assert (done.restocked, stock_left()) == (True, 3)
    change = StockChange.objects.get()
    assert (change.act, change.pieces, change.actor) == ("add", 1, "ada")
    assert change.reason == f"award {award.public_id} was revoked"


def test_a_stock_without_limit_needs_nothing_back():
    done = revoke(a_gift_of(stock=None, restock_revoked=True), actor="ada")

    assert (done.restocked, stock_left()) == (False, None)
    assert Award.objects.get().status == AwardStatus.REVOKED


@pytest.mark.parametrize("state", [{"status": "started", "holds": True}, {"attempts": 1}])
def test_the_stock_stays_taken_if_the_issuing_had_begun_and_may_have_acted(state):
    award = a_gift_of(stock=3, restock_revoked=True)
    message = message_of(award)
    if state.pop("holds", False):
        Message.objects.filter(pk=message.pk).update(
            status="started", attempts=1, started_at=message.created_at, lease_until=message.expires_at
        )
        answer = Withdrawal.UNDER_WAY
    else:
        Message.objects.filter(pk=message.pk).update(**state)
        message.attempt_set.create(number=1, outcome="lost")
        answer = Withdrawal.MAY_HAVE_ACTED

    done = revoke(award, actor="ada")

    assert (done.issuing, done.may_be_issued, done.restocked) == (answer, True, False)
    assert stock_left() == 2
    assert Award.objects.get().status == AwardStatus.REVOKED


def test_an_award_that_was_issued_first_keeps_its_messages_and_its_stock():
    campaign = a_campaign(restock_revoked=True)
    points(campaign, 50, stock=3)
    award = a_draw(campaign, "anna").award
    deliver_pending("awards.issue_points")

    with pytest.raises(AwardChanged):
        revoke(award, actor="ada")

    assert message_of(award, TOLD_BY).status == "pending"
    assert stock_left() == 2


def test_a_revocation_that_is_taken_back_takes_nothing_back():
    award = a_gift_of(restock_revoked=True)

    with transaction.atomic():
        revoke(award, actor="ada")
        transaction.set_rollback(True)

    assert set(Message.objects.values_list("status", flat=True)) == {"pending"}
    assert stock_left() == 2


def test_an_award_whose_message_a_person_withdrew_is_cancelled_already_with_its_stock_back_once():
    award = a_gift_of(stock=3, restock_revoked=True)
    operate.withdraw(message_of(award).pk, revision=0, actor="ada", reason="a test campaign")

    with pytest.raises(AwardChanged):
        revoke(award, actor="ada")

    assert Award.objects.get().status == AwardStatus.CANCELLED
    assert stock_left() == 3
