"""Rows that only met others: locks, deadlocks, serialization failures, broken connections, overtaken workers."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from outbox.delivery import chunks
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
from tests.harness.threads import TIMEOUT, at_once, backend, beside, in_thread, terminate
from tests.shop import consumers as shop
from tests.shop.models import Stock

pytestmark = pytest.mark.usefixtures("transactional_db", "offered")

DONE = MessageState("success", attempts=1, attempt_limit=3)


@pytest.fixture
def faults():
    """The SQLSTATEs of the errors that handlers have met: the proof that a fault has fired."""
    return []


def noting(faults, work):
    """Return a handler that does ``work`` and leaves an effect, and notes the database errors on the way."""

    def handler(message):
        try:
            work(message)
            shop.leave_effect(message)
        except DatabaseError as error:
            faults.append(error.__cause__.pgcode)
            raise

    return handler


def take_one(_message=None):
    Stock.objects.filter(pk=1).update(count=F("count") - 1)


@pytest.mark.services
def test_a_row_that_waits_too_long_for_a_lock_is_redone_alone_and_spends_nothing(listen, faults):
    tries = []
    held, released = threading.Event(), threading.Event()

    def hold_the_stock():
        with transaction.atomic():
            Stock.objects.select_for_update().get(pk=1)
            held.set()
            released.wait(5)

    def work(message):
        tries.append(message.pk)
        if message.payload.get("takes") and tries.count(message.pk) == 2:
            released.set()
        if message.payload.get("takes"):
            take_one()

    listen(noting(faults, work))
    Stock.objects.create(pk=1, count=10)
    ids = [publish_message(), publish_message(takes=True), publish_message()]
    with beside(hold_the_stock):
        held.wait(TIMEOUT)

        chunks.deliver("test.till", ids)

    assert faults == ["55P03"]
    assert sorted(tries) == [ids[0], ids[1], ids[1], ids[2]]
    assert states_of(ids) == [DONE] * 3
    assert effects() == [(id, 1) for id in ids]
    assert [kept_attempts(id) for id in ids] == [[], [], []]
    assert Stock.objects.get().count == 9


@pytest.mark.services
def test_a_sorted_chunk_waits_for_its_turn_instead_of_being_redone(listen, faults, configure):
    configure(CHUNK_LOCK_TIMEOUT=timedelta(milliseconds=1))
    tries = []
    held, waiting = threading.Event(), threading.Event()

    def hold_the_stock():
        with transaction.atomic():
            Stock.objects.select_for_update().get(pk=1)
            held.set()
            waiting.wait(TIMEOUT)
            time.sleep(0.3)

    def work(message):
        tries.append(message.pk)
        waiting.set()
        take_one()

    listen(noting(faults, work), sort=lambda message: message.key)
    Stock.objects.create(pk=1, count=10)
    ids = publish_messages(3)
    with beside(hold_the_stock):
        held.wait(TIMEOUT)

        chunks.deliver("test.till", ids)

    assert faults == []
    assert sorted(tries) == ids
    assert states_of(ids) == [DONE] * 3
    assert Stock.objects.get().count == 7


@pytest.mark.services
def test_a_row_that_never_gets_its_lock_is_a_failed_attempt_after_three_tries(listen, faults):
    tries = []
    held, released = threading.Event(), threading.Event()

    def hold_the_stock():
        with transaction.atomic():
            Stock.objects.select_for_update().get(pk=1)
            held.set()
            released.wait(TIMEOUT)

    listen(noting(faults, lambda message: (tries.append(message.pk), take_one())), timeout=timedelta(milliseconds=50))
    Stock.objects.create(pk=1, count=10)
    id = publish_message()
    with beside(hold_the_stock):
        held.wait(TIMEOUT)

        chunks.deliver("test.till", [id])
        released.set()

    assert faults == ["55P03"] * 4
    assert tries == [id] * 4
    assert state_of(id)[:3] == ("pending", 1, 3)
    assert [(number, outcome) for number, outcome, _error in kept_attempts(id)] == [(1, "failed")]
    assert Stock.objects.get().count == 10


@pytest.mark.services
def test_the_victim_of_a_deadlock_is_redone_and_spends_nothing(listen, faults, configure):
    crossed = threading.Barrier(2)
    tries = []

    def work(message):
        first, second = message.payload["stocks"]
        tries.append(message.pk)
        Stock.objects.filter(pk=first).update(count=F("count") - 1)
        if tries.count(message.pk) == 1:
            crossed.wait(TIMEOUT)
        Stock.objects.filter(pk=second).update(count=F("count") - 1)

    configure(CHUNK_LOCK_TIMEOUT=timedelta(seconds=20))
    listen(noting(faults, work), chunk=1)
    Stock.objects.bulk_create([Stock(pk=1, count=10), Stock(pk=2, count=10)])
    one, two = publish_message(stocks=[1, 2]), publish_message(stocks=[2, 1])

    at_once(lambda: chunks.deliver("test.till", [one]), lambda: chunks.deliver("test.till", [two]))

    assert faults == ["40P01"]
    assert len(tries) == 3
    assert states_of([one, two]) == [DONE, DONE]
    assert effects() == [(one, 1), (two, 1)]
    assert list(Stock.objects.values_list("count", flat=True)) == [8, 8]
    assert Attempt.objects.count() == 0


@pytest.mark.services
def test_a_serialization_failure_is_redone_and_spends_nothing(listen, faults):
    tries = []

    def work(message):
        tries.append(message.pk)
        Stock.objects.get(pk=1)
        if len(tries) == 1:
            in_thread(take_one)
        take_one()

    listen(noting(faults, work))
    Stock.objects.create(pk=1, count=10)
    id = publish_message()
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ")

    try:
        chunks.deliver("test.till", [id])
    finally:
        connection.close()

    assert faults == ["40001"]
    assert state_of(id) == DONE
    assert effects() == [(id, 1)]
    assert kept_attempts(id) == []
    assert Stock.objects.get().count == 8


@pytest.mark.services
def test_a_connection_that_broke_while_idle_heals_at_the_next_start(listen):
    listen()
    id = publish_message()
    terminate(backend())

    chunks.deliver("test.till", [id])

    assert state_of(id) == DONE
    assert effects() == [(id, 1)]


@pytest.mark.services
def test_a_connection_that_breaks_in_mid_handler_leads_to_a_redo(listen, faults):
    tries = []

    def work(message):
        tries.append(message.pk)
        if message.payload.get("cut") and tries.count(message.pk) == 1:
            terminate(backend())
            connection.cursor().execute("SELECT 1")

    listen(noting(faults, work))
    before, cut, after = publish_message(), publish_message(cut=True), publish_message()

    chunks.deliver("test.till", [before, cut, after])

    assert len(faults) == 1
    assert tries[:2] == [before, cut]
    assert sorted(tries[2:]) == [before, cut, after]
    assert states_of([before, cut, after]) == [DONE] * 3
    assert effects() == [(before, 1), (cut, 1), (after, 1)]
    assert Attempt.objects.count() == 0


@pytest.mark.services
def test_a_connection_that_breaks_unnoticed_by_the_handler_leads_to_a_redo(listen):
    tries = []

    def handler(message):
        tries.append(message.pk)
        shop.leave_effect(message)
        if len(tries) == 1:
            terminate(backend())

    listen(handler)
    ids = publish_messages(2)

    chunks.deliver("test.till", ids)

    assert tries[0] == ids[0]
    assert sorted(tries[1:]) == ids
    assert states_of(ids) == [DONE] * 2
    assert effects() == [(id, 1) for id in ids]


@pytest.fixture
def before_handling(monkeypatch):
    """Have somebody else do something between the start of a chunk and its handling, once.

    The chunk's transaction has begun by then; with SQLite nobody else could write, so there it is part of it.
    """
    happenings = []
    lock = chunks.lock

    def happen_then_lock(consumer, fences, *, wait):
        if happenings:
            happening = happenings.pop()
            in_thread(happening) if connection.vendor == "postgresql" else happening()
        return lock(consumer, fences, wait=wait)

    monkeypatch.setattr(chunks, "lock", happen_then_lock)
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
        chunks.start(till, [id])

    before_handling(overtake)

    chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState(
        "started", attempts=2, attempt_limit=4, lost=1, last_error=kept_attempts(id)[0][2]
    )
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
            fences = chunks.start(till, [taken, free])
        finally:
            let_go.set()

    assert [fence.id for fence in fences] == [free]
