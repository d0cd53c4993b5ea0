"""A run is handled in one transaction, in its order, and goes on with what comes next of its key."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models.functions import Now

from outbox import Draft, operate, publish_many
from outbox.delivery import atomic, chunks, follow_up
from outbox.models import Attempt, Message
from tests.harness.clock import let_pass
from tests.harness.messages import publish_messages, set_message, state_of, states_of
from tests.harness.threads import in_thread
from tests.outbox.delivery.ordering import DONE, GIVEN_BACK, KEY, NEW, asleep, holders, start

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

DAY = timedelta(days=1)


def test_a_run_is_handled_in_one_transaction_and_in_its_order(listen):
    seen = []
    listen(lambda message: seen.append((message.pk, message.transaction)))
    ids = publish_messages(5, ordering_key=KEY)

    chunks.deliver("test.till", [ids[0]])

    assert [id for id, _transaction in seen] == ids
    assert len({transaction for _id, transaction in seen}) == 1
    assert states_of(ids) == [DONE] * 5


@pytest.mark.parametrize("do", ["fail", "reject", "snooze", "unavailable"])
def test_where_one_does_not_succeed_the_rest_of_its_key_is_given_back_and_sleeps(called, one_chunk, do):
    called()
    with transaction.atomic():
        ids = publish_many(
            Draft("test.sold", key=n, payload={"do": do if n == 1 else ""}, ordering_key=KEY) for n in range(5)
        )
    others = publish_messages(2, ordering_key="till 2")

    chunks.deliver("test.till", [ids[0], others[0]])

    assert called.ids == [*ids[:2], *others]
    assert states_of([ids[0], *others]) == [DONE] * 3
    assert state_of(ids[1]).status == ("failed" if do == "reject" else "pending")
    assert states_of(ids[2:]) == [GIVEN_BACK] * 3
    assert asleep() == ids[2:]
    assert Attempt.objects.count() == 1


def test_what_a_failed_one_has_held_up_goes_on_in_order_once_it_succeeds(called):
    called()
    ids = publish_messages(4, ordering_key=KEY)
    set_message(ids[1], payload={"do": "fail"})
    chunks.deliver("test.till", [ids[0]])
    set_message(ids[1], payload={})
    let_pass(timedelta(seconds=20), ids[1])

    chunks.deliver("test.till", ())

    assert called.ids == [ids[0], ids[1], *ids[1:]]
    assert {state.status for state in states_of(ids)} == {"success"}


def test_a_person_who_discards_the_head_lets_the_whole_run_go(called):
    called()
    ids = publish_messages(4, ordering_key=KEY)
    set_message(ids[0], payload={"do": "reject"})
    chunks.deliver("test.till", [ids[0]])
    operate.discard(ids[0], revision=0, actor="ada", reason="not for sale")

    chunks.deliver("test.till", ())

    assert called.ids == ids
    assert [state.status for state in states_of(ids)] == ["failed", *["success"] * 3]


def test_what_time_does_not_allow_is_given_back_and_its_next_is_woken(listen, configure, one_chunk):
    configure(CHUNK_TIME=timedelta(seconds=0.2), CHUNK_TIME_SQLITE=timedelta(seconds=0.2))
    listen(lambda _message: time.sleep(0.15))
    ids = publish_messages(5, ordering_key=KEY)

    chunks.deliver("test.till", [ids[0]])

    done = Message.objects.filter(status="success").count()
    assert 1 <= done < 5
    assert states_of(ids) == [*[DONE] * done, *[GIVEN_BACK] * (5 - done)]
    assert asleep() == ids[done + 1 :]


def test_those_of_a_key_keep_their_order_whatever_sort_says(called):
    called(sort=lambda message: -message.pk)
    with transaction.atomic():
        keys = ["a", "", "b", "a", "b", "", "a"]
        ids = publish_many(Draft("test.sold", key=n, payload={}, ordering_key=key) for n, key in enumerate(keys))
    key_of = dict(Message.objects.values_list("pk", "ordering_key"))

    chunks.deliver("test.till", ids)

    free, *ordered = ([id for id in called.ids if key_of[id] == key] for key in ("", "a", "b"))
    assert free == sorted(free, reverse=True)
    assert ordered == [sorted(of_key) for of_key in ordered]
    assert [len(of_key) for of_key in (free, *ordered)] == [2, 3, 2]


def test_of_a_sorted_chunk_a_run_is_as_old_as_its_head(called, configure):
    """There is room for three at the pace of the last chunk: the head, and what slept behind it."""
    configure(CHUNK_TIME=timedelta(seconds=2), CHUNK_TIME_SQLITE=timedelta(seconds=2))
    atomic._seconds_a_row.value["test.till"] = 0.6
    till = called(sort=lambda message: message.pk)
    ids = publish_messages(3, ordering_key=KEY)
    free = publish_messages(2)
    rows = start(till, [ids[0], *free])

    with transaction.atomic():
        messages = atomic.lock(till, [row.fence for row in rows], wait=timedelta(seconds=1))
        transaction.set_rollback(True)

    assert [message.pk for message in messages] == [*ids, *free]


def test_a_bulk_call_has_the_run_in_order_and_a_failed_one_is_made_again_in_lists_of_one(listen, one_chunk):
    calls = []

    def count(messages):
        calls.append([message.pk for message in messages])
        if any(message.payload.get("do") == "fail" for message in messages):
            raise ValueError("cannot count this")

    listen(count, bulk=True)
    ids = publish_messages(4, ordering_key=KEY)
    set_message(ids[1], payload={"do": "fail"})

    chunks.deliver("test.till", [ids[0]])

    assert calls == [ids, [ids[0]], [ids[1]]]
    assert [states_of(ids)[0], *states_of(ids)[2:]] == [DONE, GIVEN_BACK, GIVEN_BACK]
    assert asleep() == ids[2:]


@pytest.fixture
def wakes(monkeypatch):
    """The keys that were woken, call by call."""
    made = []
    wake = follow_up.wake_heads
    monkeypatch.setattr(follow_up, "wake_heads", lambda keys: made.append(keys) or wake(keys))
    return made


def test_what_comes_next_is_started_when_the_chunk_is_settled_and_wakes_nobody(called, dispatched, wakes):
    called(chunk=4)
    ids = publish_messages(10, ordering_key=KEY)
    dispatched.clear()

    chunks.deliver("test.till", [ids[0]])

    assert called.ids == ids
    assert states_of(ids) == [DONE] * 10
    assert [len(keys) for keys in wakes] == [1]
    assert dispatched == []


@pytest.mark.services
def test_the_first_of_it_holds_the_key_and_is_due_for_the_rescan(listen):
    seen = {}

    def look(message):
        started = Message.objects.filter(status="started").order_by("id")
        seen[message.pk] = in_thread(lambda: (list(started.values_list("pk", flat=True)), holders(), asleep()))

    listen(look, chunk=4)
    ids = publish_messages(8, ordering_key=KEY)

    chunks.deliver("test.till", [ids[0]])

    assert seen[ids[4]] == (ids[4:], [ids[4]], ids[5:])
    assert states_of(ids) == [DONE] * 8


def test_it_is_not_started_when_the_time_of_the_hint_is_up(called, dispatched, one_chunk):
    called(chunk=4)
    ids = publish_messages(10, ordering_key=KEY)
    dispatched.clear()

    chunks.deliver("test.till", ids[:4])

    assert called.ids == ids[:4]
    assert states_of(ids[4:]) == [NEW] * 6
    assert dispatched == [{"test.till": ()}]
    assert asleep() == ids[5:]


@pytest.mark.services
@pytest.mark.parametrize("change", [{"lost": 1}, {"last_error": "ValueError: jammed"}, {"not_before": Now() + DAY}])
def test_what_must_go_alone_or_wait_is_not_started_with_it(called, change):
    till = called(chunk=4)
    ids = publish_messages(6, ordering_key=KEY)
    set_message(ids[4], **change)
    run = start(till, [ids[0]], room=3)

    following = chunks.deliver_together(till, run, go_on_until=time.monotonic() + 60)

    assert called.ids == ids[:4]
    assert following == []
    assert states_of(ids[5:]) == [NEW]


@pytest.mark.services
def test_it_is_not_started_of_a_consumer_that_was_paused_meanwhile(listen, pause):
    till = listen(lambda _message: in_thread(lambda: pause("test.till")), chunk=4)
    ids = publish_messages(6, ordering_key=KEY)
    run = start(till, [ids[0]], room=3)

    assert chunks.deliver_together(till, run, go_on_until=time.monotonic() + 60) == []


@pytest.mark.services
def test_it_begins_with_an_earlier_one_that_a_person_has_put_back_meanwhile(called):
    def put_back(message):
        if message.pk == ids[1]:
            in_thread(lambda: operate.reopen(first, revision=1, actor="ada", reason="it was for sale"))
            in_thread(lambda: operate.retry(first, revision=2, actor="ada", reason="it was for sale"))
        called.ids.append(message.pk)

    till = called(chunk=4)
    first, *ids = publish_messages(7, ordering_key=KEY)
    set_message(first, status="failed", finished_at=Now(), exhausted_at=Now())
    operate.discard(first, revision=0, actor="ada", reason="not for sale")
    run = start(till, [ids[0]], room=3)

    following = chunks.deliver_together(replace(till, handler=put_back), run, go_on_until=time.monotonic() + 60)

    assert called.ids == ids[:4]
    assert [row.id for row in following] == [first, *ids[4:]]
    assert holders() == [first]


def transactions_of(listen, how_many, **options):
    """Deliver messages of one key, and return how many were called in each transaction."""
    seen = []
    listen(lambda message: seen.append(message.transaction), **options)
    ids = publish_messages(how_many, ordering_key=KEY)
    chunks.deliver("test.till", [ids[0]])
    assert states_of(ids) == [DONE] * how_many
    return [seen.count(transaction) for transaction in dict.fromkeys(seen)]


@pytest.mark.services
def test_where_its_author_named_no_chunk_a_run_that_goes_well_grows_to_four_of_them(listen):
    assert transactions_of(listen, 300) == [50, 200, 50]


@pytest.mark.services
def test_a_chunk_that_was_named_is_the_most_of_a_run_as_well(listen):
    assert transactions_of(listen, 120, chunk=50) == [50, 50, 20]


@pytest.mark.services
def test_a_run_grows_no_further_than_half_its_time_allows_at_the_last_pace(listen, configure, monkeypatch):
    configure(CHUNK_TIME=timedelta(seconds=100))
    paces = iter([0.5, 0.5, 0.5])
    monkeypatch.setattr(atomic, "_room_for_run", lambda till, real=atomic._room_for_run: at_pace(real, till, paces))

    assert transactions_of(listen, 200) == [50, 100, 50]


def at_pace(real, till, paces):
    atomic._seconds_a_row.value[till.name] = next(paces)
    return real(till)
