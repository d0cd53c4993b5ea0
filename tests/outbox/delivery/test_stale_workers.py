"""A worker that was overtaken outside any transaction: its result is refused and kept as late."""

from datetime import timedelta

import pytest

from outbox import Superseded
from outbox.delivery import chunks, starting
from outbox.maintenance import recovery
from tests.harness.clock import let_pass
from tests.harness.messages import (
    MessageState,
    effects,
    kept_attempts,
    publish_message,
    state_of,
)
from tests.harness.threads import in_thread
from tests.shop import consumers as shop
from tests.shop.models import Tag

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


def overtake(id: int, *, finish: bool) -> None:
    """Let the lease run out while the handler is at it, and another worker take the row."""
    let_pass(timedelta(seconds=30), id)
    recovery.recover_all(["test.till"])
    if finish:
        in_thread(lambda: chunks.deliver("test.till", [id]))


@pytest.mark.parametrize("finish", [True, False])
def test_a_stale_success_is_refused_and_kept_as_late(order, finish):
    def handler(message):
        if message.attempts == 1:
            overtake(message.pk, finish=finish)
        shop.leave_effect(message)

    order(handler)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id)[:4] == (("success", 2, 4, 0) if finish else ("pending", 1, 4, 1))
    lost, late = kept_attempts(id)
    assert lost[:2] == (1, "lost")
    assert late == (1, "late", "")


def test_a_stale_failure_is_refused_and_kept_as_late(order):
    def handler(message):
        if message.attempts == 1:
            overtake(message.pk, finish=True)
            raise ValueError("too late to complain")

    order(handler)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState("success", attempts=2, attempt_limit=4)
    assert kept_attempts(id)[1:] == [(1, "late", "ValueError: too late to complain")]


def test_a_stale_worker_s_settling_raises_superseded_and_writes_nothing(order):
    raised = []

    def handler(message):
        if message.attempts == 1:
            overtake(message.pk, finish=True)
        try:
            with message.settling():
                Tag.objects.create(name=f"by attempt {message.attempts}")
        except Superseded as error:
            raised.append(str(error))
            raise

    order(handler)
    id = publish_message()

    chunks.deliver("test.till", [id])

    superseded = f"message {id} is no longer ours: attempt 1 was overtaken"
    assert raised == [superseded]
    assert list(Tag.objects.values_list("name", flat=True)) == ["by attempt 2"]
    assert state_of(id) == MessageState("success", attempts=2, attempt_limit=4)
    assert kept_attempts(id)[1:] == [(1, "late", f"Superseded: {superseded}")]


def test_a_worker_overtaken_before_it_called_its_handler_calls_nothing(order, monkeypatch):
    order()
    id = publish_message()
    start = starting.start_named

    def start_then_lose(consumer, ids):
        started = start(consumer, ids)
        overtake(id, finish=False)
        return started

    monkeypatch.setattr(starting, "start_named", start_then_lose)

    chunks.deliver("test.till", [id])

    assert state_of(id)[:4] == ("pending", 1, 4, 1)
    assert effects() == []
