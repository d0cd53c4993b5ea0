"""What stands behind the head of a key is started with it: a run without a gap, held by one worker."""

import threading
from datetime import timedelta
from time import monotonic

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from outbox import operate
from outbox.delivery import atomic, chunks, starting
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


def test_where_nothing_stood_behind_a_named_head_it_is_looked_for_again_a_moment_later(listen, monkeypatch):
    till = listen()
    heads = starting.start_named(till, [publish_message(ordering_key=KEY)])
    assert starting.start_behind_unless_empty(till, heads, room=50) == []
    behind = publish_message(ordering_key=KEY)

    with CaptureQueriesContext(connection) as captured:
        assert starting.start_behind_unless_empty(till, heads, room=50) == []

    assert len(captured) == 0
    later = starting.monotonic() + starting.NOTHING_SECONDS
    monkeypatch.setattr(starting, "monotonic", lambda: later)
    assert [row.id for row in starting.start_behind_unless_empty(till, heads, room=50)] == [behind]


def test_where_something_stood_behind_a_named_head_it_is_looked_for_with_the_next(listen):
    till = listen()
    of_key = publish_messages(2, ordering_key=KEY)
    of_another = publish_messages(2, ordering_key="till 2")

    for ids in (of_key, of_another):
        heads = starting.start_named(till, [ids[0]])
        assert [row.id for row in starting.start_behind_unless_empty(till, heads, room=50)] == [ids[1]]


def test_where_nothing_stands_behind_heads_that_were_found_it_is_not_looked_for_with_each_of_them(listen):
    till = listen()
    publish_message(ordering_key=KEY)
    starting.start_chunk(till)
    publish_messages(2, ordering_key="till 2")

    with CaptureQueriesContext(connection) as captured:
        rows = starting.start_chunk(till)

    assert [row.ordering_key for row in rows] == ["till 2"]
    assert not any("head_key" in query["sql"] for query in captured)


def test_all_heads_that_a_hint_names_are_started_however_much_waits_behind_them(listen):
    till = listen()
    publish_messages(2, ordering_key=KEY)
    starting.start_chunk(till)
    heads = [publish_messages(3, ordering_key=f"deep {number}")[0] for number in range(till.chunk)]

    assert [row.id for row in starting.start_named(till, heads)] == heads


def test_a_chunk_of_long_runs_goes_on_with_their_keys(listen):
    till = listen()
    publish_messages(2, ordering_key=KEY)
    starting.start_chunk(till)
    for number in range(20):
        publish_messages(10, ordering_key=f"deep {number}")

    rows = starting.start_chunk(till)
    following = atomic.handle(till, [row.fence for row in rows], go_on_until=monotonic() + 60)

    assert len(rows) == till.chunk
    assert {row.ordering_key for row in following} == {row.ordering_key for row in rows}


def test_nothing_is_started_behind_what_is_called_row_by_row(listen):
    from tests.shop.consumers import order

    listen(order, atomic=False)
    ids = publish_messages(3, ordering_key=KEY)

    chunks.deliver("test.till", [ids[0]])

    assert states_of(ids) == [DONE, NEW, NEW]
