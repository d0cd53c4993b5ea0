"""A message whose deadline has passed fails visibly, whatever it was waiting for."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from outbox.delivery import chunks, starting
from outbox.maintenance import recovery
from outbox.maintenance.recovery import Recovered
from tests.harness.clock import let_pass
from tests.harness.messages import (
    MessageState,
    publish_message,
    publish_messages,
    set_message,
    state_of,
    states_of,
)

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched", "link")


NEW = MessageState("pending", attempts=0, attempt_limit=3)


def test_a_message_that_passes_its_deadline_fails_as_expired(listen):
    listen()
    id = publish_message()
    let_pass(timedelta(days=7))

    recovered = recovery.recover_all(["test.till"])

    assert recovered == Recovered(lost=0, failed=1)
    assert state_of(id) == NEW._replace(status="failed", reason="expired")


def test_a_message_is_not_started_after_its_deadline(listen):
    listen()
    id = publish_message()
    let_pass(timedelta(days=7))

    chunks.deliver("test.till", [id])

    assert state_of(id) == NEW


def test_a_message_that_is_being_handled_does_not_expire(listen):
    till = listen()
    id = publish_message()
    starting.start_named(till, [id])
    set_message(id, expires_at=Now() - timedelta(seconds=1), due_at=Now() - timedelta(seconds=1))

    recovered = recovery.recover_all(["test.till"])

    assert recovered == Recovered()
    assert state_of(id) == MessageState("started", attempts=1, attempt_limit=3)


def test_snoozing_for_ever_ends_at_the_deadline(listen):
    listen(deadline=timedelta(hours=1))
    id = publish_message(do="snooze", seconds=1500)

    for _ in range(4):
        chunks.deliver("test.till", [id])
        let_pass(timedelta(seconds=1501))
        recovery.recover_all(["test.till"])

    assert state_of(id)[:3] == ("failed", 3, 6)
    assert state_of(id)[-2:] == ("Snooze: not ready, again in 0:25:00", "expired")


def test_a_wait_beyond_the_deadline_does_not_put_the_deadline_off(listen):
    listen(deadline=timedelta(hours=1))
    id = publish_message(do="snooze", seconds=86_400)
    chunks.deliver("test.till", [id])
    let_pass(timedelta(minutes=59))
    before = recovery.recover_all(["test.till"])
    let_pass(timedelta(minutes=2))

    after = recovery.recover_all(["test.till"])

    assert (before, after) == (Recovered(), Recovered(lost=0, failed=1))
    assert state_of(id)[:3] == ("failed", 1, 4)


def test_expired_rows_beyond_one_transaction_all_fail(listen, monkeypatch):
    monkeypatch.setattr(recovery, "FAIL_BATCH", 2)
    listen()
    ids = publish_messages(5)
    let_pass(timedelta(days=7))

    recovered = recovery.recover_all(["test.till"])

    assert recovered == Recovered(lost=0, failed=5)
    assert {entry.status for entry in states_of(ids)} == {"failed"}
