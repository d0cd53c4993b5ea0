"""What an operator does with the message that issues an award reaches the award, its stock and its winner."""

import pytest
from django.db import connection, transaction
from django.test import Client

from awards.channels import gift
from awards.consumers import issue_points
from awards.models import Award, AwardStatus, DailyStatistic, PointsEntry, Prize, StockChange, VendorOrder
from awards.services import draws, revoking
from outbox import Message, Reject, operate
from outbox.delivery import chunks
from outbox.errors import NotAllowed
from outbox.models import AuditEntry, Evidence, HandledAs
from tests.awards.given import (
    Highest,
    a_campaign,
    a_coupon_prize,
    a_draw,
    a_gift,
    an_award_of_a_gift,
    an_award_of_points,
    message_of,
    points,
)
from tests.awards.test_pages import text

pytestmark = pytest.mark.django_db(transaction=True)


def fail(award: Award) -> Message:
    """Let the machine give up on the message that issues the award."""
    message = message_of(award)
    at = message.created_at
    Message.objects.filter(pk=message.pk).update(
        status="failed",
        attempts=message.attempt_limit,
        started_at=at,
        finished_at=at,
        exhausted_at=at,
        lease_until=None,
    )
    return message_of(award)


def handle(award: Award, outcome: HandledAs = HandledAs.ISSUED, evidence: str = "ORDER-77") -> Message:
    message = fail(award)
    return operate.mark_handled(
        message.pk, revision=message.revision, actor="ada", reason="by phone", outcome=outcome, evidence=evidence
    )


def discard(award: Award) -> Message:
    message = fail(award)
    return operate.discard(message.pk, revision=message.revision, actor="ada", reason="a test")


def reopen(message: Message) -> Message:
    return operate.reopen(message.pk, revision=message.revision, actor="ada", reason="a mistake")


def page_of(client: Client, award: Award) -> str:
    return text(client.get(f"/draws/{award.draw.public_id}/"))


def an_award_of_the_last_piece(make=a_gift, **fields) -> Award:
    campaign = a_campaign()
    make(campaign, stock=1, **fields)
    return a_draw(campaign).award


def stock_of(award: Award) -> int | None:
    return Prize.objects.values_list("stock", flat=True).get(pk=award.prize_id)


def revoked_of(award: Award) -> int:
    return sum(DailyStatistic.objects.filter(prize=award.prize_id).values_list("revoked", flat=True))


@pytest.mark.parametrize("make", [a_gift, points, a_coupon_prize])
def test_an_award_handled_as_issued_is_issued_and_its_winner_reads_so(make, client):
    campaign = a_campaign()
    make(campaign)
    award = a_draw(campaign).award

    handle(award)

    award.refresh_from_db()
    assert (award.status, award.closed_from, award.issued_at is not None) == (AwardStatus.ISSUED, "won", True)
    said = page_of(client, award)
    assert "Issued" in said
    assert "We have seen to it ourselves." in said
    assert not PointsEntry.objects.exists()


@pytest.mark.parametrize(
    ("close", "status", "said"),
    [
        (lambda award: handle(award, HandledAs.COMPENSATED), AwardStatus.COMPENSATED, "Settled in another way"),
        (lambda award: handle(award, HandledAs.NOT_DUE), AwardStatus.CANCELLED, "This prize will not be issued."),
        (discard, AwardStatus.CANCELLED, "This prize will not be issued."),
    ],
    ids=["compensated", "not due", "discarded"],
)
def test_what_is_not_given_out_goes_back_into_stock_and_its_winner_reads_why(close, status, said, client):
    award = an_award_of_the_last_piece()

    message = close(award)

    award.refresh_from_db()
    assert (award.status, award.stock_returned, stock_of(award)) == (status, True, 1)
    assert revoked_of(award) == int(status == AwardStatus.CANCELLED)
    change = StockChange.objects.get()
    assert (change.act, change.pieces, change.actor) == ("add", 1, "ada")
    assert change.reason.startswith(f"Award {award.public_id} was closed by hand: ")
    assert said in page_of(client, award)

    reopen(message)

    award.refresh_from_db()
    assert (award.status, award.closed_from, award.stock_returned) == (AwardStatus.WON, "", False)
    assert (stock_of(award), revoked_of(award), StockChange.objects.count()) == (0, 0, 2)
    assert "On its way" in page_of(client, award)


def test_what_was_given_out_by_hand_stays_out_of_stock():
    award = an_award_of_the_last_piece()

    handle(award)

    assert stock_of(award) == 0


def test_a_prize_may_keep_its_pieces_out_of_stock():
    award = an_award_of_the_last_piece(returns_to_stock=False)

    message = discard(award)
    award.refresh_from_db()
    assert (award.status, award.stock_returned, stock_of(award)) == (AwardStatus.CANCELLED, False, 0)

    reopen(message)
    assert stock_of(award) == 0


def test_a_stock_without_limit_stays_without():
    award = an_award_of_points()

    reopen(discard(award))

    assert (stock_of(award), StockChange.objects.count()) == (None, 0)


