"""Rows that only met others: locks, deadlocks and serialization failures are redone and spend nothing."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F

from outbox.delivery import chunks, sessions
from outbox.models import Attempt
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
from tests.outbox.delivery.faults import noting
from tests.shop.models import Stock

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

DONE = MessageState("success", attempts=1, attempt_limit=3)


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
def test_a_row_that_never_gets_its_lock_is_redone_alone_and_then_has_timed_out(listen, faults):
    tries = []
    held, released = threading.Event(), threading.Event()

    def hold_the_stock():
        with transaction.atomic():
            Stock.objects.select_for_update().get(pk=1)
            held.set()
            released.wait(TIMEOUT)

    listen(noting(faults, lambda message: (tries.append(message.pk), take_one())), timeout=timedelta(milliseconds=300))
    Stock.objects.create(pk=1, count=10)
    id = publish_message()
    with beside(hold_the_stock):
        held.wait(TIMEOUT)

        chunks.deliver("test.till", [id])
        released.set()

    assert faults[0] == "55P03"
    assert tries == [id] * 2
    assert state_of(id)[:3] == ("pending", 1, 3)
    [(number, outcome, error)] = kept_attempts(id)
    assert (number, outcome) == (1, "failed")
    assert "longer than its timeout" in error
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
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        cursor.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    sessions.drop(connection)

    try:
        chunks.deliver("test.till", [id])
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} RESET default_transaction_isolation")
        sessions.drop(connection)

    assert faults == ["40001"]
    assert state_of(id) == DONE
    assert effects() == [(id, 1)]
    assert kept_attempts(id) == []
    assert Stock.objects.get().count == 8
