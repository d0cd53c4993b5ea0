"""The rescan sends what is due, no more than the queues take, and spends nothing on a broker that is away."""

from collections import Counter
from dataclasses import asdict
from datetime import timedelta
from time import monotonic

import pytest
from django.db import connection, transaction

from outbox import operate, registry
from outbox.delivery import chunks
from outbox.maintenance import recovery, rescan
from outbox.maintenance.rescan import RescanResult
from outbox.models import Heartbeat, Message
from tests.harness.clock import let_pass, timed
from tests.harness.messages import MessageState, publish_message, publish_messages, set_message, state_of, states_of
from tests.harness.threads import at_once, in_thread

pytestmark = pytest.mark.usefixtures("transactional_db", "offered")

NEW = MessageState("pending", attempts=0, attempt_limit=3)
SENT = MessageState("pending", attempts=0, attempt_limit=3, sends=1)


def everything() -> list[dict]:
    return list(Message.objects.order_by("id").values())


def due(*ids: int):
    return [Message.objects.values_list("due_at", flat=True).get(pk=id) for id in ids]


@pytest.fixture
def till(listen):
    return listen()


def test_a_new_message_is_left_to_the_courier_for_five_seconds(till, link):
    id = publish_message()
    let_pass(timedelta(seconds=1))
    early = rescan.rescan()
    let_pass(timedelta(seconds=4))

    sweep = rescan.rescan()

    assert early == RescanResult()
    assert sweep == RescanResult(sent=1)
    assert link.sent_ids == [(id,)]
    assert state_of(id) == SENT


def test_what_was_sent_is_sent_again_after_ten_seconds_and_not_before(till, link):
    id = publish_message()
    let_pass(timedelta(seconds=5))
    with timed() as span:
        rescan.rescan()
    looked_at_again = due(id)[0] - timedelta(seconds=10)
    let_pass(timedelta(seconds=5))
    rescan.rescan()
    before = len(link.sent)
    let_pass(timedelta(seconds=5))

    rescan.rescan()

    assert span.contains(looked_at_again)
    assert before == 1
    assert link.sent_ids == [(id,), (id,)]
    assert state_of(id).sends == 2


def test_due_times_are_pushed_and_committed_before_anything_is_sent(till, link):
    id = publish_message()
    let_pass(timedelta(seconds=5))
    seen = []

    def look():
        span = in_thread(lambda: due(id)[0]) if connection.vendor == "postgresql" else due(id)[0]
        seen.append((connection.in_atomic_block, span))

    link.before_send = look
    with timed() as span:
        rescan.rescan()

    ((in_transaction, seen_due),) = seen
    assert not in_transaction
    assert span.contains(seen_due - timedelta(seconds=10))


def test_hints_are_chunks_of_the_consumer_oldest_due_first(listen, link):
    listen(chunk=3)
    ids = publish_messages(7)
    let_pass(timedelta(seconds=60))
    let_pass(timedelta(seconds=60), *ids[4:])

    rescan.rescan()

    assert link.sent_ids == [tuple(ids[4:]), tuple(ids[:3]), (ids[3],)]


def test_lost_rows_travel_alone(till, link):
    ids = publish_messages(5)
    for id in ids[1:3]:
        set_message(id, lost=1)
    let_pass(timedelta(seconds=5))

    rescan.rescan()

    assert link.sent_ids == [(ids[1],), (ids[2],), (ids[0], ids[3], ids[4])]


def test_what_waits_finished_or_is_under_way_is_not_sent(till, link):
    waiting, started, success, failed = publish_messages(4)
    chunks.start(till, [started])
    set_message(success, status="success", finished_at="2026-01-01T00:00Z")
    set_message(failed, status="failed", finished_at="2026-01-01T00:00Z", exhausted_at="2026-01-01T00:00Z")
    let_pass(timedelta(seconds=6), success, failed, started)
    publish_message(do="later")
    set_message(waiting, not_before="2100-01-01T00:00Z", due_at="2100-01-01T00:00Z")

    sweep = rescan.rescan()

    assert sweep == RescanResult()
    assert link.sent == []


def test_a_send_counts_only_into_an_empty_queue(till, link):
    id = publish_message()
    let_pass(timedelta(seconds=5))
    link.depths["test.till"] = 3

    rescan.rescan()

    assert link.sent_ids == [(id,)]
    assert state_of(id) == NEW


