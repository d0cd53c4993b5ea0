"""A consumer that is never called twice by the machine, unless it was certainly not called."""

import threading
from datetime import timedelta

from django.db import OperationalError
from django.db.models.functions import Now

from outbox import Snooze
from outbox.maintenance import rescan
from outbox.models import Message
from outbox.models.sql.calls import StartCalls
from tests.harness.clock import let_pass
from tests.harness.messages import kept_attempts, publish_message, publish_messages, state_of
from tests.outbox.delivery.wide.conftest import all_are, wait_for


def test_an_error_is_the_end(listen, deliver):
    def handler(_message):
        raise ValueError("the vendor is confused")

    till = listen(handler, atomic=False, concurrency=5, at_most_once=True, retry=None)
    id = publish_message()

    deliver(till, [id])

    wait_for(lambda: state_of(id).status == "failed")
    assert state_of(id).reason == "no_tries_left"


def test_a_lost_worker_is_the_end_and_it_may_have_happened(listen, transactional_db, dispatched, link):
    listen(atomic=False, at_most_once=True, retry=None)
    id = publish_message()
    Message.objects.filter(pk=id).update(
        status="started", attempts=1, started_at=Now(), lease_until=Now() - timedelta(seconds=1), due_at=Now()
    )

    rescan.rescan()

    assert state_of(id).status == "failed"
    assert state_of(id).reason == "may_have_happened"
    assert kept_attempts(id) == [(1, "lost", "")]


def test_what_says_that_nothing_was_done_is_called_again(listen, deliver):
    def handler(message):
        if message.attempts == 1:
            raise Snooze(timedelta(seconds=1))

    till = listen(handler, atomic=False, concurrency=5, at_most_once=True, retry=None)
    id = publish_message()

    deliver(till, [id])
    wait_for(lambda: state_of(id).status == "pending" and kept_attempts(id))
    let_pass(timedelta(seconds=2))
    deliver(till, [id])

    wait_for(lambda: state_of(id).status == "success")


def test_rows_are_started_one_by_one_with_their_calls(listen, deliver, pool):
    go_on = threading.Event()
    till = listen(lambda _message: go_on.wait(10), atomic=False, concurrency=3, at_most_once=True, retry=None)
    ids = publish_messages(5)

    deliver(till, ids)

    wait_for(lambda: len(pool.under_way()) == 3)
    assert Message.objects.filter(status="started").count() == 3
    go_on.set()
    wait_for(all_are("success", ids))


def test_what_was_started_without_a_call_because_the_answer_was_lost_is_given_back(listen, deliver, pool, monkeypatch):
    run, lost = StartCalls.run, []

    def lose_the_answer(self, *args, **options):
        started = run(self, *args, **options)
        if started.messages and not lost:
            lost.append(started.messages[0].pk)
            raise OperationalError("the connection broke")
        return started

    monkeypatch.setattr(StartCalls, "run", lose_the_answer)
    called = []
    till = listen(lambda message: called.append(message.pk), atomic=False, concurrency=3, at_most_once=True, retry=None)
    id = publish_message()

    deliver(till, [id])

    wait_for(all_are("success", [id]))
    assert lost == called == [id]
    assert (state_of(id).attempts, state_of(id).attempt_limit) == (2, 2)
