"""What is sent waits for its receipt: until it comes, or was not heard of in time."""

import pytest
from django.db.models.functions import Now

from outbox import registry
from outbox.delivery import chunks, relaying
from outbox.external.forwarding import Forward
from outbox.maintenance import recovery, set_back
from outbox.models import AwaitedReceipt, Evidence, Heartbeat, Message, Status
from tests.harness.clock import HOUR, MINUTE, SECOND, let_pass
from tests.harness.messages import kept_attempts, publish_messages, set_message, state_of
from tests.outbox.conftest import SLOW
from tests.outbox.external.receipts.conftest import NAME, RECEIPT, come, receipt_of

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


def test_silence_is_a_counted_attempt_and_then_it_is_sent_again(sent):
    message = sent()
    recovery.recover_all([NAME])
    assert state_of(message.pk).status == "started"

    let_pass(RECEIPT + SECOND)
    recovered = recovery.recover_all([NAME])

    assert recovered.lost == 1
    row = Message.objects.get(pk=message.pk)
    assert (row.status, row.attempts, row.attempt_limit, row.lost) == ("pending", 1, SLOW.limit, 0)
    assert row.not_before > row.started_at
    [attempt] = row.attempt_set.all()
    assert (attempt.outcome, attempt.may_have_acted) == ("failed", True)
    assert attempt.error == row.last_error == "no receipt: partner said nothing of attempt 1 in time"


def test_silence_in_the_last_attempt_gives_it_up_for_that_reason(sent):
    message = sent()
    set_message(message.pk, attempt_limit=1)
    let_pass(RECEIPT + SECOND)

    recovery.recover_all([NAME])

    assert (state_of(message.pk).status, state_of(message.pk).reason) == ("failed", "no_receipt")


def test_a_worker_that_was_lost_before_it_was_sent_costs_nothing(sent):
    message = sent(confirmed=False)
    let_pass(MINUTE)

    recovery.recover_all([NAME])

    assert (state_of(message.pk).status, state_of(message.pk).attempt_limit) == ("pending", SLOW.limit + 1)
    assert [outcome for _number, outcome, _error in kept_attempts(message.pk)] == ["lost"]


class Broker:
    """A broker that confirms everything, and lets something happen before it says so."""

    def __init__(self, monkeypatch, meanwhile=lambda _messages: None):
        self.sent = []

        def send(_relay, messages, *, until):
            self.sent += [message.pk for message in messages]
            meanwhile(messages)
            return [None] * len(messages)

        monkeypatch.setattr(Forward, "send", send)


def test_what_is_confirmed_is_sent_and_belongs_to_no_worker(awaiting, monkeypatch):
    Broker(monkeypatch)
    awaiting()
    [id] = publish_messages(1)

    chunks.deliver(NAME, [id])

    row = Message.objects.get(pk=id)
    assert (row.status, row.worker, row.lease_until) == ("started", "", row.due_at)
    assert MINUTE * 4 < row.lease_until - row.started_at < MINUTE * 6
    assert AwaitedReceipt.objects.values_list("sent_attempt", "receiver").get() == (1, "partner")


def test_a_receipt_that_is_faster_than_our_own_settle_is_no_double_issue(awaiting, monkeypatch):
    def answer(messages):
        for message, outcome in zip(messages, ("consumed", "failed", "rejected"), strict=True):
            come(receipt_of(message, outcome))

    Broker(monkeypatch, answer)
    awaiting()
    ids = publish_messages(3)

    chunks.deliver(NAME, ids)

    assert [state_of(id).status for id in ids] == ["success", "pending", "failed"]
    assert [len(kept_attempts(id)) for id in ids] == [0, 1, 1]
    assert not Evidence.objects.doubled().exists()


def test_of_one_ordering_key_the_next_is_sent_when_the_receipt_has_come(awaiting, monkeypatch):
    broker = Broker(monkeypatch)
    awaiting()
    first, second, third = publish_messages(3, ordering_key="shop")

    chunks.deliver(NAME, [first, second, third])
    assert broker.sent == [first]
    come(receipt_of(Message.objects.get(pk=first)))
    chunks.deliver(NAME, [])

    assert broker.sent == [first, second]
    come(receipt_of(Message.objects.get(pk=second), "rejected"))
    chunks.deliver(NAME, [])
    assert broker.sent == [first, second]
    assert state_of(third).status == "pending"


def test_a_settle_that_is_repeated_after_a_lost_answer_changes_nothing(sent):
    message = sent(confirmed=False)
    entry = registry.get(NAME)
    reports = list(relaying._reports([message], [None], confirmed=relaying.Sent(RECEIPT)))

    relaying.settle(entry, reports)
    relaying.settle(entry, reports)

    assert state_of(message.pk).status == Status.STARTED
    assert kept_attempts(message.pk) == []


def test_a_clock_that_was_set_back_does_not_cut_the_wait_for_a_receipt(sent, awaiting):
    awaiting(receipt=2 * HOUR)
    message = sent(confirmed=False)
    Message.objects.held([message.fence]).mark_sent(2 * HOUR)
    message.refresh_from_db()
    Heartbeat.objects.record("rescan")
    Heartbeat.objects.update(at=Now() + HOUR)

    set_back.mend_if_set_back()

    assert Message.objects.get(pk=message.pk).lease_until == message.lease_until