def test_a_counted_send_is_taken_back_when_the_broker_did_not_take_the_hint(till, link):
    id = publish_message()
    let_pass(timedelta(seconds=5))
    link.refuses = lambda hint: True

    with timed() as span:
        sweep = rescan.rescan()

    assert sweep == RescanResult(sent=0)
    assert state_of(id) == NEW
    assert span.contains(due(id)[0] - timedelta(seconds=1))


def test_only_the_rows_of_the_hints_that_were_not_taken_are_taken_back(listen, link):
    listen(chunk=2)
    ids = publish_messages(5)
    let_pass(timedelta(seconds=5))
    link.refuses = lambda hint: ids[2] in hint.ids

    sweep = rescan.rescan()

    assert sweep.sent == 3
    assert states_of(ids) == [SENT, SENT, NEW, NEW, SENT]


def test_a_send_that_was_not_counted_is_not_taken_back(till, link):
    id = publish_message()
    set_message(id, sends=5)
    let_pass(timedelta(seconds=5))
    link.depths["test.till"] = 3
    link.refuses = lambda hint: True

    rescan.rescan()

    assert state_of(id).sends == 5


def test_a_start_resets_the_sends(till, link):
    id = publish_message()
    set_message(id, sends=77)

    chunks.start(till, [id])

    assert state_of(id) == MessageState("started", attempts=1, attempt_limit=3, sends=0)


def test_a_message_that_no_worker_takes_fails_at_the_send_limit(till, link, configure):
    configure(SEND_LIMIT=3)
    id = publish_message()
    sweeps = []

    for _ in range(4):
        let_pass(timedelta(seconds=11))
        sweeps.append(rescan.rescan())

    assert sweeps == [RescanResult(sent=1)] * 3 + [RescanResult(failed=1)]
    assert state_of(id) == MessageState(
        "failed", attempts=0, attempt_limit=3, sends=3, last_error=state_of(id).last_error
    )
    assert state_of(id).last_error.startswith("no worker took it: ")
    assert link.sent_ids == [(id,)] * 3


def test_the_send_limit_fails_nothing_while_hints_wait_in_the_queue(till, link, configure):
    configure(SEND_LIMIT=3)
    id = publish_message()
    set_message(id, sends=3)
    let_pass(timedelta(seconds=11))
    link.depths["test.till"] = 1

    sweep = rescan.rescan()

    assert sweep == RescanResult(sent=1)
    assert state_of(id) == NEW._replace(sends=3)


@pytest.mark.parametrize("depth", [50, 51, 1000])
def test_nothing_is_sent_or_even_touched_at_high_water(till, link, depth):
    publish_messages(3)
    let_pass(timedelta(seconds=5))
    link.depths["test.till"] = depth
    before = everything()

    sweep = rescan.rescan()

    assert sweep == RescanResult()
    assert link.sent == []
    assert everything() == before


def test_no_more_is_claimed_than_the_queue_has_room_for(listen, link):
    listen(chunk=2, high_water=10)
    ids = publish_messages(10)
    let_pass(timedelta(seconds=5))
    link.depths["test.till"] = 8
    link.fills_up = True

    sweep = rescan.rescan()

    assert sweep == RescanResult(sent=4)
    assert link.sent_ids == [tuple(ids[:2]), tuple(ids[2:4])]
    assert due(*ids[4:]) == sorted(due(*ids[4:]))
    assert max(due(*ids[4:])) < min(due(*ids[:4]))


def test_lost_rows_that_find_no_room_are_sent_next_time(listen, link):
    listen(chunk=5, high_water=2)
    ids = publish_messages(5)
    for id in ids:
        set_message(id, lost=1)
    let_pass(timedelta(seconds=5))
    link.fills_up = True

    sweep = rescan.rescan()

    assert sweep.sent == 2
    assert link.sent_ids == [(ids[0],), (ids[1],)]
    assert [entry.sends for entry in states_of(ids)] == [1, 1, 0, 0, 0]


def test_a_queue_that_workers_empty_is_filled_again_in_the_same_pass_when_half_of_it_is_free(listen, link):
    listen(chunk=2, high_water=4)
    publish_messages(40)
    let_pass(timedelta(seconds=5))
    link.fills_up, link.taken_per_look = True, 1

    sweep = rescan.rescan()

    assert sweep == RescanResult(sent=40)
    assert link.batches == [4, 3, 3, 3, 3, 3, 1]


