"""The rescan sends no more than the queues have room for, and gives every consumer its turn."""

from datetime import timedelta
from time import monotonic

import pytest

from outbox.maintenance import rescan
from outbox.maintenance.rescan import RescanResult
from tests.harness.clock import let_pass
from tests.harness.messages import due_times, publish_messages, set_message, states_of, whole_rows

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


@pytest.mark.parametrize("depth", [50, 51, 1000])
def test_nothing_is_sent_or_even_touched_at_high_water(till, link, depth):
    publish_messages(3)
    let_pass(timedelta(seconds=5))
    link.depths["test.till"] = depth
    before = whole_rows()

    sweep = rescan.rescan()

    assert sweep == RescanResult()
    assert link.sent == []
    assert whole_rows() == before


def test_no_more_is_claimed_than_the_queue_has_room_for(listen, link):
    listen(chunk=2, high_water=10)
    ids = publish_messages(10)
    let_pass(timedelta(seconds=5))
    link.depths["test.till"] = 8
    link.fills_up = True

    sweep = rescan.rescan()

    assert sweep == RescanResult(sent=4)
    assert link.sent_ids == [tuple(ids[:2]), tuple(ids[2:4])]
    assert due_times(*ids[4:]) == sorted(due_times(*ids[4:]))
    assert max(due_times(*ids[4:])) < min(due_times(*ids[:4]))


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


def test_a_queue_that_workers_empty_is_filled_again_in_the_same_pass_when_half_of_it_is_free(
    listen, link, configure, monkeypatch
):
    # However busy the machine is: the pass ends by what is sent, not by the clock.
    configure(RESCAN_BUDGET=timedelta(seconds=20))
    monkeypatch.setattr(rescan, "STAYS_FULL", 10.0)
    listen(chunk=2, high_water=4)
    publish_messages(40)
    let_pass(timedelta(seconds=5))
    link.fills_up, link.taken_per_look = True, 1

    sweep = rescan.rescan()

    assert sweep == RescanResult(sent=40)
    assert link.batches == [4, 3, 3, 3, 3, 3, 1]


def test_a_queue_that_stays_full_is_left_to_the_next_pass_long_before_this_one_is_over(
    listen, link, configure, monkeypatch
):
    # Long enough for a few looks on a machine that is busy with other tests.
    configure(RESCAN_BUDGET=timedelta(seconds=60))
    monkeypatch.setattr(rescan, "STAYS_FULL", 3.0)
    listen(chunk=2, high_water=4)
    ids = publish_messages(40)
    let_pass(timedelta(seconds=5))
    link.fills_up = True
    began = monotonic()

    sweep = rescan.rescan()

    assert sweep == RescanResult(sent=8)
    assert link.looks["test.till"] > 2
    assert monotonic() - began < 30
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
