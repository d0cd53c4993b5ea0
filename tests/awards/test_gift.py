"""Gifts, delivered by the engine's own loop to a real vendor: ordered once, whatever goes wrong on the way."""

import json

import pytest

from awards.channels import gift
from awards.models import Award, AwardStatus, VendorOrder
from awards.services.revoking import revoke
from outbox import Message, Reject, operate
from outbox.delivery import chunks
from outbox.models import Exchange
from outbox.operate.asking import Known
from tests.awards.given import SKU, an_award_of_a_gift, message_of

pytestmark = pytest.mark.django_db(transaction=True)


def deliver(award: Award, times: int = 1) -> Message:
    """Deliver the award's message, without the waits between tries."""
    for _ in range(times):
        message = message_of(award)
        Message.objects.filter(pk=message.pk).update(not_before=message.created_at)
        chunks.deliver("awards.order_gift", [message.pk])
    return message_of(award)


def status_of(award: Award) -> str:
    return Award.objects.get(pk=award.pk).status


def shipped_for(vendor) -> list[str]:
    return [shipped.wanted.award for shipped in vendor.book.everything()]


def test_a_gift_is_ordered_and_the_order_is_written_down(vendor):
    award = an_award_of_a_gift()

    message = deliver(award)

    order = VendorOrder.objects.get()
    assert (order.award_id, order.number, order.sku) == (award.pk, "V-0000001", SKU)
    assert order.idempotency_key == message.idempotency_key
    assert (status_of(award), message.status) == (AwardStatus.ISSUED, "success")
    assert shipped_for(vendor) == [str(award.public_id)]
    assert vendor.happened == {"none": 1}


def test_what_was_said_with_the_vendor_is_kept_for_the_desk(vendor):
    award = an_award_of_a_gift()
    vendor.change({"cut": 1.0, "forgetful": True})

    message = deliver(award)

    said = Exchange.objects.filter(message=message).order_by("position").values_list("request", "answer")
    (order, none), (question, _answer) = [(json.loads(asked), heard) for asked, heard in said]
    assert (order["call"], order["body"]["sku"], none) == ("POST /orders", SKU, "")
    assert question["call"] == f"GET /orders/{message.idempotency_key}"


def test_a_message_that_comes_again_after_the_award_is_issued_orders_nothing(vendor):
    award = an_award_of_a_gift()
    deliver(award)
    Message.objects.update(status="pending", finished_at=None)

    message = deliver(award)

    assert message.status == "success"
    assert shipped_for(vendor) == [str(award.public_id)]


@pytest.mark.parametrize("fault", ["cut", "hang"])
@pytest.mark.parametrize("forgetful", [False, True])
def test_an_order_that_nobody_was_told_about_is_found_again_and_not_placed_twice(vendor, fault, forgetful):
    award = an_award_of_a_gift()
    vendor.change({fault: 1.0, "forgetful": forgetful})
    first = deliver(award)
    vendor.change({fault: 0.0})

    second = deliver(award)

    assert (first.status, first.attempts) == ("pending", 1)
    assert (second.status, second.attempts) == ("success", 2)
    assert vendor.happened[fault] == 2
    assert shipped_for(vendor) == [str(award.public_id)]
    assert VendorOrder.objects.get().number == "V-0000001"


def test_without_asking_first_a_forgetful_vendor_would_ship_twice(vendor):
    """The oracle itself: the book shows a doubled order, so that the tests above mean something."""
    award = an_award_of_a_gift()
    vendor.change({"forgetful": True})

    for _ in range(2):
        gift.order(award, idempotency_key="key", ask_first=False)

    assert shipped_for(vendor) == [str(award.public_id)] * 2


def test_after_a_cut_connection_the_order_is_found_within_the_same_try(vendor, monkeypatch):
    award = an_award_of_a_gift()
    vendor.change({"cut": 1.0})
    asked = gift.vendor.find_order

    def ask_a_vendor_that_has_recovered(key, **record):
        vendor.change({"cut": 0.0})
        return asked(key, **record)

    monkeypatch.setattr(gift.vendor, "find_order", ask_a_vendor_that_has_recovered)
    message = deliver(award)

    assert (message.status, message.attempts) == ("success", 1)
    assert shipped_for(vendor) == [str(award.public_id)]


def test_a_failing_vendor_costs_an_attempt_and_a_busy_one_does_not(vendor):
    failing, busy = an_award_of_a_gift(), an_award_of_a_gift()
    vendor.change({"fail": 1.0})
    failed = deliver(failing)
    vendor.change({"fail": 0.0, "busy": 1.0})
    postponed = deliver(busy)

    assert (failed.status, failed.attempt_limit - failed.attempts) == ("pending", 7)
    assert (postponed.status, postponed.attempt_limit - postponed.attempts) == ("pending", 8)
    assert not vendor.book.everything()


