"""A receipt for what a person has settled, or for another order: a double issue is seen, and nothing is undone."""

import pytest
from django.db.models.functions import Now

from outbox.models import AwaitedReceipt, Evidence, HandledAs, Message
from outbox.operate.messages import discard, mark_handled, replay
from tests.harness.messages import set_message, state_of
from tests.outbox.external.receipts.conftest import come, confirm, counts, exhaust, receipt_of, start

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


def settle_by_hand(message, act, **more):
    return act(message.pk, revision=message.revision, actor="ada", reason="seen to, SHOP-7", **more)


def test_consumed_after_it_was_handled_by_hand_is_a_double_issue_and_is_said_once(sent):
    message = exhaust(sent())
    receipt = receipt_of(message)
    settle_by_hand(message, mark_handled, outcome=HandledAs.ISSUED, evidence="A-17")

    come(receipt)
    come(receipt)

    assert [row.message_id for row in Evidence.objects.doubled()] == [message.pk]
    assert Message.objects.get(pk=message.pk).resolution == "handled"
    Evidence.objects.doubled().update(acknowledged_at=Now())
    come(receipt)
    assert not Evidence.objects.doubled().exists()
    assert counts() == {"doubled": 1, "settled": 2}


def test_consumed_after_it_was_discarded_is_one_too(sent):
    message = exhaust(sent())
    receipt = receipt_of(message)
    settle_by_hand(message, discard)

    come(receipt)

    [evidence] = Evidence.objects.doubled()
    assert (evidence.message_id, evidence.actor, evidence.text) == (
        message.pk,
        "partner",
        "receipt: consumed in attempt 1",
    )
    assert (state_of(message.pk).status, Message.objects.get(pk=message.pk).resolution) == ("failed", "discarded")


def test_the_old_order_s_receipt_does_not_close_the_new_one(sent):
    message = sent()
    receipt = receipt_of(message)
    set_message(message.pk, drawn_key="00000000-0000-4000-8000-000000000017")

    come(receipt)

    assert state_of(message.pk).status == "started"
    assert counts() == {"unknown": 1}


def test_a_replay_under_the_same_id_is_the_one_that_is_meant(sent):
    message = sent()
    come(receipt_of(message))
    again = replay(message.pk, revision=0, actor="ada", reason="was lost there", same_key=True)
    start(again.pk)
    AwaitedReceipt.objects.expect([Message.objects.get(pk=again.pk)], "partner")
    confirm(again.pk)

    come(receipt_of(message))

    assert [state_of(row.pk).status for row in (message, again)] == ["success", "success"]
