"""How often a message is sent before it fails: only sends into an empty queue count, and only those that were taken."""

from datetime import timedelta

import pytest

from outbox.delivery import starting
from outbox.maintenance import rescan
from outbox.maintenance.rescan import RescanResult
from tests.harness.clock import let_pass, timed
from tests.harness.messages import (
    MessageState,
    due_times,
    publish_message,
    publish_messages,
    set_message,
    state_of,
    states_of,
)

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


NEW = MessageState("pending", attempts=0, attempt_limit=3)


SENT = MessageState("pending", attempts=0, attempt_limit=3, sends=1)


def test_a_send_counts_only_into_an_empty_queue(till, link):
    id = publish_message()
    let_pass(timedelta(seconds=5))
    link.depths["test.till"] = 3

    rescan.rescan()

    assert link.sent_ids == [(id,)]
    assert state_of(id) == NEW


def test_a_counted_send_is_taken_back_when_the_broker_did_not_take_the_hint(till, link):
    id = publish_message()
    let_pass(timedelta(seconds=5))
    link.refuses = lambda hint: True

    with timed() as span:
        sweep = rescan.rescan()

    assert sweep == RescanResult(sent=0)
    assert state_of(id) == NEW
    assert span.contains(due_times(id)[0] - timedelta(seconds=1))


def test_only_the_rows_of_the_hints_that_were_not_taken_are_taken_back(listen, link):
    listen(chunk=2)
    ids = publish_messages(5)
    let_pass(timedelta(seconds=5))
    link.refuses = lambda hint: ids[2] in hint.ids

    sweep = rescan.rescan()

    assert sweep.sent == 3
    assert states_of(ids) == [SENT, SENT, NEW, NEW, SENT]


def test_a_send_that_was_not_counted_is_not_taken_back(till, link):
    id = publish_message()
    set_message(id, sends=5)
    let_pass(timedelta(seconds=5))
    link.depths["test.till"] = 3
    link.refuses = lambda hint: True

    rescan.rescan()

    assert state_of(id).sends == 5


def test_a_start_resets_the_sends(till, link):
    id = publish_message()
    set_message(id, sends=77)

    starting.start_named(till, [id])

    assert state_of(id) == MessageState("started", attempts=1, attempt_limit=3, sends=0)


def test_a_message_that_no_worker_takes_fails_at_the_send_limit(till, link, configure):
    configure(SEND_LIMIT=3)
    id = publish_message()
    sweeps = []

    for _ in range(4):
        let_pass(timedelta(seconds=11))
        sweeps.append(rescan.rescan())

    assert sweeps == [RescanResult(sent=1)] * 3 + [RescanResult(failed=1)]
    assert state_of(id) == MessageState("failed", attempts=0, attempt_limit=3, sends=3, reason="not_taken")
    assert link.sent_ids == [(id,)] * 3


def test_the_send_limit_fails_nothing_while_hints_wait_in_the_queue(till, link, configure):
    configure(SEND_LIMIT=3)
    id = publish_message()
    set_message(id, sends=3)
    let_pass(timedelta(seconds=11))
    link.depths["test.till"] = 1

    sweep = rescan.rescan()

    assert sweep == RescanResult(sent=1)
    assert state_of(id) == NEW._replace(sends=3)
