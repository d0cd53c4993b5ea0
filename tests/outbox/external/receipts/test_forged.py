"""A receipt is believed of its receiver alone: what is forged, torn or somebody else's does nothing and is counted."""

import pytest

from outbox.broker.queues import queue_name
from outbox.errors import ConsumerError
from outbox.external.receipts.receipt import MOST_BYTES
from outbox.models import Message
from tests.harness.clock import HOUR, MINUTE, SECOND
from tests.harness.messages import state_of
from tests.outbox.external.receipts.conftest import come, counts, receipt_of

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


@pytest.mark.parametrize(
    ("forged", "kind"),
    [
        ({"message_id": "00000000-0000-4000-8000-000000000000"}, "unknown"),
        ({"message_id": "17"}, "malformed"),
        ({"secret": "another secret of somebody"}, "signature"),
        ({"receiver": "other"}, "receiver"),
        ({"outcome": "delivered"}, "malformed"),
        ({"attempt": 7}, "malformed"),
        ({"attempt": 0}, "malformed"),
        ({"attempt": True}, "malformed"),
        ({"detail": ["x"]}, "malformed"),
    ],
)
def test_a_forged_receipt_does_nothing_and_is_counted(sent, forged, kind):
    message = sent()
    before = Message.objects.values().get(pk=message.pk)

    assert come(receipt_of(message, **forged)) == (0, 1)

    assert Message.objects.values().get(pk=message.pk) == before
    assert counts() == {kind: 1}


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b"7", b"{}", b"[" * 100_000, b'{"message_id": "' + b"x" * MOST_BYTES + b'"}']
)
def test_what_is_no_receipt_is_counted_and_its_neighbours_are_applied(sent, body):
    message = sent()

    assert come(body, receipt_of(message)) == (1, 1)

    assert counts() == {"malformed": 1, "consumed": 1}


def test_a_signature_covers_every_word(sent):
    message = sent()
    for name, other in {"outcome": "rejected", "detail": "x", "attempt": 2}.items():
        come({**receipt_of(message), name: other})

    assert state_of(message.pk).status == "started"
    assert set(counts()) <= {"signature", "malformed"}


def test_one_receiver_cannot_confirm_for_another(sent, configure, awaiting):
    message = sent()
    configure(RECEIVERS={"partner": "a secret of the partner's", "other": "a secret of the other's"})

    come(receipt_of(message, receiver="other", secret="a secret of the other's"))
    come(receipt_of(message, secret="a secret of the other's"))

    assert state_of(message.pk).status == "started"
    assert counts() == {"receiver": 1, "signature": 1}


def test_without_a_secret_a_receiver_has_a_queue_of_its_own_and_is_believed_there_alone(sent, awaiting, configure):
    configure(RECEIVERS={})
    entry = awaiting(receiver="partner")
    message = sent()
    assert entry.relay.receipts_queue == queue_name("receipts:partner")
    awaiting("test.second", receiver="other")

    come(receipt_of(message), source="receipts-of-other")
    assert state_of(message.pk).status == "started"
    unsigned = {**receipt_of(message), "signature": ""}
    come(unsigned, source="receipts-of-partner")

    assert state_of(message.pk).status == "success"
    assert counts() == {"receiver": 1, "consumed": 1}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"receipt": 300}, "receipt=300"),
        ({"receipt": SECOND / 2}, "is no timedelta from a second"),
        ({"receipt": HOUR * 24 * 8}, "up to the deadline"),
        ({"receipt": MINUTE, "receiver": ""}, "names nobody"),
        ({"receipt": None, "receiver": "partner"}, "receipt=None"),
        ({"receipt": MINUTE, "receiver": "a b"}, "names nobody"),
    ],
)
def test_a_forward_says_what_is_wrong_with_its_receipt(awaiting, options, said):
    with pytest.raises(ConsumerError, match=said):
        awaiting("test.wrong", **options)


def test_no_consumer_may_have_the_name_of_the_queue_of_receipts(listen):
    with pytest.raises(ConsumerError, match="receipts"):
        listen(name="receipts")