def test_a_vendor_that_cannot_be_asked_is_not_sent_a_second_order(vendor):
    award = an_award_of_a_gift()
    vendor.change({"cut": 1.0, "forgetful": True})
    deliver(award)
    vendor.change({"cut": 0.0, "fail": 1.0})
    deliver(award, times=2)
    vendor.change({"fail": 0.0, "busy": 1.0})
    deliver(award, times=2)
    vendor.change({"busy": 0.0})

    message = deliver(award)

    assert message.status == "success"
    assert shipped_for(vendor) == [str(award.public_id)]


def test_an_article_refused_for_good_fails_at_once_with_the_vendors_words(vendor):
    award = an_award_of_a_gift("DISCONTINUED")

    message = deliver(award)

    assert (message.status, message.attempts) == ("failed", 1)
    assert "422" in message.last_error
    assert "not sold any more" in message.last_error
    assert status_of(award) == AwardStatus.WON


def test_an_order_for_something_else_under_our_key_is_left_to_a_person(vendor):
    award = an_award_of_a_gift()
    key = message_of(award).idempotency_key
    gift.vendor.place_order(
        gift.OrderRequest(idempotency_key=key, sku="PEN-02", recipient="x", award=str(award.public_id))
    )

    message = deliver(award)

    assert message.status == "failed"
    assert "V-0000001 for article 'PEN-02'" in message.last_error
    assert status_of(award) == AwardStatus.WON


def test_our_own_order_under_our_key_is_taken_even_if_the_vendor_calls_it_a_conflict(vendor):
    """The recipient's name was mended between two tries: the key is taken, but by the very order we want."""
    award = an_award_of_a_gift()
    key = message_of(award).idempotency_key
    gift.vendor.place_order(
        gift.OrderRequest(idempotency_key=key, sku=SKU, recipient="misspelt", award=str(award.public_id))
    )

    message = deliver(award)

    assert (message.status, message.attempts) == ("success", 1)
    assert shipped_for(vendor) == [str(award.public_id)]


def test_a_revoked_award_is_not_ordered(vendor):
    award = an_award_of_a_gift()
    revoke(award, actor="ada")

    message = deliver(award)

    assert (message.status, message.resolution, message.attempts) == ("failed", "withdrawn", 0)
    assert not vendor.book.everything()


def test_an_award_revoked_while_its_message_was_being_taken_up_ends_quietly_and_orders_nothing(vendor):
    award = an_award_of_a_gift()
    Award.objects.update(status=AwardStatus.REVOKED)

    message = deliver(award)

    assert (message.status, message.attempts) == ("success", 1)
    assert not vendor.book.everything()


def test_an_award_revoked_after_an_attempt_that_may_have_ordered_is_for_a_person(vendor):
    award = an_award_of_a_gift()
    Award.objects.update(status=AwardStatus.REVOKED)
    Message.objects.filter(pk=message_of(award).pk).update(attempts=1)

    message = deliver(award)

    assert message.status == "failed"
    assert f"award {award.public_id} is revoked" in message.last_error
    assert not vendor.book.everything()


def test_an_award_revoked_while_its_gift_is_ordered_leaves_the_order_as_evidence(vendor, monkeypatch):
    award = an_award_of_a_gift()
    order = gift.order

    def order_slowly(*args, **kwargs):
        revoke(award, actor="ada")
        return order(*args, **kwargs)

    monkeypatch.setattr(gift, "order", order_slowly)
    message = deliver(award)

    assert message.status == "failed"
    assert "cancel the vendor's order V-0000001" in message.last_error
    assert status_of(award) == AwardStatus.REVOKED
    assert VendorOrder.objects.get().award_id == award.pk


def test_an_overtaken_worker_leaves_nothing_behind(vendor, monkeypatch):
    award = an_award_of_a_gift()
    order = gift.order

    def order_and_be_overtaken(*args, **kwargs):
        placed = order(*args, **kwargs)
        Message.objects.update(status="pending", lease_until=None)
        return placed

    monkeypatch.setattr(gift, "order", order_and_be_overtaken)
    deliver(award)
    monkeypatch.setattr(gift, "order", order)
    overtaken = (VendorOrder.objects.count(), status_of(award))
    message = deliver(award)

    assert overtaken == (0, AwardStatus.WON)
    assert (message.status, VendorOrder.objects.count(), status_of(award)) == ("success", 1, AwardStatus.ISSUED)
    assert shipped_for(vendor) == [str(award.public_id)]


def test_a_refusal_says_so_to_the_engine(vendor):
    award = an_award_of_a_gift("DISCONTINUED")

    with pytest.raises(Reject, match="refused article DISCONTINUED"):
        gift.order(award, idempotency_key="key", ask_first=True)


def test_an_operator_can_ask_whether_the_vendor_has_the_order(vendor):
    award = an_award_of_a_gift()
    before = operate.ask(message_of(award).pk, actor="ada")
    vendor.change({"cut": 1.0})
    deliver(award)
    vendor.change({"cut": 0.0})

    after = operate.ask(message_of(award).pk, actor="ada")

    assert (before.known, after.known, after.said) == (Known.NO, Known.YES, "V-0000001")
    assert shipped_for(vendor) == [str(award.public_id)]
