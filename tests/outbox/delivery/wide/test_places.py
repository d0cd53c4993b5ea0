"""Leases of calls that take long, calls that hang, and what the rescan leaves to workers that are awake."""

import asyncio
import threading
import time
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.db.models.functions import Now
from django.utils import timezone

from outbox import Backoff, operate
from outbox.conf import conf
from outbox.delivery.wide import hints, starts
from outbox.maintenance import rescan
from outbox.models import ConsumerState, Message, Places
from tests.harness.clock import let_pass
from tests.harness.messages import kept_attempts, publish_message, publish_messages, state_of, states_of
from tests.outbox.delivery.wide.conftest import all_are, wait_for


def test_the_lease_of_a_call_is_renewed_as_long_as_it_lives(listen, deliver, link, configure):
    configure(LEASE=timedelta(seconds=2))
    go_on = threading.Event()
    till = listen(lambda _message: go_on.wait(20), atomic=False, concurrency=5)
    id = publish_message()

    deliver(till, [id])
    # It is not touched before it is started: a start leaves out what others have locked.
    wait_for(all_are("started", [id]))
    Message.objects.filter(pk=id).update(due_at=Now())
    first_lease_until = Message.objects.get(pk=id).lease_until
    wait_for(lambda: timezone.now() > first_lease_until)
    rescan.rescan()

    assert state_of(id).status == "started"
    go_on.set()
    wait_for(all_are("success", [id]))
    assert kept_attempts(id) == []


def test_a_call_that_was_taken_from_us_is_broken_off(listen, deliver):
    broken_off = threading.Event()

    async def handler(_message):
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            broken_off.set()
            raise

    till = listen(handler, atomic=False, concurrency=5, timeout=timedelta(seconds=30))
    id = publish_message()
    deliver(till, [id])
    wait_for(lambda: state_of(id).status == "started")

    Message.objects.filter(pk=id).update(attempts=2)

    assert broken_off.wait(5)
    wait_for(lambda: kept_attempts(id))
    assert [outcome for _number, outcome, _error in kept_attempts(id)] == ["late"]


def test_a_message_is_not_called_again_while_the_thread_of_its_last_call_runs(listen, deliver, pool):
    go_on, called = threading.Event(), []

    def handler(message):
        called.append(message.attempts)
        if message.attempts == 1:
            go_on.wait(20)

    soon = Backoff(limit=3, first=timedelta(milliseconds=50), jitter=0)
    till = listen(handler, atomic=False, concurrency=5, timeout=timedelta(seconds=0.3), retry=soon)
    id = publish_message()
    deliver(till, [id])
    wait_for(lambda: kept_attempts(id))
    time.sleep(2 * conf().lease.total_seconds())
    deliver(till, [id])
    time.sleep(0.3)

    assert called == [1]
    go_on.set()
    wait_for(lambda: not pool.under_way())

    def succeeds_when_it_is_due():
        # Leases are renewed by a thread of their own, which may hold it back once more.
        let_pass(timedelta(seconds=2), id)
        deliver(till, [id])
        time.sleep(0.1)
        return all_are("success", [id])()

    wait_for(succeeds_when_it_is_due)
    assert called == [1, 2]


def test_a_process_in_which_half_of_the_places_hang_starts_no_more_and_is_replaced(listen, deliver, pool):
    go_on = threading.Event()
    till = listen(lambda _message: go_on.wait(20), atomic=False, concurrency=4, timeout=timedelta(seconds=0.2))
    ids = publish_messages(2)
    deliver(till, ids)
    wait_for(lambda: pool.is_spoilt)
    later = publish_message()

    ended = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hints.os, "kill", lambda *args: ended.append(args))
        deliver(till, [later])

    assert state_of(later).attempts == 0
    assert len(ended) == 1
    go_on.set()


def test_while_all_places_are_taken_the_rescan_neither_sends_nor_counts(listen, deliver, link, dispatched):
    go_on = threading.Event()
    till = listen(lambda _message: go_on.wait(20), atomic=False, concurrency=2)
    ids = publish_messages(6)
    deliver(till, ids[:2])
    wait_for(lambda: Places.objects.filter(taken=2).exists())
    Message.objects.filter(pk__in=ids[2:]).update(due_at=Now())

    rescan.rescan()

    assert link.sent == []
    assert [state_of(id).attempts for id in ids[2:]] == [0] * 4
    assert set(Message.objects.filter(pk__in=ids[2:]).values_list("sends", flat=True)) == {0}
    assert {"test.till": ()} in dispatched
    go_on.set()
    wait_for(all_are("success", ids))


def test_what_waits_for_its_rate_is_neither_sent_nor_counted(listen, link, transactional_db, dispatched):
    listen(atomic=False, concurrency=2, rate="1/h")
    ConsumerState.objects.create(consumer="test.till", next_call=Now() + timedelta(minutes=30))
    ids = publish_messages(3)
    Message.objects.filter(pk__in=ids).update(due_at=Now())

    rescan.rescan()

    assert link.sent == []
    assert set(Message.objects.values_list("sends", flat=True)) == {0}
    ConsumerState.objects.update(next_call=Now() - timedelta(minutes=1))

    rescan.rescan()

    assert [hint.ids for hint in link.sent] == [(ids[0],)]


