"""What stands behind another message of its key sleeps: no search reads it, and it is woken when its turn has come."""

import threading
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from outbox import Draft, operate, publish, publish_many
from outbox.delivery import chunks, follow_up, starting
from outbox.maintenance import order, rescan
from outbox.models import HandledAs, Heartbeat, Message
from outbox.models.sql.order import OrderOfKey, wake_heads
from tests.harness.clock import let_pass
from tests.harness.messages import publish_message, publish_messages, set_message, state_of, states_of
from tests.harness.plans import query
from tests.harness.program import eventually
from tests.harness.threads import beside

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

KEY = "till 1"
DAY = timedelta(days=1)


def asleep() -> list[int]:
    """Return the ids of the messages that are not due before their deadline."""
    return list(Message.objects.unfinished().filter(due_at=F("expires_at")).order_by("id").values_list("pk", flat=True))


def fail(id: int) -> None:
    set_message(id, status="failed", finished_at="2026-01-01T00:00Z", exhausted_at="2026-01-01T00:00Z")


def test_what_is_published_behind_an_unsettled_message_of_its_key_sleeps(listen):
    listen()
    listen(name="test.other", topic="test.other")
    _head, follower = publish_messages(2, ordering_key=KEY)
    publish_message(ordering_key="till 2")
    publish_message("test.other", ordering_key=KEY)
    publish_messages(2)

    assert asleep() == [follower]


def test_of_the_messages_of_one_call_only_the_first_of_a_key_is_awake(listen):
    listen()

    with transaction.atomic():
        ids = publish_many(
            Draft("test.sold", key=n, payload={}, ordering_key=key)
            for n, key in enumerate(["a", "b", "a", "", "b", ""])
        )

    keys = dict(Message.objects.values_list("pk", "ordering_key"))
    assert sorted(keys[id] for id in set(ids) - set(asleep())) == ["", "", "a", "b"]
    assert [keys[id] for id in asleep()] == ["a", "b"]


def test_what_is_published_behind_a_failed_message_sleeps_and_behind_a_settled_one_does_not(listen):
    listen()
    failed, settled = publish_message(ordering_key=KEY), publish_message(ordering_key="till 2")
    fail(failed)
    set_message(settled, status="success", finished_at="2026-01-01T00:00Z")

    behind, free = publish_message(ordering_key=KEY), publish_message(ordering_key="till 2")

    assert asleep() == [behind]
    assert state_of(free).status == "pending"


def test_a_delayed_message_behind_another_is_woken_for_the_end_of_its_delay(listen):
    listen()
    head = publish_message(ordering_key=KEY)
    with transaction.atomic():
        (delayed,) = publish("test.sold", key="delayed", payload={}, ordering_key=KEY, delay=DAY)
    slept = asleep()

    chunks.deliver("test.till", [head])

    assert slept == [delayed]
    due, not_before = Message.objects.values_list("due_at", "not_before").get(pk=delayed)
    assert due == not_before


def end_by_success(id: int) -> None:
    chunks.deliver("test.till", [id])


def end_by_discard(id: int) -> None:
    fail(id)
    operate.discard(id, revision=0, actor="ada", reason="not for sale")


def end_by_hand(id: int) -> None:
    fail(id)
    operate.mark_handled(id, revision=0, actor="ada", reason="sold", outcome=HandledAs.ISSUED, evidence="order 7")


@pytest.mark.parametrize("end", [end_by_success, end_by_discard, end_by_hand])
def test_whatever_settles_the_head_wakes_the_next_and_no_other(listen, one_chunk, end):
    listen(chunk=1)
    ids = publish_messages(4, ordering_key=KEY)
    slept = asleep()

    end(ids[0])

    assert slept == ids[1:]
    assert asleep() == ids[2:]


def test_a_message_that_its_head_publishes_behind_itself_is_woken_and_taken_by_the_same_hint(listen):
    def sell_again(message):
        if message.key == "first":
            publish("test.sold", key="second", payload={}, ordering_key=KEY)

    listen(sell_again)
    head = publish_message(key="first", ordering_key=KEY)

    chunks.deliver("test.till", [head])

    assert list(Message.objects.order_by("id").values_list("key", "status")) == [
        ("first", "success"),
        ("second", "success"),
    ]


def test_an_expired_head_wakes_nobody_and_sleepers_fail_at_their_own_deadline(listen, link):
    listen()
    head, follower = publish_messages(2, ordering_key=KEY)
    let_pass(timedelta(days=8), head)
    rescan.rescan()
    slept = asleep()
    let_pass(timedelta(days=8), follower)

    rescan.rescan()

    assert slept == [follower]
    assert [(entry.status, entry.reason) for entry in states_of([head, follower])] == [("failed", "expired")] * 2


def test_a_head_whose_worker_died_before_it_could_wake_it_is_found_by_the_rescan(listen, link, one_chunk, monkeypatch):
    listen(chunk=1)
    head, follower = publish_messages(2, ordering_key=KEY)
    monkeypatch.setattr(follow_up, "wake_heads", lambda _keys: [])
    chunks.deliver("test.till", [head])
    slept = asleep()

    rescan.rescan()

    assert state_of(head).status == "success"
    assert slept == [follower]
    assert link.sent_ids == [(follower,)]


