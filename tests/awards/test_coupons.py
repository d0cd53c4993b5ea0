"""Coupons, delivered by the engine's own loop: one code for one award, and patience while the pool is empty."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from awards.channels import coupon as channel
from awards.consumers import POOL_WAITS, hand_out_coupon
from awards.errors import AwardChanged, PoolEmpty
from awards.models import Award, AwardStatus, Coupon
from awards.models.coupon import mask_code
from awards.services import campaigns
from awards.services.revoking import revoke
from outbox import Message, Reject, registry
from outbox.delivery import chunks
from tests.awards.given import a_campaign, a_coupon_prize, a_draw, an_award_of_a_coupon, message_of

pytestmark = pytest.mark.django_db(transaction=True)


def deliver(award: Award) -> Message:
    """Deliver the award's message without the wait it may be in."""
    message = message_of(award)
    Message.objects.filter(pk=message.pk).update(not_before=message.created_at)
    chunks.deliver("awards.hand_out_coupon", [message.pk])
    return message_of(award)


def issued() -> dict[int, str]:
    return dict(Coupon.objects.filter(award__isnull=False).values_list("award_id", "code"))


def test_the_oldest_free_code_of_the_prize_is_handed_out_and_the_award_is_issued():
    award = an_award_of_a_coupon(codes=2)

    message = deliver(award)

    award.refresh_from_db()
    assert (award.status, award.version, award.issued_at is not None) == (AwardStatus.ISSUED, 2, True)
    assert issued() == {award.pk: "CODE-0001-ABCD"}
    assert Coupon.objects.get(award=award).issued_at is not None
    assert message.status == "success"


def test_issuing_takes_four_statements():
    message = message_of(an_award_of_a_coupon(codes=3))

    with transaction.atomic(), CaptureQueriesContext(connection) as statements:
        hand_out_coupon(message)

    assert [statement["sql"].split()[0] for statement in statements] == ["SELECT", "SELECT", "UPDATE", "UPDATE"]


def test_a_message_that_comes_twice_takes_one_code():
    award = an_award_of_a_coupon(codes=3)
    deliver(award)
    Message.objects.filter(pk=message_of(award).pk).update(status="pending", finished_at=None)

    message = deliver(award)

    assert message.status == "success"
    assert issued() == {award.pk: "CODE-0001-ABCD"}


def test_the_table_itself_refuses_a_second_code_for_an_award_and_half_an_issue():
    award = an_award_of_a_coupon(codes=3)
    deliver(award)
    free = Coupon.objects.free()

    with pytest.raises(IntegrityError), transaction.atomic():
        free.filter(code="CODE-0002-ABCD").update(award=award, issued_at=award.won_at)
    with pytest.raises(IntegrityError), transaction.atomic():
        free.filter(code="CODE-0002-ABCD").update(issued_at=award.won_at)
    with pytest.raises(IntegrityError), transaction.atomic():
        Coupon.objects.create(prize=award.prize, code="CODE-0002-ABCD")


def test_a_code_goes_to_its_own_prize_only():
    without, other = an_award_of_a_coupon(codes=0), an_award_of_a_coupon(codes=2)

    for award in (without, other):
        deliver(award)

    assert set(issued()) == {other.pk}
    assert Coupon.objects.free().get().prize == other.prize


def test_an_empty_pool_waits_without_spending_a_try_and_says_what_to_do():
    award = an_award_of_a_coupon(codes=0)
    before = message_of(award)

    message = deliver(award)

    assert (message.status, message.attempts) == ("pending", 1)
    assert message.attempt_limit - message.attempts == before.attempt_limit
    assert message.last_error.startswith(f"Snooze: no free code is left for prize {award.prize_id}, 'Cinema voucher': ")
    assert "add codes to its pool in the admin" in message.last_error
    assert message.not_before - message.created_at > timedelta(seconds=25)
    assert Award.objects.get(pk=award.pk).status == AwardStatus.WON