def test_suspects_share_hints_that_halve_with_each_loss(listen, link, transactional_db, dispatched):
    listen(atomic=False, concurrency=8)
    ids = publish_messages(12)
    Message.objects.filter(pk__in=ids).update(due_at=Now())
    Message.objects.filter(pk__in=ids[:4]).update(lost=1)
    Message.objects.filter(pk__in=ids[4:7]).update(lost=2)
    Message.objects.filter(pk__in=ids[7:9]).update(lost=9)

    rescan.rescan()

    assert sorted(hint.ids for hint in link.sent) == sorted(
        [tuple(ids[:4]), tuple(ids[4:6]), (ids[6],), (ids[7],), (ids[8],), tuple(ids[9:])]
    )


def test_suspects_run_beside_nobody_else(listen, deliver, pool):
    go_on, together = threading.Event(), []

    def handler(message):
        together.append({each.messages[0].pk for each in pool.under_way()})
        if message.pk == first:
            go_on.wait(10)

    till = listen(handler, atomic=False, concurrency=8)
    first, *ids = publish_messages(7)
    suspects = ids[:3]
    Message.objects.filter(pk__in=suspects).update(lost=1)
    deliver(till, [first])
    wait_for(lambda: together)

    threading.Thread(target=deliver, args=(till, suspects), daemon=True).start()
    time.sleep(0.3)
    deliver(till, ids[3:])
    assert [state.status for state in states_of(suspects)] == ["pending"] * 3
    go_on.set()

    wait_for(all_are("success", [first, *ids]))
    of_suspects = [seen for seen in together if seen & set(suspects)]
    assert of_suspects
    assert all(seen <= set(suspects) for seen in of_suspects)


def test_a_loss_among_others_is_free_however_often(listen, link, transactional_db, dispatched):
    listen(atomic=False, concurrency=50)
    id = publish_message()
    for attempt in range(1, 7):
        Message.objects.filter(pk=id).update(
            status="started",
            attempts=attempt,
            started_at=Now(),
            lease_until=Now() - timedelta(seconds=1),
            due_at=Now(),
        )
        rescan.rescan()

    # 50, 25, 12, 6 and 3 together; then alone.
    message = Message.objects.get(pk=id)
    assert (message.attempt_limit - message.attempts, message.lost) == (2, 6)


def test_a_hint_does_not_wait_for_a_database_that_is_away(listen, deliver, monkeypatch):
    asked, suspects_among = [], starts.suspects_among

    def away_at_first(ids):
        asked.append(ids)
        if len(asked) == 1:
            raise OperationalError("the server closed the connection unexpectedly")
        return suspects_among(ids)

    monkeypatch.setattr(starts, "suspects_among", away_at_first)
    till = listen(lambda _message: None, atomic=False, concurrency=2)
    id = publish_message()

    deliver(till, [id])
    assert state_of(id).attempts == 0
    deliver(till, [id])

    wait_for(all_are("success", [id]))


def test_consumers_share_the_places_of_a_process_in_turns(listen, deliver, pool, configure):
    configure(PLACES=2)
    done = []
    consumers = [
        listen(lambda message: done.append(message.consumer), name=name, atomic=False, concurrency=10)
        for name in ("test.a", "test.b")
    ]
    publish_messages(20)

    for consumer in consumers:
        deliver(consumer, [])

    wait_for(lambda: len(done) == 40)
    assert set(done[:20]) == {"test.a", "test.b"}


def test_a_process_that_was_told_to_end_starts_no_more_and_keeps_no_hint_waiting(listen, deliver, pool):
    till = listen(lambda _message: None, atomic=False, concurrency=2)
    id = publish_message()

    pool.begin_to_end()
    deliver(till, [id])

    assert state_of(id).attempts == 0


def test_however_short_the_wait_after_a_failure_a_call_that_still_runs_is_not_made_again(listen, deliver, pool):
    go_on, called = threading.Event(), []

    def handler(message):
        called.append(message.attempts)
        go_on.wait(20)

    quick = Backoff(limit=5, first=timedelta(milliseconds=10), factor=1, cap=timedelta(milliseconds=10), jitter=0)
    till = listen(handler, atomic=False, concurrency=5, timeout=timedelta(seconds=0.3), retry=quick)
    id = publish_message()
    deliver(till, [id])
    wait_for(lambda: kept_attempts(id))

    until = time.monotonic() + 2
    while time.monotonic() < until:
        deliver(till, [id])
        time.sleep(0.05)

    assert called == [1]
    go_on.set()


def test_a_retry_by_hand_waits_for_a_call_that_still_runs(listen, deliver, pool):
    go_on, called = threading.Event(), []

    def handler(message):
        called.append(message.attempts)
        go_on.wait(20)

    once = Backoff(limit=1)
    till = listen(handler, atomic=False, concurrency=5, timeout=timedelta(seconds=0.3), retry=once)
    id = publish_message()
    deliver(till, [id])
    wait_for(lambda: state_of(id).status == "failed")

    operate.retry(id, revision=0, actor="the shell", reason="again", asked_other_side=True)
    deliver(till, [id])
    time.sleep(0.5)

    assert called == [1]
    go_on.set()
