"""Workers that meet over one row: overtaken, skipped, or started at once; one of them has it."""

import threading
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from outbox.delivery import atomic, chunks, starting
from outbox.maintenance import recovery
from outbox.maintenance.recovery import Recovered
from outbox.models import Attempt, Message
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
from tests.harness.threads import TIMEOUT, at_once, beside, in_thread
from tests.shop import consumers as shop

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


DONE = MessageState("success", attempts=1, attempt_limit=3)


@pytest.fixture
def before_handling(monkeypatch):
    """Have somebody else do something between the start of a chunk and its handling, once.

    The chunk's transaction has begun by then; with SQLite nobody else could write, so there it is part of it.
    """
    happenings = []
    lock = atomic.lock

    def happen_then_lock(consumer, fences, *, wait):
        if happenings:
            happening = happenings.pop()
            in_thread(happening) if connection.vendor == "postgresql" else happening()
        return lock(consumer, fences, wait=wait)

    monkeypatch.setattr(atomic, "lock", happen_then_lock)
    return happenings.append


def lose_the_lease():
    """Let the lease run out and the rescan take the row back."""
    let_pass(timedelta(seconds=30))
    recovery.recover_all(["test.till"])


def test_a_worker_overtaken_before_it_handled_has_no_effect(listen, before_handling):
    till = listen()
    id = publish_message()

    def overtake():
        lose_the_lease()
        starting.start_named(till, [id])

    before_handling(overtake)

    chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState("started", attempts=2, attempt_limit=4, lost=1)
    assert [(number, outcome) for number, outcome, _error in kept_attempts(id)] == [(1, "lost")]
    assert effects() == []


def test_a_worker_whose_row_was_taken_back_has_no_effect(listen, before_handling):
    listen()
    id, neighbour = publish_messages(2)

    def take_back():
        let_pass(timedelta(seconds=30), id)
        recovery.recover_all(["test.till"])

    before_handling(take_back)

    chunks.deliver("test.till", [id, neighbour])

    assert state_of(id)[:4] == ("pending", 1, 4, 1)
    assert state_of(neighbour) == DONE
    assert effects() == [(neighbour, 1)]


def test_the_row_that_a_live_handler_has_locked_is_not_taken_back(listen, before_handling):
    recovered = []

    def look():
        try:
            return recovery.recover_all(["test.till"])
        except DatabaseError as error:
            return error

    def handler(message):
        if connection.vendor == "postgresql":
            recovered.append(in_thread(look))
        shop.leave_effect(message)

    listen(handler)
    id = publish_message()
    before_handling(lambda: let_pass(timedelta(seconds=30)))

    chunks.deliver("test.till", [id])

    assert recovered == ([Recovered(lost=0, failed=0)] if connection.vendor == "postgresql" else [])
    assert state_of(id) == DONE
    assert effects() == [(id, 1)]


@pytest.mark.services
def test_a_row_that_is_being_handled_does_not_block_those_who_refer_to_it(listen):
    def handler(message):
        in_thread(lambda: Attempt.objects.create(message_id=message.pk, number=0, outcome="lost"))
        shop.leave_effect(message)

    listen(handler)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert state_of(id) == DONE
    assert kept_attempts(id) == [(0, "lost", "")]


@pytest.mark.services
def test_two_hints_for_the_same_rows_at_once_start_each_row_once(listen):
    listen(chunk=5)
    ids = publish_messages(60)

    at_once(*[lambda: [chunks.deliver("test.till", ids[n : n + 5]) for n in range(0, 60, 5)]] * 4)

    assert states_of(ids) == [DONE] * 60
    assert effects() == [(id, 1) for id in ids]


@pytest.mark.services
def test_a_row_being_started_by_another_worker_is_skipped_without_waiting(listen):
    till = listen()
    taken, free = publish_messages(2)
    holding, let_go = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            Message.objects.select_for_update(no_key=True).get(pk=taken)
            holding.set()
            let_go.wait(TIMEOUT)

    with beside(hold):
        holding.wait(TIMEOUT)
        try:
            fences = starting.start_named(till, [taken, free])
        finally:
            let_go.set()

    assert [fence.id for fence in fences] == [free]
