"""Messages with an ordering key: each consumer gets those of one key strictly in the order of publishing."""

import random
from collections import defaultdict
from datetime import timedelta
from itertools import pairwise
from time import monotonic, sleep

import pytest
from django.db import connection
from django.db.models import F

from outbox import Backoff, operate
from outbox.delivery import chunks, starting
from outbox.maintenance import rescan
from outbox.models import Message
from tests.harness.clock import let_pass
from tests.harness.messages import (
    MessageState,
    effects,
    publish_message,
    publish_messages,
    set_message,
    state_of,
    states_of,
)
from tests.harness.threads import at_once
from tests.shop.consumers import leave_effect
from tests.shop.models import Effect

pytestmark = pytest.mark.usefixtures("transactional_db")

NEW = MessageState("pending", attempts=0, attempt_limit=3)
DONE = MessageState("success", attempts=1, attempt_limit=3)


def asleep() -> list[int]:
    """Return the ids of the messages that are not due before their deadline."""
    return list(Message.objects.unfinished().filter(due_at=F("expires_at")).order_by("id").values_list("pk", flat=True))


def test_only_the_head_of_a_key_starts_however_the_hint_names_them(listen, dispatched):
    till = listen()
    ids = publish_messages(3, ordering_key="till 1")

    fences = starting.start_named(till, list(reversed(ids)))

    assert [fence.id for fence in fences] == [ids[0]]


def test_a_follower_does_not_start_before_its_head(listen, dispatched):
    till = listen()
    ids = publish_messages(3, ordering_key="till 1")

    assert starting.start_named(till, [ids[2]]) == []
    assert state_of(ids[2]) == NEW


def test_a_hint_starts_the_head_of_every_key_and_all_that_has_none(listen, dispatched):
    till = listen()
    one, two, free = (publish_messages(2, ordering_key=key) for key in ("till 1", "till 2", ""))

    fences = starting.start_named(till, [*one, *two, *free])

    assert sorted(fence.id for fence in fences) == sorted([one[0], two[0], *free])


def test_a_hint_goes_on_with_the_next_of_a_key_once_its_head_is_done(listen, dispatched):
    listen()
    ids = publish_messages(2, ordering_key="till 1")

    chunks.deliver("test.till", ids)

    assert states_of(ids) == [DONE, DONE]


def test_what_a_head_has_woken_is_found_by_the_hint_that_goes_on(listen, dispatched, one_chunk):
    listen(chunk=1)
    ids = publish_messages(3, ordering_key="till 1")
    dispatched.clear()

    chunks.deliver("test.till", [ids[0]])
    hints = list(dispatched)
    chunks.deliver("test.till", ())

    assert hints == [{"test.till": ()}]
    assert states_of(ids) == [DONE, DONE, NEW]


def test_a_lost_head_that_succeeded_has_what_is_behind_it_looked_for(listen, dispatched):
    listen()
    ids = publish_messages(2, ordering_key="till 1")
    set_message(ids[0], lost=1)
    dispatched.clear()

    chunks.deliver("test.till", [ids[0]])
    hints = list(dispatched)
    chunks.deliver("test.till", ())

    assert hints == [{"test.till": ()}]
    assert states_of(ids) == [DONE, DONE]


@pytest.mark.parametrize("settle", [True, False])
def test_a_head_settled_outside_a_transaction_hints_the_next_too(listen, dispatched, settle):
    from tests.shop.consumers import order

    listen(order, atomic=False)
    ids = publish_messages(2, ordering_key="till 1", settle=settle)
    dispatched.clear()

    chunks.deliver("test.till", [ids[0]])

    assert states_of(ids) == [DONE, NEW]
    assert dispatched == [{"test.till": [ids[1]]}]


def test_a_head_that_backs_off_holds_its_key_back_and_no_other(listen, dispatched):
    listen()
    head = publish_message(do="fail", ordering_key="till 1")
    follower, other = publish_message(ordering_key="till 1"), publish_message(ordering_key="till 2")

    for _ in range(2):
        chunks.deliver("test.till", [head, follower, other])

    assert [entry.status for entry in states_of([head, follower, other])] == ["pending", "pending", "success"]
    assert effects() == [(other, 1)]


def test_a_failed_head_holds_its_key_back_until_a_person_has_acted(listen, dispatched):
    listen()
    head = publish_message(do="reject", ordering_key="till 1")
    chunks.deliver("test.till", [head])
    follower = publish_message(ordering_key="till 1")
    chunks.deliver("test.till", [follower])
    held_back = state_of(follower)

    operate.discard(head, revision=0, actor="ada", reason="not for sale")
    chunks.deliver("test.till", [follower])

    assert held_back == NEW
    assert state_of(follower) == DONE


def test_the_same_key_of_another_consumer_is_another_order(listen, dispatched):
    listen()
    listen(topic="test.other", name="test.other")
    head, other = (
        publish_message(ordering_key="till 1", do="fail"),
        publish_message("test.other", ordering_key="till 1"),
    )

    chunks.deliver("test.till", [head])
    chunks.deliver("test.other", [other])

    assert state_of(other) == DONE


