"""What a receipt does to its message, whenever it comes and whoever sends it."""

import pytest

from outbox.models import Evidence, Message
from tests.harness.messages import kept_attempts, set_message, state_of
from tests.outbox.conftest import SLOW
from tests.outbox.external.receipts.conftest import come, confirm, counts, exhaust, receipt_of, start

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


def test_what_is_consumed_is_a_success(sent):
    message = sent()

    assert come(receipt_of(message)) == (1, 0)

    assert state_of(message.pk).status == "success"
    assert counts() == {"consumed": 1}


def test_a_receipt_may_come_before_the_broker_s_confirm_is_written_down(sent):
    message = sent(confirmed=False)

    come(receipt_of(message))

    assert state_of(message.pk).status == "success"


@pytest.mark.parametrize("stands", ["pending", "started", "exhausted"])
def test_a_late_consumed_of_an_earlier_attempt_makes_whatever_is_unresolved_a_success(sent, stands):
    message = sent()
    receipt = receipt_of(message)
    match stands:
        case "pending":
            set_message(message.pk, status="pending", lease_until=None, last_error="silent")
        case "started":
            start(message.pk)
        case "exhausted":
            exhaust(message)

    come(receipt)

    row = Message.objects.get(pk=message.pk)
    assert (row.status, row.exhausted_at, row.reason, row.last_error) == ("success", None, "", "")
    assert kept_attempts(message.pk) == []
    assert not Evidence.objects.doubled().exists()


def test_failed_is_a_counted_attempt_with_the_receiver_s_own_words(sent):
    message = sent()

    come(receipt_of(message, "failed", detail="no such customer"))

    row = Message.objects.get(pk=message.pk)
    assert (row.status, row.attempts, row.attempt_limit) == ("pending", 1, SLOW.limit)
    assert kept_attempts(message.pk) == [(1, "failed", "ReceiptFailed: no such customer")]
    assert row.not_before > row.started_at


def test_failed_in_the_last_attempt_gives_it_up(sent):
    message = sent()
    set_message(message.pk, attempt_limit=1)

    come(receipt_of(message, "failed", detail="no"))

    assert (state_of(message.pk).status, state_of(message.pk).reason) == ("failed", "no_tries_left")


def test_rejected_goes_to_the_desk_at_once(sent):
    message = sent()

    come(receipt_of(message, "rejected", detail="customer is gone"))

    assert (state_of(message.pk).status, state_of(message.pk).reason) == ("failed", "rejected")
    assert state_of(message.pk).last_error == "Reject: customer is gone"


@pytest.mark.parametrize("outcome", ["failed", "rejected"])
def test_failed_and_rejected_of_an_earlier_attempt_are_not_charged_to_the_one_under_way(sent, outcome):
    message = sent()
    receipt = receipt_of(message, outcome)
    start(message.pk)
    confirm(message.pk)

    come(receipt)

    assert (state_of(message.pk).status, state_of(message.pk).attempts) == ("started", 2)
    assert kept_attempts(message.pk) == []
    assert counts() == {"late": 1}


def test_failed_comes_twice_and_is_one_attempt(sent):
    message = sent()

    come(receipt_of(message, "failed"), receipt_of(message, "failed"))

    assert len(kept_attempts(message.pk)) == 1
    assert counts() == {"failed": 1, "late": 1}


def test_consumed_and_failed_in_one_batch_are_met_in_their_order(sent):
    message = sent()

    come(receipt_of(message, "failed"), receipt_of(message), receipt_of(message))

    assert state_of(message.pk).status == "success"
    assert counts() == {"failed": 1, "consumed": 1, "settled": 1}