def test_of_an_empty_pool_the_page_of_the_message_says_what_to_do_and_operations_lead_there(admin_client):
    award = an_award_of_a_coupon(codes=0)
    message = deliver(award)
    long_ago = timezone.now() - timedelta(hours=1)
    Message.objects.filter(pk=message.pk).update(created_at=long_ago)

    page = admin_client.get(f"/admin/outbox/message/{message.pk}/change/").content.decode()
    operations = admin_client.get("/admin/outbox/").content.decode()

    assert "no free code is left for prize" in page
    assert "add codes to its pool" in page
    assert "If that asks for something, do it" in page
    assert f"was not ready for message {message.pk}, which is tried next" in operations
    assert "Nothing to do." not in page
    assert "Is a worker on the queue" not in operations


def test_once_codes_are_added_what_waited_is_issued_however_often_it_had_waited():
    award = an_award_of_a_coupon(codes=0)
    for _ in range(12):
        deliver(award)
    campaigns.add_codes(award.prize, ["NEW-CODE"])

    message = deliver(award)

    assert (message.status, message.attempts) == ("success", 13)
    assert issued() == {award.pk: "NEW-CODE"}


def test_an_empty_pool_waits_ever_longer_up_to_a_quarter_of_an_hour_and_for_three_months():
    waits = [POOL_WAITS.wait(attempt, uniform=0) for attempt in (1, 2, 3, 6, 500)]

    assert waits == [timedelta(seconds=s) for s in (30, 60, 120, 900, 900)]
    assert registry.get("awards.hand_out_coupon").deadline == timedelta(days=90)


def test_an_empty_pool_holds_up_no_other_prize_and_opens_no_breaker():
    campaign = a_campaign()
    a_coupon_prize(campaign, codes=0, name="Empty")
    waiting = [a_draw(campaign).award for _ in range(5)]
    full = an_award_of_a_coupon(codes=1)

    for award in waiting:
        deliver(award)
    message = deliver(full)

    assert message.status == "success"
    assert {message_of(award).status for award in waiting} == {"pending"}


def test_an_award_that_has_expired_gets_no_code_and_is_for_a_person():
    award = an_award_of_a_coupon()
    Award.objects.update(status=AwardStatus.EXPIRED)

    message = deliver(award)

    assert message.status == "failed"
    assert f"award {award.public_id} is expired" in message.last_error
    assert issued() == {}


def test_an_award_that_was_revoked_meanwhile_gets_no_code_and_is_nobodys_work():
    award = an_award_of_a_coupon()
    Award.objects.update(status=AwardStatus.REVOKED)

    assert deliver(award).status == "success"
    assert issued() == {}


def test_an_award_revoked_between_reading_and_handing_out_gives_its_code_back():
    award = an_award_of_a_coupon()
    read_before = Award.objects.get(pk=award.pk)
    revoke(award, actor="ada")

    with pytest.raises(AwardChanged), transaction.atomic():
        channel.issue_coupon(read_before)

    assert issued() == {}


def test_a_message_about_no_award_is_rejected():
    message = message_of(an_award_of_a_coupon())
    message.key = "999999"

    with pytest.raises(Reject, match="there is no award"):
        hand_out_coupon(message)


def test_the_channel_says_so_when_the_pool_is_empty():
    with pytest.raises(PoolEmpty), transaction.atomic():
        channel.issue_coupon(an_award_of_a_coupon(codes=0))


def test_a_handler_that_fails_after_taking_a_code_puts_it_back(monkeypatch):
    award = an_award_of_a_coupon()

    def fails(*args):
        raise ZeroDivisionError

    monkeypatch.setattr("awards.channels.coupon.Award.objects.issue", fails)
    message = deliver(award)

    assert (message.status, message.attempts) == ("pending", 1)
    assert issued() == {}


def test_a_withdrawn_code_is_never_one_that_somebody_has():
    award = an_award_of_a_coupon(codes=3)
    deliver(award)

    withdrawn = campaigns.withdraw_codes(Coupon.objects.all())

    assert withdrawn == 2
    assert list(Coupon.objects.values_list("award_id", flat=True)) == [award.pk]


@pytest.mark.parametrize(
    ("code", "shown"),
    [("A", "••••"), ("ABCDEFG", "••••"), ("ABCDEFGH", "••••GH"), ("ABCD-EFGH-IJKL", "••••IJKL")],
)
def test_a_code_is_masked_wherever_its_row_is_written_out(code, shown):
    assert mask_code(code) == str(Coupon(code=code)) == shown
