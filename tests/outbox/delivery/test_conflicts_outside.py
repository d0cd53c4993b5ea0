"""A database in trouble around a call outside any transaction: what was done is settled, the rest is done again."""

from datetime import timedelta

import pytest
from django.db import OperationalError

from outbox.delivery import chunks, non_atomic, starting
from tests.harness.clock import let_pass
from tests.harness.messages import (
    kept_attempts,
    publish_message,
    state_of,
)
from tests.harness.threads import backend, terminate
from tests.outbox.delivery.down import DONE, FREE, ONCE, allow, raise_state, refusing
from tests.shop import consumers as shop
from tests.shop.models import Tag

pytestmark = [pytest.mark.usefixtures("transactional_db", "dispatched"), pytest.mark.services]


def test_outside_a_session_that_is_ended_over_and_over_spends_tries_in_the_end(order, monkeypatch):
    monkeypatch.setattr(non_atomic, "FREE_IN_A_ROW", 2)
    keys = []

    def handler(message):
        keys.append(message.idempotency_key)
        terminate(backend())
        shop.leave_effect(message)

    order(handler, retry=ONCE)
    id = publish_message()

    seen = []
    for _ in range(3):
        chunks.deliver("test.till", [id])
        seen.append(state_of(id)[:3])
        let_pass(timedelta(minutes=1))

    assert seen == [("pending", 1, 2), ("pending", 2, 3), ("failed", 3, 3)]
    assert len(set(keys)) == 1
    assert [(number, outcome) for number, outcome, _error in kept_attempts(id)] == [
        (1, "unavailable"),
        (2, "unavailable"),
        (3, "failed"),
    ]
    assert kept_attempts(id)[0][2].startswith("interrupted: ")


@pytest.mark.parametrize("code", ["40P01", "40001"])
def test_a_conflict_in_the_settling_block_spends_nothing_and_the_key_stays(order, code):
    keys = []

    def handler(message):
        keys.append(message.idempotency_key)
        with message.settling():
            Tag.objects.create(name=f"order {len(keys)}")
            if len(keys) == 1:
                raise_state(code)

    order(handler, retry=ONCE)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id)[:4] == FREE[:4]
    let_pass(timedelta(minutes=1))
    chunks.deliver("test.till", [id])
    assert state_of(id)[:3] == ("success", 2, 2)
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert list(Tag.objects.values_list("name", flat=True)) == ["order 2"]


def test_a_handler_may_open_its_settling_block_again_after_a_conflict(order):
    def handler(message):
        try:
            with message.settling():
                raise_state("40P01")
        except OperationalError:
            with message.settling():
                Tag.objects.create(name="second")

    order(handler, retry=ONCE)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id) == DONE
    assert Tag.objects.count() == 1


def test_a_conflict_outside_the_settling_block_is_a_failed_attempt(order):
    order(lambda _message: raise_state("40P01"), retry=ONCE)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id)[:3] == ("failed", 1, 1)


@pytest.mark.parametrize("code", ["25006", "53100", "40P01"])
def test_what_a_vendor_answered_is_settled_once_the_database_takes_it(order, waits, code):
    calls = []
    todo, done = waits
    todo.append(allow)
    consumer = order(calls.append, retry=ONCE)
    id = publish_message()
    [row] = starting.start_named(consumer, [id])

    with refusing("outbox_message", code):
        non_atomic.handle(consumer, row.fence)

    assert len(done) == 1
    assert len(calls) == 1
    assert state_of(id) == DONE
