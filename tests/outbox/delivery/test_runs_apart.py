"""A run that is settled row by row hands its key on; one that is lost comes back, and nothing of it is called twice."""

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from outbox import operate
from outbox.broker import dispatcher
from outbox.delivery import atomic, chunks, starting
from outbox.maintenance import rescan
from outbox.models import Message
from tests.harness.clock import let_pass
from tests.harness.messages import publish_message, publish_messages, set_message, state_of, states_of
from tests.harness.threads import in_thread
from tests.outbox.delivery.ordering import DONE, GIVEN_BACK, KEY, asleep, holders, start
from tests.shop.consumers import leave_effect

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

DAY = timedelta(days=1)


@pytest.mark.services
def test_each_hands_the_key_on_to_the_next(listen):
    seen = []
    listen(lambda message: seen.append((message.pk, in_thread(holders))), isolated=True)
    ids = publish_messages(4, ordering_key=KEY)

    chunks.deliver("test.till", [ids[0]])

    assert seen == [(id, [id]) for id in ids]
    assert states_of(ids) == [DONE] * 4


@pytest.mark.services
def test_an_earlier_one_that_a_person_puts_back_waits_until_the_run_is_over(listen):
    at_once = []

    def put_back():
        operate.reopen(first, revision=1, actor="ada", reason="it was for sale")
        operate.retry(first, revision=2, actor="ada", reason="it was for sale")

    def handler(message):
        if message.pk == ids[1]:
            in_thread(put_back)
        if message.pk in ids[1:]:
            at_once.extend(row.id for row in in_thread(lambda: starting.start_named(till, [first])))

    till = listen(handler, isolated=True)
    first, *ids = publish_messages(4, ordering_key=KEY)
    set_message(first, status="failed", finished_at=Now(), exhausted_at=Now())
    operate.discard(first, revision=0, actor="ada", reason="not for sale")

    chunks.deliver("test.till", [ids[0]])

    assert at_once == []
    assert [state.status for state in states_of([first, *ids])] == ["success"] * 4


@pytest.mark.parametrize("do", ["fail", "reject", "snooze", "unavailable"])
def test_where_one_does_not_succeed_the_rest_goes_back_in_the_same_transaction(called, one_chunk, do):
    called(isolated=True)
    ids = publish_messages(5, ordering_key=KEY)
    set_message(ids[1], payload={"do": do})
    other = publish_message(ordering_key="till 2")

    chunks.deliver("test.till", [ids[0], other])

    assert sorted(called.ids) == [*ids[:2], other]
    assert states_of([ids[0], other]) == [DONE, DONE]
    assert states_of(ids[2:]) == [GIVEN_BACK] * 3
    assert asleep() == ids[2:]
    assert holders() == []


def test_what_time_does_not_allow_is_given_back(listen, configure, one_chunk):
    configure(CHUNK_TIME=timedelta(seconds=0.2), CHUNK_TIME_SQLITE=timedelta(seconds=0.2))
    listen(lambda _message: time.sleep(0.15), isolated=True)
    ids = publish_messages(5, ordering_key=KEY)

    chunks.deliver("test.till", [ids[0]])

    done = Message.objects.filter(status="success").count()
    assert 1 <= done < 5
    assert states_of(ids) == [*[DONE] * done, *[GIVEN_BACK] * (5 - done)]
    assert asleep() == ids[done + 1 :]


@pytest.mark.services
def test_a_run_whose_chunk_met_others_is_redone_in_order(called):
    """The handler of the third meets a lock; what is behind it was not called, and follows it."""
    called()
    ids = publish_messages(5, ordering_key=KEY)
    met = []
    call = atomic.execution.call_handler

    def meet(consumer, message, savepoints):
        if message.pk == ids[2] and not met:
            met.append(message.pk)
            raise atomic.Redo("met others")
        return call(consumer, message, savepoints)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.execution, "call_handler", meet)
        chunks.deliver("test.till", [ids[0]])

    assert met == [ids[2]]
    assert called.ids == ids
    assert states_of(ids) == [DONE] * 5


