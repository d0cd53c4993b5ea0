"""Receipts that the database does not take at the moment, as others hold it up: none is lost."""

import json
import threading

import pytest
from django.db import OperationalError

from outbox import sources
from outbox.external.ingest.feed import Delivery
from outbox.external.ingest.receiver import TRIES
from outbox.external.receipts import taking_in
from outbox.external.receipts.reading import ReceiptReceiver
from outbox.sources import Incoming
from tests.harness.messages import state_of
from tests.outbox.external.receipts.conftest import counts, receipt_of

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


class OnlyAcks:
    """A feed that notes what is acknowledged."""

    def __init__(self):
        self.acked = []

    def ack(self, deliveries, **_how):
        self.acked += deliveries


def test_receipts_that_others_hold_up_are_applied_once_they_let_go(sent, monkeypatch):
    message, tries, take_in = sent(), [], taking_in.take_in

    def hold_up(*args):
        tries.append(1)
        if len(tries) <= 3 * TRIES:
            raise OperationalError("database is locked")
        return take_in(*args)

    monkeypatch.setattr(taking_in, "take_in", hold_up)
    source = sources.get_source("receipts")
    receiver = ReceiptReceiver(source, threading.Event())
    receiver._feed = feed = OnlyAcks()
    came = Incoming(source=source.name, queue=source.queue, body=json.dumps(receipt_of(message)).encode())
    receiver._in_hand = [Delivery(1, came)]

    while not receiver._settle_in_hand():
        assert (feed.acked, counts()) == ([], {})

    assert (state_of(message.pk).status, counts(), len(feed.acked)) == ("success", {"consumed": 1}, 1)
