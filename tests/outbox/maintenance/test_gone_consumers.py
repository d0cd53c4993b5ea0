"""Messages of a consumer that is gone from the code wait for a day and then fail visibly."""

from datetime import timedelta

import pytest

from outbox import registry
from outbox.maintenance import rescan
from tests.harness.clock import let_pass
from tests.harness.messages import (
    MessageState,
    publish_message,
    publish_messages,
    state_of,
)
from tests.outbox.maintenance.crashes import start_and_crash

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched", "link")


NEW = MessageState("pending", attempts=0, attempt_limit=3)


def test_rows_of_a_consumer_that_is_gone_wait_for_24_hours(listen, link):
    listen()
    id = publish_message()
    registry.forget_consumer("test.till")
    let_pass(timedelta(minutes=1))
    first = rescan.rescan()
    let_pass(timedelta(hours=23))

    second = rescan.rescan()

    assert (first.failed, second.failed) == (0, 0)
    assert state_of(id) == NEW
    assert link.sent == []


def test_rows_of_a_consumer_that_is_gone_fail_after_24_hours(listen):
    listen()
    pending, started = publish_messages(2)
    start_and_crash("test.till", started)
    registry.forget_consumer("test.till")
    rescan.rescan()
    let_pass(timedelta(hours=24, seconds=1))

    sweep = rescan.rescan()

    assert sweep.failed == 2
    assert state_of(pending) == NEW._replace(status="failed", reason="consumer_gone")
    assert state_of(started) == MessageState("failed", attempts=1, attempt_limit=3, reason="consumer_gone")


def test_a_consumer_that_comes_back_starts_the_24_hours_anew(listen, link):
    listen()
    id = publish_message()
    registry.forget_consumer("test.till")
    let_pass(timedelta(minutes=1))
    rescan.rescan()
    let_pass(timedelta(hours=23))
    listen()
    rescan.rescan()
    registry.forget_consumer("test.till")
    let_pass(timedelta(hours=2))

    sweep = rescan.rescan()

    assert sweep.failed == 0
    assert state_of(id)[:3] == NEW[:3]
    assert link.sent_ids == [(id,)]