def test_a_queue_that_stays_full_is_left_to_the_next_pass_long_before_this_one_is_over(listen, link, configure):
    configure(RESCAN_BUDGET=timedelta(seconds=20))
    listen(chunk=2, high_water=4)
    ids = publish_messages(40)
    let_pass(timedelta(seconds=5))
    link.fills_up = True
    began = monotonic()

    sweep = rescan.rescan()

    assert sweep == RescanResult(sent=8)
    assert link.looks["test.till"] > 2
    assert monotonic() - began < 10
    assert [entry.sends for entry in states_of(ids[8:])] == [0] * 32


def test_a_queue_that_stays_full_keeps_no_other_consumer_waiting(listen, link):
    listen(high_water=1)
    listen(topic="test.other", name="test.other", chunk=1)
    publish_messages(3)
    others = publish_messages(200, "test.other")
    let_pass(timedelta(seconds=5))
    link.depths["test.till"] = 1

    sweep = rescan.rescan()

    assert sweep == RescanResult(sent=200)
    assert {id for hint in link.sent_ids for id in hint} == set(others)


def test_more_than_one_claim_is_sent_in_one_pass(till, link, monkeypatch):
    monkeypatch.setattr(rescan, "CLAIM", 3)
    ids = publish_messages(10)
    let_pass(timedelta(seconds=5))

    sweep = rescan.rescan()

    assert sweep == RescanResult(sent=10)
    assert link.sent_ids == [tuple(ids[0:3]), tuple(ids[3:6]), tuple(ids[6:9]), tuple(ids[9:])]


def test_consumers_take_turns_so_that_one_backlog_does_not_starve_the_others(listen, link, monkeypatch):
    monkeypatch.setattr(rescan, "CLAIM", 2)
    listen(name="test.a", topic="test.a")
    listen(name="test.b", topic="test.b")
    publish_messages(6, "test.a")
    publish_messages(1, "test.b")
    let_pass(timedelta(seconds=5))

    rescan.rescan()

    order = [hint.consumer for hint in link.sent]
    assert sorted(order) == ["test.a", "test.a", "test.a", "test.b"]
    assert order.index("test.b") <= 1


def test_a_pass_ends_when_its_time_is_up(listen, link, monkeypatch):
    seconds = iter([0.0, 0.1, 0.9])
    monkeypatch.setattr(rescan, "CLAIM", 2)
    monkeypatch.setattr(rescan, "monotonic", lambda: next(seconds))
    listen()
    ids = publish_messages(6)
    let_pass(timedelta(seconds=5))

    sweep = rescan.rescan()

    assert sweep == RescanResult(sent=2)
    assert link.sent_ids == [tuple(ids[:2])]


def test_a_broker_that_is_away_costs_neither_attempt_nor_send_nor_time(till, link):
    publish_messages(3)
    let_pass(timedelta(seconds=5))
    link.away = True
    before = everything()

    sweep = rescan.rescan()

    assert sweep == RescanResult(broker_away=True)
    assert everything() == before
    assert Heartbeat.objects.get(name="rescan").data == asdict(sweep)


def test_a_broker_that_goes_away_in_mid_send_costs_neither_attempt_nor_send(till, link):
    ids = publish_messages(3)
    let_pass(timedelta(seconds=5))

    def go_away():
        link.away = True
        link.refuses = lambda hint: True

    link.before_send = go_away

    sweep = rescan.rescan()

    assert sweep == RescanResult(sent=0)
    assert states_of(ids) == [NEW] * 3


def test_after_an_outage_of_an_hour_everything_is_sent_at_once(till, link):
    ids = publish_messages(3)
    link.away = True
    for _ in range(12):
        let_pass(timedelta(minutes=5))
        rescan.rescan()
    link.away = False

    sweep = rescan.rescan()

    assert sweep == RescanResult(sent=3)
    assert states_of(ids) == [SENT] * 3


def test_paused_consumers_are_left_alone(till, link, pause):
    publish_messages(3)
    let_pass(timedelta(seconds=5))
    pause("test.till")
    before = everything()

    sweep = rescan.rescan()

    assert sweep == RescanResult()
    assert everything() == before
    assert link.sent == []


