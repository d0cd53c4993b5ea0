"""What stands behind the head of a key is started with it: a run without a gap, held by one worker."""

import threading
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models.functions import Now

from outbox import operate
from outbox.delivery import chunks, starting
from outbox.maintenance import rescan
from outbox.models import ConsumerState, Message
from tests.harness.clock import let_pass
from tests.harness.messages import publish_message, publish_messages, set_message, state_of, states_of
from tests.harness.threads import beside
from tests.outbox.delivery.ordering import DONE, KEY, NEW, holders, start

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

DAY = timedelta(days=1)


def test_a_head_is_started_with_what_stands_behind_it_and_holds_the_key_for_all(listen):
    till = listen()
    ids = publish_messages(3, ordering_key=KEY)
    other = publish_message(ordering_key="till 2")

    run = start(till, [ids[0]])

    assert sorted(row.id for row in run) == ids
    assert {state.status for state in states_of(ids)} == {"started"}
    assert holders() == [ids[0]]
    assert state_of(other) == NEW


def test_the_room_in_the_chunk_is_shared_out_so_that_every_key_has_its_next(listen):
    till = listen()
    one, two = (publish_messages(4, ordering_key=key) for key in ("till 1", "till 2"))

    run = start(till, [one[0], two[0]], room=3)

    assert sorted(row.id for row in run) == sorted([*one[:3], *two[:2]])


@pytest.mark.parametrize(
    "state",
    [
        {"not_before": Now() + DAY, "due_at": Now() + DAY},
        {"expires_at": Now() - DAY},
        {"lost": 1},
        {"status": "failed", "finished_at": Now(), "exhausted_at": Now()},
        {"status": "started", "attempts": 1, "started_at": Now(), "lease_until": Now() + DAY},
    ],
    ids=["delayed", "expired", "lost", "failed", "started by another"],
)
def test_a_run_ends_before_what_may_not_be_started(listen, state):
    till = listen()
    ids = publish_messages(5, ordering_key=KEY)
    set_message(ids[2], **state)

    run = start(till, [ids[0]])

    assert sorted(row.id for row in run) == ids[:2]


def test_a_run_goes_on_behind_what_a_person_has_settled(listen):
    till = listen()
    ids = publish_messages(3, ordering_key=KEY)
    set_message(ids[1], status="failed", finished_at=Now(), exhausted_at=Now())
    operate.discard(ids[1], revision=0, actor="ada", reason="not for sale")

    run = start(till, [ids[0]])

    assert sorted(row.id for row in run) == [ids[0], ids[2]]


@pytest.mark.services
def test_a_run_ends_before_what_somebody_else_has_locked(listen):
    till = listen()
    ids = publish_messages(5, ordering_key=KEY)
    locked, looked = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            list(Message.objects.filter(pk=ids[2]).select_for_update())
            locked.set()
            assert looked.wait(10)

    with beside(hold):
        assert locked.wait(10)
        run = start(till, [ids[0]])
        looked.set()

    assert sorted(row.id for row in run) == ids[:2]


@pytest.mark.parametrize(
    "change", [{"lost": 1}, {"last_error": "ValueError: the till is jammed"}], ids=["lost", "failed before"]
)
def test_a_head_that_may_not_succeed_goes_alone(listen, change):
    till = listen()
    ids = publish_messages(3, ordering_key=KEY)
    set_message(ids[0], **change)

    run = start(till, [ids[0]])

    assert [row.id for row in run] == [ids[0]]


def test_nothing_is_started_behind_a_canary_or_of_a_consumer_that_was_paused_meanwhile(listen):
    till = listen()
    ids = publish_messages(3, ordering_key=KEY)
    ConsumerState.objects.create(consumer="test.till", breaker="open", canary=ids[0])
    canary = start(till, [ids[0]])
    heads = [row for row in canary if row.id == ids[0]]
    ConsumerState.objects.update(breaker="closed", canary=None, paused_at=Now())

    paused = starting.start_behind(till, heads, room=50)

    assert [row.id for row in canary] == [ids[0]]
    assert paused == []


def test_nothing_is_started_behind_a_head_that_is_no_longer_ours(listen, link):
    till = listen()
    ids = publish_messages(2, ordering_key=KEY)
    heads = starting.start_named(till, [ids[0]])
    let_pass(timedelta(seconds=30))
    rescan.rescan()

    assert starting.start_behind(till, heads, room=50) == []


def test_nothing_is_started_behind_what_is_called_row_by_row(listen):
    from tests.shop.consumers import order

    listen(order, atomic=False)
    ids = publish_messages(3, ordering_key=KEY)

    chunks.deliver("test.till", [ids[0]])

    assert states_of(ids) == [DONE, NEW, NEW]
