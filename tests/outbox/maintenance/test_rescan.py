"""The rescan sends what is due, and spends nothing on a broker that is away."""

from dataclasses import asdict
from datetime import timedelta

import pytest
from django.db import connection

from outbox import operate, registry
from outbox.delivery import chunks, starting
from outbox.maintenance import rescan
from outbox.maintenance.rescan import RescanResult
from outbox.models import Heartbeat
from outbox.models.sql.backlog import unfinished_consumers
from tests.harness.clock import let_pass, timed
from tests.harness.messages import (
    MessageState,
    due_times,
    publish_message,
    publish_messages,
    set_message,
    state_of,
    states_of,
    whole_rows,
)
from tests.harness.threads import in_thread

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

NEW = MessageState("pending", attempts=0, attempt_limit=3)
SENT = MessageState("pending", attempts=0, attempt_limit=3, sends=1)


def test_a_new_message_is_left_to_the_dispatcher_for_five_seconds(till, link):
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
    looked_at_again = due_times(id)[0] - timedelta(seconds=10)
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
        span = in_thread(lambda: due_times(id)[0]) if connection.vendor == "postgresql" else due_times(id)[0]
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
    starting.start_named(till, [started])
    set_message(success, status="success", finished_at="2026-01-01T00:00Z")
    set_message(failed, status="failed", finished_at="2026-01-01T00:00Z", exhausted_at="2026-01-01T00:00Z")
    let_pass(timedelta(seconds=6), success, failed, started)
    publish_message(do="later")
    set_message(waiting, not_before="2100-01-01T00:00Z", due_at="2100-01-01T00:00Z")

    sweep = rescan.rescan()

    assert sweep == RescanResult()
    assert link.sent == []


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
    before = whole_rows()

    sweep = rescan.rescan()

    assert sweep == RescanResult(broker_away=True)
    assert whole_rows() == before
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
    before = whole_rows()

    sweep = rescan.rescan()

    assert sweep == RescanResult()
    assert whole_rows() == before
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
        "pending", attempts=1, attempt_limit=4, sends=1, last_error="Reject: not for sale"
    )


def test_a_pass_notes_when_it_ran_and_what_it_did(till, link):
    publish_messages(2)
    lost = publish_message()
    starting.start_named(till, [lost])
    let_pass(timedelta(seconds=11))
    with timed() as span:
        sweep = rescan.rescan()

    heartbeat = Heartbeat.objects.get(name="rescan")
    assert sweep == RescanResult(lost=1, failed=0, sent=3)
    assert heartbeat.data == {
        "lost": 1,
        "failed": 0,
        "sent": 3,
        "broker_away": False,
        "distrusted": "",
        "dropped": {},
        "alarmed": False,
        "refused": {},
        "failing": {},
    }
    assert span.contains(heartbeat.at)


def test_a_broker_that_takes_nothing_is_noted_as_trouble(till, link):
    publish_messages(2)
    let_pass(timedelta(seconds=11))
    link.refuses = lambda _hint: True
    link.trouble, link.alarmed = "RabbitMQ takes nothing", True

    sweep = rescan.rescan()

    assert (sweep.sent, sweep.broker_away, sweep.alarmed) == (0, True, True)


def test_consumers_are_found_without_reading_the_rows_between(listen, link):
    names = ["test.a", "test.b", "test.c"]
    for name in names:
        listen(name=name, topic=name)
        publish_messages(4, name)
    registry.forget_consumer("test.b")
    let_pass(timedelta(seconds=5))

    found = unfinished_consumers()
    rescan.rescan()

    assert found == names
    assert {hint.consumer for hint in link.sent} == {"test.a", "test.c"}