def test_a_pause_that_is_over_lets_everything_go(till, link, pause):
    ids = publish_messages(3)
    pause("test.till", for_=timedelta(minutes=5))
    let_pass(timedelta(minutes=6))

    sweep = rescan.rescan()

    assert sweep == RescanResult(sent=3)
    assert link.sent_ids == [tuple(ids)]


def test_what_an_operator_retried_is_sent_with_a_new_set_of_tries(till, link):
    id = publish_message(do="reject")
    chunks.deliver("test.till", [id])
    set_message(id, sends=9)
    operate.retry(id, revision=0, actor="ada", reason="sold after all")

    sweep = rescan.rescan()

    assert sweep == RescanResult(sent=1)
    assert state_of(id) == MessageState(
        "pending", attempts=1, attempt_limit=4, sends=1, last_error="Reject: not for sale (rejected)"
    )


def test_a_pass_notes_when_it_ran_and_what_it_did(till, link):
    publish_messages(2)
    lost = publish_message()
    chunks.start(till, [lost])
    let_pass(timedelta(seconds=11))
    with timed() as span:
        sweep = rescan.rescan()

    heartbeat = Heartbeat.objects.get(name="rescan")
    assert sweep == RescanResult(lost=1, failed=0, sent=3)
    assert heartbeat.data == {"lost": 1, "failed": 0, "sent": 3, "broker_away": False}
    assert span.contains(heartbeat.at)


@pytest.mark.services
def test_four_overlapping_rescans_send_every_row_once(listen, link, monkeypatch):
    monkeypatch.setattr(rescan, "CLAIM", 20)
    listen(chunk=5, high_water=1000)
    ids = publish_messages(400)
    let_pass(timedelta(seconds=5))

    sweeps = at_once(*[rescan.rescan] * 4)

    assert Counter(id for hint in link.sent for id in hint.ids) == Counter(ids)
    assert sum(sweep.sent for sweep in sweeps) == 400
    assert states_of(ids) == [SENT] * 400


@pytest.mark.services
def test_four_overlapping_rescans_bring_every_lost_row_back_once(till, link):
    ids = publish_messages(50)
    chunks.start(till, ids)
    let_pass(timedelta(seconds=11))

    recovered = at_once(*[lambda: recovery.recover_all(["test.till"])] * 4)

    assert sum(entry.lost for entry in recovered) == 50
    assert {entry[:4] for entry in states_of(ids)} == {("pending", 1, 4, 1)}


@pytest.mark.services
def test_a_row_that_somebody_else_holds_is_skipped_without_waiting(till, link):
    held, free = publish_messages(2)
    let_pass(timedelta(seconds=5))

    with transaction.atomic():
        Message.objects.select_for_update(no_key=True).get(pk=held)
        sweep = in_thread(rescan.rescan)

    assert sweep == RescanResult(sent=1)
    assert link.sent_ids == [(free,)]


@pytest.mark.services
def test_of_many_workers_that_find_the_rescan_overdue_one_does_it(till, link):
    rescan.rescan()
    let_pass(timedelta(seconds=6))

    did = at_once(*[rescan.rescan_if_overdue] * 6)

    assert sorted(did) == [False] * 5 + [True]


def test_a_rescan_that_is_not_overdue_is_not_repeated(till, link):
    rescan.rescan()
    let_pass(timedelta(seconds=1))

    did = rescan.rescan_if_overdue()

    assert not did


def test_workers_go_on_covering_as_long_as_beat_is_dead(till, link):
    rescan.rescan()
    did = []

    for _ in range(3):
        let_pass(timedelta(seconds=6))
        did += [rescan.rescan_if_overdue(), rescan.rescan_if_overdue()]

    assert did == [True, False] * 3


def test_the_first_rescan_ever_may_be_a_worker_s(till, link):
    id = publish_message()
    let_pass(timedelta(seconds=5))

    did = rescan.rescan_if_overdue()

    assert did
    assert link.sent_ids == [(id,)]


def test_consumers_are_found_without_reading_the_rows_between(listen, link):
    names = ["test.a", "test.b", "test.c"]
    for name in names:
        listen(name=name, topic=name)
        publish_messages(4, name)
    registry.forget("test.b")
    let_pass(timedelta(seconds=5))

    found = list(Message.objects.unfinished().consumers())
    rescan.rescan()

    assert found == names
    assert {hint.consumer for hint in link.sent} == {"test.a", "test.c"}