def test_the_rescan_walks_over_all_keys_some_in_each_pass_and_begins_again(listen, monkeypatch):
    listen()
    listen(name="test.other", topic="test.other")
    monkeypatch.setattr(order, "KEYS_PER_PASS", 3)
    ids = [publish_message(topic, ordering_key=f"till {n}") for n in range(4) for topic in ("test.sold", "test.other")]
    publish_messages(3, ordering_key="till 2")
    behind = asleep()
    Message.objects.update(due_at=F("expires_at"))

    woken = [order.wake_forgotten_heads() for _ in range(4)]

    assert woken == [3, 3, 2, 0]
    assert asleep() == behind
    assert len(ids) == 8


def test_a_head_that_is_forgotten_after_the_walk_has_passed_it_is_found_by_the_next(listen):
    listen()
    early, late = publish_message(ordering_key="till 1"), publish_message(ordering_key="till 2")
    Message.objects.filter(pk=late).update(due_at=F("expires_at"))
    first = order.wake_forgotten_heads()
    Message.objects.filter(pk=early).update(due_at=F("expires_at"))

    second = order.wake_forgotten_heads()

    assert (first, second) == (1, 1)
    assert asleep() == []


def test_the_walk_leaves_alone_what_waits_for_its_time_or_its_deadline(listen):
    listen()
    with transaction.atomic():
        publish("test.sold", key="delayed", payload={}, ordering_key=KEY, delay=DAY)
    backing_off = publish_message(ordering_key="till 2")
    set_message(backing_off, not_before=F("expires_at"), due_at=F("expires_at"))
    failed = publish_message(ordering_key="till 3")
    fail(failed)

    assert order.wake_forgotten_heads() == 0


def test_a_later_message_is_put_to_sleep_when_an_earlier_one_is_put_back_before_it(listen, link, one_chunk):
    listen()
    head, follower = publish_messages(2, ordering_key=KEY)
    end_by_discard(head)
    operate.reopen(head, revision=1, actor="ada", reason="it was for sale")
    let_pass(timedelta(seconds=10))
    awake = asleep()

    rescan.rescan()

    assert awake == []
    assert asleep() == [follower]
    assert link.sent_ids == []


def test_a_clock_that_was_set_back_wakes_nobody_behind_a_head(listen, link):
    listen()
    _head, follower = publish_messages(2, ordering_key=KEY)
    Heartbeat.objects.record("rescan")
    Heartbeat.objects.update(at=Now() + timedelta(hours=1))

    rescan.rescan()

    assert not Heartbeat.objects.filter(at__gt=Now() + timedelta(minutes=1)).exists()
    assert asleep() == [follower]


@pytest.mark.services
def test_a_head_settled_while_the_rescan_puts_the_next_to_sleep_wakes_it_all_the_same(listen, link, monkeypatch):
    listen()
    head, follower = publish_messages(2, ordering_key=KEY)
    set_message(head, status="started", attempts=1, started_at="2026-01-01T00:00Z", lease_until="2100-01-01T00:00Z")
    set_message(follower, due_at="2026-01-01T00:00Z")
    looked, settled = threading.Event(), threading.Event()
    behind = rescan._behind

    def look(found):
        ids = behind(found)
        if ids:
            looked.set()
            assert settled.wait(10)
        return ids

    monkeypatch.setattr(rescan, "_behind", look)
    with beside(rescan.rescan):
        assert looked.wait(10)
        set_message(head, status="success", finished_at="2026-01-01T00:00Z", lease_until=None)
        woken = wake_heads([OrderOfKey("test.till", KEY)])
        settled.set()

    assert woken == []
    assert asleep() == []


def test_a_retried_message_does_not_start_while_a_later_one_of_its_key_runs(listen):
    till = listen()
    first, second = publish_messages(2, ordering_key=KEY)
    end_by_discard(first)
    running = starting.start_named(till, [second])
    operate.reopen(first, revision=1, actor="ada", reason="it was for sale")
    operate.retry(first, revision=2, actor="ada", reason="it was for sale")

    at_once = starting.start_named(till, [first])
    chunks.deliver("test.till", ())

    assert [fence.id for fence in running] == [second]
    assert at_once == []
    assert [entry.status for entry in states_of([first, second])] == ["pending", "started"]


@pytest.mark.services
@pytest.mark.parametrize("committed", [True, False])
def test_of_two_workers_that_start_two_of_one_key_at_one_moment_only_one_does_and_starts_the_others(listen, committed):
    till = listen()
    first, second = publish_messages(2, ordering_key=KEY)
    end_by_discard(first)
    free = publish_messages(3)
    started, waits = threading.Event(), threading.Event()

    def start_second() -> list[int]:
        with transaction.atomic():
            ids = [fence.id for fence in starting.start_named(till, [second])]
            started.set()
            assert waits.wait(10)
            transaction.set_rollback(not committed)
        return ids

    with beside(start_second) as one:
        assert started.wait(10)
        operate.reopen(first, revision=1, actor="ada", reason="it was for sale")
        operate.retry(first, revision=2, actor="ada", reason="it was for sale")
        with beside(lambda: [fence.id for fence in starting.start_named(till, [first, *free])]) as other:
            eventually(lambda: waiting_for_a_lock() == 1, within=5)
            waits.set()

    assert one.result() == [second]
    assert sorted(other.result()) == (free if committed else [first, *free])
    assert Message.objects.filter(status="started").exclude(ordering_key="").count() == 1


def waiting_for_a_lock() -> int:
    """Return how many sessions on this database wait for a lock that another holds."""
    ((count,),) = query(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return count