@pytest.mark.services
@pytest.mark.parametrize("ends", ["ROLLBACK", "COMMIT"])
def test_behind_one_that_ended_the_transaction_nothing_of_its_key_is_called(listen, one_chunk, ends):
    called = []

    def handler(message):
        called.append(message.pk)
        leave_effect(message)
        if message.pk == ids[1]:
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                cursor.execute(ends)

    listen(handler)
    ids = publish_messages(4, ordering_key=KEY)
    free = publish_message()

    chunks.deliver("test.till", [ids[0], free])

    assert state_of(ids[1]).reason == "ended_transaction"
    assert [id for id in called if id in ids[2:]] == []
    assert {state.status for state in states_of(ids[2:])} == {"pending"}
    assert [state.status for state in states_of([ids[0], free])] == ["success", "success"]
    assert holders() == []


def test_a_lost_run_comes_back_asleep_behind_its_head_and_no_loss_of_it_counts(listen, link):
    till = listen()
    ids = publish_messages(4, ordering_key=KEY)
    start(till, [ids[0]])
    let_pass(timedelta(seconds=30))

    rescan.rescan()

    assert states_of(ids) == [GIVEN_BACK._replace(lost=1, sends=sends) for sends in (1, 0, 0, 0)]
    assert asleep() == ids[1:]
    assert link.sent_ids == [(ids[0],)]
    assert holders() == []


def test_what_was_lost_goes_one_by_one_and_what_is_behind_it_in_runs_again(listen, monkeypatch, link):
    starts = []
    till = listen()
    lost, later = publish_messages(3, ordering_key=KEY), publish_messages(3, ordering_key=KEY)
    start(till, [lost[0]], room=2)
    let_pass(timedelta(seconds=30))
    rescan.rescan()
    handle = atomic.handle

    def note(consumer, fences, **how):
        starts.append([fence.id for fence in fences])
        return handle(consumer, fences, **how)

    monkeypatch.setattr(atomic, "handle", note)
    hints = [[lost[0]]]
    monkeypatch.setattr(dispatcher, "dispatch", lambda named: hints.append(list(named["test.till"])))

    while hints:
        chunks.deliver("test.till", hints.pop())

    assert starts == [[lost[0]], [lost[1]], [lost[2]], later]
    assert {state.status for state in states_of([*lost, *later])} == {"success"}
    assert {state.attempt_limit for state in states_of(lost)} == {4}


def test_a_stale_worker_calls_nothing_behind_a_head_that_was_taken_back(called, link):
    till = called()
    ids = publish_messages(4, ordering_key=KEY)
    stale = start(till, [ids[0]])
    let_pass(timedelta(seconds=30), ids[0])
    rescan.rescan()

    chunks.deliver_together(till, stale)

    assert called.ids == []
    assert [state.status for state in states_of(ids)] == ["pending"] * 4
    assert asleep() == ids[1:]


def test_a_stale_worker_calls_nothing_beyond_one_that_was_taken_back(called):
    till = called()
    ids = publish_messages(4, ordering_key=KEY)
    stale = start(till, [ids[0]])
    Message.objects.filter(pk=ids[1]).mark_pending(wait=timedelta(0), free=True, lost=1, error=None)

    chunks.deliver_together(till, stale)

    assert called.ids == [ids[0]]
    assert [state.status for state in states_of(ids)] == ["success", *["pending"] * 3]


def test_a_head_that_ran_again_and_was_settled_before_its_run_was_taken_back_wakes_it(listen, link):
    till = listen()
    ids = publish_messages(3, ordering_key=KEY)
    start(till, [ids[0]])
    let_pass(timedelta(seconds=30), ids[0])
    rescan.rescan()
    chunks.deliver("test.till", [ids[0]])
    let_pass(timedelta(seconds=30), *ids[1:])

    for _pass in range(2):
        rescan.rescan()

    assert [state.status for state in states_of(ids)] == ["success", "pending", "pending"]
    assert link.sent_ids[-1] == (ids[1],)
