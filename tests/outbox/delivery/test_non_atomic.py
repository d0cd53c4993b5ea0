"""Consumers with ``atomic=False``: called outside any transaction, settled by compare-and-set."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from outbox import Snooze, Unavailable
from outbox.delivery import chunks
from outbox.models import Message
from tests.harness.clock import let_pass
from tests.harness.messages import (
    MessageState,
    effects,
    kept_attempts,
    publish_message,
    publish_messages,
    state_of,
    states_of,
)
from tests.harness.threads import backend, terminate
from tests.shop import consumers as shop
from tests.shop.models import Effect, Stock, Tag

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

NEW = MessageState("pending", attempts=0, attempt_limit=3)
DONE = MessageState("success", attempts=1, attempt_limit=3)
TIMEOUT = timedelta(seconds=2)


def test_the_handler_runs_outside_any_transaction_and_is_settled_afterwards(order):
    seen = []
    order(lambda message: seen.append((connection.in_atomic_block, state_of(message.pk))))
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert seen == [(False, MessageState("started", attempts=1, attempt_limit=3))]
    assert state_of(id) == DONE


def test_rows_are_started_one_by_one_and_never_topped_up(order):
    seen = []
    order(lambda message: seen.append([entry.status for entry in states_of(ids)]))
    ids = publish_messages(3)

    chunks.deliver("test.till", ids[:2])

    assert seen == [["started", "pending", "pending"], ["success", "started", "pending"]]
    assert states_of(ids) == [DONE, DONE, NEW]


def test_the_lease_is_longer_than_the_timeout(order):
    leases = []

    def look(message):
        leases.append(message.lease_until - message.started_at)

    order(look)

    chunks.deliver("test.till", [publish_message()])

    assert leases == [timedelta(seconds=12)]


def test_a_failure_counts_and_what_the_handler_wrote_stays(order):
    order()
    id = publish_message(do="fail")

    chunks.deliver("test.till", [id])

    error = "ValueError: the vendor is confused"
    assert state_of(id) == MessageState("pending", attempts=1, attempt_limit=3, last_error=error)
    assert kept_attempts(id) == [(1, "failed", error)]
    assert effects() == [(id, 1)]


@pytest.mark.parametrize("signal", [Snooze(timedelta(seconds=9)), Unavailable("down")])
def test_signals_spend_no_attempt(order, signal):
    def handler(_message):
        raise signal

    order(handler)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id)[:3] == ("pending", 1, 4)


def test_settling_commits_the_result_together_with_the_success(order):
    order()
    id = publish_message(key="book", settle=True)

    chunks.deliver("test.till", [id])

    assert state_of(id) == DONE
    assert list(Tag.objects.values_list("name", flat=True)) == ["order book"]


def test_an_error_inside_settling_takes_the_result_and_the_success_back(order):
    def handler(message):
        with message.settling():
            Tag.objects.create(name="half")
            raise ValueError("in the middle")

    order(handler)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState("pending", attempts=1, attempt_limit=3, last_error="ValueError: in the middle")
    assert Tag.objects.count() == 0


def test_a_database_error_swallowed_inside_settling_is_a_failed_attempt(order):
    def handler(message):
        with message.settling():
            Tag.objects.create(name="half")
            try:
                Stock.objects.create(pk=1)
            except IntegrityError:
                return

    order(handler)
    Stock.objects.create(pk=1)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id)[:3] == ("pending", 1, 3)
    assert [(number, outcome) for number, outcome, _error in kept_attempts(id)] == [(1, "failed")]
    assert Tag.objects.count() == 0


def test_an_error_after_settling_does_not_undo_the_success(order):
    def handler(message):
        with message.settling():
            Tag.objects.create(name="whole")
        raise ValueError("afterwards")

    order(handler)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id) == DONE
    assert Tag.objects.count() == 1
    assert kept_attempts(id) == []


def test_settling_twice_is_an_error(order):
    errors = []

    def handler(message):
        with message.settling():
            Tag.objects.create(name="once")
        with pytest.raises(RuntimeError) as caught, message.settling():
            Tag.objects.create(name="twice")
        errors.append(str(caught.value))

    order(handler)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert errors == ["message.settling() was used before; a message is settled once"]
    assert state_of(id) == DONE
    assert list(Tag.objects.values_list("name", flat=True)) == ["once"]


@pytest.mark.parametrize("atomic", [True, False])
def test_settling_outside_a_delivery_is_an_error(listen, atomic):
    listen(atomic=atomic, timeout=TIMEOUT)
    message = Message.objects.get(pk=publish_message())

    with pytest.raises(
        RuntimeError, match="is for plain consumers with atomic=False, while their message is delivered"
    ):
        message.settling()


def test_settling_in_an_atomic_consumer_is_a_failed_attempt(listen):
    def handler(message):
        with message.settling():
            Tag.objects.create(name="never")

    listen(handler)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id)[:3] == ("pending", 1, 3)
    assert Tag.objects.count() == 0


@pytest.mark.services
def test_a_connection_that_broke_while_the_handler_was_away_does_not_lose_its_result(order):
    def handler(message):
        shop.leave_effect(message)
        terminate(backend())

    order(handler)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id) == DONE
    assert kept_attempts(id) == []


@pytest.mark.services
def test_a_constraint_that_fails_when_settling_commits_is_a_failed_attempt(order):
    order()
    Tag.objects.create(name="order book")
    id = publish_message(key="book", settle=True)

    chunks.deliver("test.till", [id])

    assert state_of(id)[:3] == ("pending", 1, 3)
    assert state_of(id).last_error.startswith("IntegrityError: duplicate key value")
    assert Tag.objects.count() == 1


def test_the_idempotency_key_is_the_same_over_retries_and_no_other_message_has_it(order):
    seen = []

    def handler(message):
        seen.append((message.pk, message.idempotency_key))
        raise ValueError("again")

    order(handler)
    one, two = publish_messages(2)

    for _ in range(3):
        chunks.deliver("test.till", [one, two])
        let_pass(timedelta(minutes=1))

    keys = dict(seen)
    assert seen == [(one, keys[one]), (two, keys[two])] * 3
    assert keys[one] != keys[two]


def test_deliver_refuses_to_settle_a_chunk_inside_a_transaction_of_its_caller(listen):
    listen()
    id = publish_message()

    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        chunks.deliver("test.till", [id])

    assert state_of(id) == NEW
    assert Effect.objects.count() == 0