def test_a_piece_that_somebody_else_has_won_meanwhile_keeps_the_message_closed():
    award = an_award_of_the_last_piece()
    message = discard(award)
    other = draws.draw_ticket(award.prize.campaign, person="bob@example.com", request_id="r2", luck=Highest())
    assert other.award.prize_id == award.prize_id

    with pytest.raises(NotAllowed, match="was won by somebody else"):
        reopen(message)

    award.refresh_from_db()
    message.refresh_from_db()
    assert (award.status, message.resolution, stock_of(award)) == (AwardStatus.CANCELLED, "discarded", 0)
    assert AuditEntry.objects.filter(action="reopen").count() == 0


def test_a_reopened_award_is_issued_by_the_machine_again():
    award = an_award_of_points()
    message = reopen(handle(award))

    operate.retry(message.pk, revision=message.revision, actor="ada", reason="again", despite_evidence=True)
    chunks.deliver("awards.issue_points", [message.pk])

    award.refresh_from_db()
    assert (award.status, award.closed_from) == (AwardStatus.ISSUED, "")
    assert PointsEntry.objects.count() == 1


@pytest.mark.parametrize("outcome", [HandledAs.COMPENSATED, HandledAs.NOT_DUE])
def test_an_award_that_is_issued_already_cannot_be_closed_otherwise(outcome):
    award = an_award_of_points()
    chunks.deliver("awards.issue_points", [message_of(award).pk])

    with pytest.raises(NotAllowed, match="has been issued already"):
        handle(award, outcome)
    handle(award, HandledAs.ISSUED)

    award.refresh_from_db()
    assert (award.status, award.closed_from) == (AwardStatus.ISSUED, "")


def test_a_revoked_award_whose_message_is_closed_stays_revoked():
    award = an_award_of_a_gift()
    fail(award)
    revoking.revoke(award, actor="ada")

    reopen(discard(award))
    handle(award, HandledAs.NOT_DUE)

    award.refresh_from_db()
    assert (award.status, award.closed_from, revoked_of(award)) == (AwardStatus.REVOKED, "", 1)


def test_a_revoked_award_that_was_issued_all_the_same_is_issued_and_no_longer_counts_as_revoked():
    award = an_award_of_a_gift()
    fail(award)
    revoking.revoke(award, actor="ada")

    message = handle(award)
    award.refresh_from_db()
    assert (award.status, award.closed_from, revoked_of(award)) == (AwardStatus.ISSUED, "revoked", 0)

    reopen(message)
    award.refresh_from_db()
    assert (award.status, revoked_of(award)) == (AwardStatus.REVOKED, 1)


def test_a_closed_award_is_not_issued_by_a_worker_that_comes_late():
    award = an_award_of_points()
    late = message_of(award)
    handle(award, HandledAs.COMPENSATED)

    with pytest.raises(Reject), transaction.atomic(using=connection.alias):
        issue_points(late)

    assert not PointsEntry.objects.exists()


def test_other_messages_of_an_award_leave_it_alone():
    award = an_award_of_points()
    message = message_of(award, "awards.tell_winner")
    at = message.created_at
    Message.objects.filter(pk=message.pk).update(
        status="failed", attempts=message.attempt_limit, started_at=at, finished_at=at, exhausted_at=at
    )

    operate.discard(message.pk, revision=0, actor="ada", reason="no mail")

    award.refresh_from_db()
    assert (award.status, award.version) == (AwardStatus.WON, 1)


@pytest.mark.parametrize("outcome", HandledAs)
def test_a_gift_that_the_vendor_takes_after_its_award_was_closed_is_an_alarm(vendor, monkeypatch, outcome):
    award = an_award_of_a_gift()
    order = gift.order

    def order_slowly(*args, **kwargs):
        placed = order(*args, **kwargs)
        handle(award, outcome)
        return placed

    monkeypatch.setattr(gift, "order", order_slowly)

    chunks.deliver("awards.order_gift", [message_of(award).pk])

    assert VendorOrder.objects.get().award_id == award.pk
    assert [row.message_id for row in Evidence.objects.doubled()] == [message_of(award).pk]


@pytest.mark.parametrize("make", [a_gift, points, a_coupon_prize])
def test_an_award_whose_message_is_withdrawn_is_cancelled_and_its_piece_can_be_won_again(make):
    award = an_award_of_the_last_piece(make)
    message = message_of(award)

    operate.withdraw(message.pk, revision=message.revision, actor="ada", reason="a test")

    award.refresh_from_db()
    assert (award.status, stock_of(award), revoked_of(award)) == (AwardStatus.CANCELLED, 1, 1)


def test_a_gift_that_was_tried_is_not_withdrawn_as_the_vendor_may_have_the_order():
    award = an_award_of_the_last_piece()
    Message.objects.filter(pk=message_of(award).pk).update(attempts=1)
    message = message_of(award)

    with pytest.raises(NotAllowed, match="the vendor may have the order already"):
        operate.withdraw(message.pk, revision=message.revision, actor="ada", reason="a test")

    award.refresh_from_db()
    assert (award.status, stock_of(award)) == (AwardStatus.WON, 0)
