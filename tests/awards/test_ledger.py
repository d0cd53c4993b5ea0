"""The summary that is held against the vendor's book: each thing that can be wrong shows up in it."""

import uuid

import pytest

from awards import selectors
from awards.consumers import issue_points
from awards.models import Award, AwardStatus, Coupon, PointsAccount, PointsEntry, VendorOrder
from awards.selectors import KindSummary, ledger_summary, undelivered_awards
from tests.awards.given import an_award_of_a_coupon, an_award_of_a_gift, an_award_of_points, hand_out, message_of

pytestmark = pytest.mark.django_db

NOTHING = KindSummary(won=0, issued=0, delivered=0, doubled=0, missing=0, unrecorded=0)


def issue_gift(award: Award) -> None:
    assert Award.objects.issue(award)
    VendorOrder.objects.create(award=award, number=f"V-{award.pk}", idempotency_key=str(award.pk), sku="MUG-01")


def test_nothing_won_is_nothing_owed():
    assert ledger_summary([]) == {"points": NOTHING, "gift": NOTHING, "coupon": NOTHING}
    assert undelivered_awards([]) == set()


def test_awards_issued_and_awards_still_owed_are_counted_by_kind():
    points, owed_points = an_award_of_points(), an_award_of_points()
    gift, owed_gift = an_award_of_a_gift(), an_award_of_a_gift()
    coupon, owed_coupon = an_award_of_a_coupon(), an_award_of_a_coupon()
    issue_points(message_of(points))
    issue_gift(gift)
    hand_out(coupon)

    summary = ledger_summary([str(gift.public_id)])

    whole = KindSummary(won=2, issued=1, delivered=1, doubled=0, missing=0, unrecorded=0)
    assert summary == ledger_summary() == {"points": whole, "gift": whole, "coupon": whole}
    assert undelivered_awards() == {owed_points.pk, owed_gift.pk, owed_coupon.pk}


def test_a_code_of_another_prize_is_doubled():
    coupon, other = an_award_of_a_coupon(), an_award_of_a_coupon()
    hand_out(coupon)

    Coupon.objects.filter(award=coupon).update(prize=other.prize, code="MOVED")

    assert ledger_summary()["coupon"].doubled == 1


def test_a_gift_shipped_twice_is_doubled():
    gift = an_award_of_a_gift()
    issue_gift(gift)

    assert ledger_summary([str(gift.public_id)] * 3)["gift"].doubled == 2


def test_the_vendors_book_is_believed_before_our_own_records():
    ours_only, theirs_only = an_award_of_a_gift(), an_award_of_a_gift()
    issue_gift(ours_only)

    summary = ledger_summary([str(theirs_only.public_id)])["gift"]

    assert (summary.issued, summary.delivered, summary.missing, summary.unrecorded) == (1, 1, 1, 1)
    assert undelivered_awards([str(theirs_only.public_id)]) == {ours_only.pk}


def test_an_award_that_says_it_is_issued_without_an_entry_is_missing():
    award = an_award_of_points()
    assert Award.objects.issue(award)

    assert ledger_summary()["points"].missing == 1
    assert undelivered_awards() == {award.pk}


def test_points_that_reached_an_account_without_an_entry_are_doubled():
    award = an_award_of_points()
    issue_points(message_of(award))
    PointsAccount.objects.credit(award.person, 50)

    assert ledger_summary()["points"].doubled == 1


def test_an_order_for_an_award_nobody_knows_is_unrecorded():
    assert ledger_summary([str(uuid.uuid4())])["gift"].unrecorded == 1


def test_an_award_that_was_taken_back_is_not_owed():
    award = an_award_of_points()
    Award.objects.update(status=AwardStatus.REVOKED)

    assert undelivered_awards() == set()
    assert not PointsEntry.objects.filter(award=award).exists()


def test_an_award_is_found_by_the_key_of_its_message():
    award = an_award_of_points()

    found = selectors.awards_by_key([str(award.pk), "no number", "999999999"])

    assert found == {str(award.pk): award}
