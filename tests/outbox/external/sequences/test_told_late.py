"""What is told after the end: of an epoch that is over, and of a number that was said never to come."""

import json
from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now

from outbox import operate
from outbox.delivery import starting
from outbox.external import heartbeats
from outbox.external.sequences.acts import begin_epoch
from outbox.external.sequences.explaining import explain
from outbox.models import Message, SequenceNumber, SequenceStream
from tests.harness.messages import publish_messages
from tests.outbox.external.conftest import NAME

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

STREAM = f"{NAME}/test.sold"


@pytest.fixture
def told(monkeypatch):
    """The notices that were sent: the epoch, the notice, its number, and what it says."""
    said = []

    def send(_relay, stream, parcels):
        for parcel in parcels:
            headers = parcel.envelope.headers
            notice = (headers["x-outbox-notice"], headers["x-outbox-sequence"], json.loads(parcel.envelope.body))
            said.append((stream.epoch, *notice))

    monkeypatch.setattr(heartbeats, "_send", send)
    return said


def send(*ids):
    """Let messages that were started be sent."""
    Message.objects.filter(pk__in=ids).mark_consumed()


def fail(id):
    Message.objects.filter(pk=id).mark_failed(reason="no_tries_left", failure="", error="ValueError: bad")


def make_pass():
    SequenceStream.objects.update(due_at=Now())
    heartbeats.make_pass()


def let_a_day_pass():
    day = timedelta(days=1)
    SequenceNumber.objects.update(settled_at=F("settled_at") - day)
    Message.objects.update(finished_at=F("finished_at") - day)


def begin_anew():
    """Let another epoch begin; return the one that ended."""
    epoch = SequenceStream.objects.get(is_current=True).epoch
    begin_epoch(NAME, actor="ann", reason="restored from yesterday's files")
    return epoch


def test_an_epoch_that_is_over_is_told_of_for_a_day(lead, told):
    consumer = lead(sequence=True)
    ids = publish_messages(3)
    starting.start_named(consumer, ids)
    send(*ids)
    make_pass()
    old = begin_anew()
    told.clear()

    for _ in range(3):
        make_pass()
    of_old = [said for epoch, *said in told if epoch == old]
    let_a_day_pass()
    told.clear()
    make_pass()

    assert of_old == [["heartbeat", 3, {"open": [], "failed": []}]] * 3
    assert [epoch == old for epoch, *_said in told] == [False]


def test_what_is_sent_of_an_epoch_long_after_its_end_is_told_of_for_a_day(lead, told, monkeypatch):
    monkeypatch.setattr(heartbeats, "TAIL", 1)
    consumer = lead(sequence=True)
    ids = publish_messages(3)
    starting.start_named(consumer, ids)
    send(*ids[1:])
    fail(ids[0])
    make_pass()
    old = begin_anew()
    let_a_day_pass()
    make_pass()
    waiting = told[-2:]
    send(ids[0])
    told.clear()

    for _ in range(3):
        make_pass()
    sent = [said for epoch, *said in told if epoch == old]
    let_a_day_pass()
    told.clear()
    make_pass()

    assert (old, "heartbeat", 3, {"open": [], "failed": [[1, 1]]}) in waiting
    assert sent == [["heartbeat", 3, {"open": [], "failed": []}]] * 3
    assert [epoch == old for epoch, *_said in told] == [False]
    assert SequenceNumber.objects.get(pk=ids[0]).state == "sent"


def test_a_message_that_is_reopened_after_its_number_was_said_never_to_come_has_another(lead, told):
    consumer = lead(sequence=True)
    ids = publish_messages(2)
    starting.start_named(consumer, ids)
    send(ids[1])
    fail(ids[0])
    operate.discard(ids[0], revision=0, actor="ann", reason="wrong")
    make_pass()
    operate.reopen(ids[0], revision=1, actor="ann", reason="right after all")
    operate.retry(ids[0], revision=2, actor="ann", reason="right after all")
    starting.start_named(consumer, [ids[0]])
    told.clear()

    make_pass()

    assert dict(SequenceNumber.objects.values_list("message_id", "number")) == {ids[0]: 3, ids[1]: 2}
    assert [said for _epoch, *said in told] == [["heartbeat", 3, {"open": [[3, 3]], "failed": []}]]
    assert "under another number" in explain(STREAM, 1)[0].sentence


def test_a_message_that_is_reopened_before_that_was_said_keeps_its_number(lead, told):
    consumer = lead(sequence=True)
    ids = publish_messages(1)
    starting.start_named(consumer, ids)
    fail(ids[0])
    operate.discard(ids[0], revision=0, actor="ann", reason="wrong")
    operate.reopen(ids[0], revision=1, actor="ann", reason="right after all")
    operate.retry(ids[0], revision=2, actor="ann", reason="right after all")
    starting.start_named(consumer, ids)

    assert SequenceNumber.objects.get().number == 1