def test_the_rescan_sends_heads_only_and_no_other_is_due_before_its_deadline(listen, dispatched, link):
    listen()
    one, free = publish_messages(3, ordering_key="till 1"), publish_message()
    let_pass(timedelta(seconds=10))

    rescan.rescan()

    assert link.sent_ids == [(one[0], free)]
    assert asleep() == one[1:]
    assert [entry.sends for entry in states_of([*one, free])] == [1, 0, 0, 1]


def test_the_rescan_sends_a_follower_once_its_head_is_done(listen, dispatched, link, one_chunk):
    listen(chunk=1)
    ids = publish_messages(2, ordering_key="till 1")
    chunks.deliver("test.till", ids)
    let_pass(timedelta(seconds=10))

    rescan.rescan()

    assert link.sent_ids == [(ids[1],)]


def test_an_expired_head_is_failed_and_still_holds_its_key_back(listen, dispatched, link):
    listen()
    head, follower = publish_messages(2, ordering_key="till 1")
    let_pass(timedelta(days=8), head)

    chunks.deliver("test.till", [head, follower])
    rescan.rescan()
    chunks.deliver("test.till", [follower])

    assert state_of(head)[:3] == ("failed", 0, 3)
    assert state_of(follower) == NEW


def test_four_workers_and_shuffled_hints_keep_every_key_in_order(listen, dispatched):
    listen(chunk=7)
    ids = [publish_message(ordering_key=f"till {n % 5}", n=n) for n in range(60)]
    uniform = random.Random(7)

    def work():
        while Message.objects.unfinished().exists():
            chunks.deliver("test.till", uniform.sample(ids, 7))

    if connection.vendor == "postgresql":
        at_once(*[work] * 4)
    else:
        work()

    order = defaultdict(list)
    for id in Effect.objects.order_by("id").values_list("message_id", flat=True):
        order[ids.index(id) % 5].append(id)
    assert states_of(ids) == [DONE] * 60
    assert list(order.values()) == [sorted(of_key) for of_key in order.values()]
    assert sum(map(len, order.values())) == 60


@pytest.mark.services
@pytest.mark.parametrize("isolated", [False, True], ids=["together", "one by one"])
def test_four_workers_never_call_two_messages_of_a_key_at_once_though_chunks_fail_and_leases_run_out(
    listen, dispatched, link, isolated
):
    uniform = random.Random(5)
    called: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def book(message):
        began = monotonic()
        leave_effect(message)
        sleep(0.001)
        called[message.ordering_key].append((began, monotonic()))
        if message.attempts == 1 and message.payload["n"] % 11 == 5:
            raise ValueError("the till is jammed")

    listen(book, chunk=7, isolated=isolated, retry=Backoff(limit=9, first=timedelta(0)))
    ids = [publish_message(ordering_key=f"till {n % 3}", n=n) for n in range(90)]

    def work():
        """Deliver what is named by a hint of several, or of one, as what was lost needs it."""
        while first := Message.objects.unfinished().order_by("id").values_list("pk", flat=True).first():
            chunks.deliver("test.till", uniform.choice([[first], uniform.sample(ids, 5)]))

    def take_back():
        for _time in range(3):
            sleep(0.1)
            for id in Message.objects.filter(status="started").values_list("pk", flat=True):
                Message.objects.filter(pk=id, status="started").update(lease_until="2026-01-01T00:00Z")
            rescan.rescan()

    at_once(*[work] * 4, take_back)

    order = defaultdict(list)
    for id in Effect.objects.order_by("id").values_list("message_id", flat=True):
        order[ids.index(id) % 3].append(id)
    assert [len(of_key) for of_key in order.values()] == [30] * 3
    assert list(order.values()) == [sorted(of_key) for of_key in order.values()]
    for spans in called.values():
        assert [pair for pair in pairwise(sorted(spans)) if pair[0][1] > pair[1][0]] == []


def test_a_lost_head_holds_its_key_back_and_comes_back_first(listen, dispatched, link):
    till = listen()
    head, follower = publish_messages(2, ordering_key="till 1")
    starting.start_named(till, [head])
    chunks.deliver("test.till", [follower])
    let_pass(timedelta(seconds=30))

    rescan.rescan()

    assert state_of(follower) == NEW
    assert link.sent_ids == [(head,)]
    assert state_of(head)[:5] == ("pending", 1, 4, 1, 1)


def test_a_row_put_back_before_its_followers_goes_first_again(listen, dispatched, one_chunk):
    listen(chunk=1)
    head, follower = publish_messages(2, ordering_key="till 1")
    set_message(head, status="failed", finished_at="2026-01-01T00:00Z", exhausted_at="2026-01-01T00:00Z")

    operate.retry(head, revision=0, actor="ada", reason="the till was repaired")
    chunks.deliver("test.till", [follower])
    before = state_of(follower)
    chunks.deliver("test.till", [head])
    chunks.deliver("test.till", [follower])

    assert before == NEW
    assert states_of([head, follower]) == [DONE, DONE]
