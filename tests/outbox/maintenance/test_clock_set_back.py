"""The database's clock is set back by an hour: everything goes on at once, and what was to wait waits as long."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from outbox import operate
from outbox.delivery import chunks, starting
from outbox.maintenance import pruning, rescan, rollup, set_back
from outbox.maintenance.rescan import RescanResult
from outbox.models import Alert, ConsumerState, Heartbeat, Message
from outbox.monitoring import alerts
from outbox.monitoring.health import measure, unready
from tests.harness import clock
from tests.harness.clock import HOUR, MINUTE, SECOND, database_time, let_pass
from tests.harness.messages import effects, publish_message, publish_messages, state_of
from tests.harness.rows import all_is_well

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

BACK = HOUR


def set_clock_back() -> None:
    """Do to every time in the tables what setting the clock back by an hour does: they lie an hour further ahead."""
    clock.set_back(-BACK, Message, ConsumerState, Heartbeat, Alert)
    let_pass(timedelta(0))


@pytest.fixture
def rescanned(link):
    """One pass has been made, whose heartbeat tells of a jump."""
    rescan.rescan()


def test_what_was_published_is_sent_and_started_at_once(till, link, rescanned):
    ids = publish_messages(2)
    set_clock_back()

    result = rescan.rescan()
    chunks.deliver("test.till", ids)

    assert result == RescanResult(sent=2)
    assert effects() == [(id, 1) for id in ids]


def test_what_was_sent_is_sent_again_at_once(till, link, rescanned):
    id = publish_message()
    let_pass(2 * HOUR)
    rescan.rescan()
    set_clock_back()

    rescan.rescan()

    assert link.sent_ids == [(id,), (id,)]


def test_what_was_to_wait_waits_as_long_and_no_longer(listen, link, rescanned):
    listen()
    snoozed = publish_message(do="snooze", seconds=1500)
    chunks.deliver("test.till", [snoozed])
    set_clock_back()

    rescan.rescan()

    left = Message.objects.get(pk=snoozed).not_before - database_time()
    assert 24 * MINUTE < left < 26 * MINUTE
    assert link.sent == []


def test_a_delay_that_was_written_long_ago_is_not_cut_short(till, link, rescanned):
    id = publish_message()
    Message.objects.filter(pk=id).update(not_before=Now() + 30 * HOUR, due_at=Now() + 30 * HOUR)
    clock.set_back(10 * HOUR, Message)
    before = Message.objects.values("not_before", "due_at").get(pk=id)
    clock.set_back(-BACK, Heartbeat)

    rescan.rescan()

    assert Message.objects.values("not_before", "due_at").get(pk=id) == before


def test_a_lost_row_is_brought_back_when_its_lease_is_over_by_the_new_clock(listen, link, rescanned):
    till = listen(timeout=5 * SECOND, chunk=1)
    id = publish_message()
    starting.start_named(till, [id])
    set_clock_back()
    early = rescan.rescan()
    let_pass(MINUTE)

    late = rescan.rescan()

    assert (early.lost, late.lost) == (0, 1)
    assert state_of(id).status == "pending"


def test_what_a_person_has_retried_is_sent_at_once(till, link, rescanned):
    id = publish_message(do="reject")
    chunks.deliver("test.till", [id])
    clock.set_back(2 * HOUR, Message)
    operate.retry(id, revision=0, actor="ada", reason="sold after all")
    set_clock_back()

    assert rescan.rescan() == RescanResult(sent=1)


def test_more_rows_than_one_transaction_takes_are_all_mended(till, link, rescanned, monkeypatch):
    monkeypatch.setattr(set_back, "BATCH", 2)
    ids = publish_messages(5)
    set_clock_back()

    assert set_back.mend_if_set_back() == 5
    assert Message.objects.due().count() == len(ids)


def test_a_probe_of_a_broken_consumer_is_made(listen, link, rescanned):
    listen()
    publish_message()
    ConsumerState.objects.create(consumer="test.till", breaker="open", probe_at=Now() + 5 * SECOND, probe_seconds=5)
    set_clock_back()

    assert rescan.rescan().sent == 1


def test_workers_cover_at_once_for_every_chore_that_the_clock_has_stopped(till, link):
    all_is_well()
    for name in (rescan.TAKEOVER, pruning.TAKEOVER, rollup.TAKEOVER, alerts.TURNS):
        Heartbeat.objects.record(name)
    set_clock_back()

    did = [
        rescan.rescan_if_overdue(),
        alerts.watch_if_overdue(),
        rollup.roll_up_if_overdue(),
        pruning.prune_if_overdue(),
    ]

    # What the rescan has mended counts as done a minute ago, and is covered for as ever.
    assert did[0]
    assert not Heartbeat.objects.filter(at__gt=Now()).exists()
    assert [did[1], did[2], did[3]] == [False, False, False]


@pytest.mark.parametrize(
    "take_over", [alerts.watch_if_overdue, rollup.roll_up_if_overdue, pruning.prune_if_overdue], ids=["a", "r", "p"]
)
def test_a_chore_is_covered_for_although_its_heartbeat_and_its_last_turn_lie_in_the_future(take_over):
    all_is_well()
    for name in (pruning.TAKEOVER, rollup.TAKEOVER, alerts.TURNS):
        Heartbeat.objects.record(name)
    set_clock_back()

    assert take_over()


def test_a_heartbeat_in_the_future_proves_nothing():
    all_is_well()
    set_clock_back()

    assert measure().rescan is None
    assert unready()[0] == "The rescan has never succeeded."


def test_an_alert_that_is_over_is_told_of_in_time(link, rescanned):
    Alert.objects.create(about="broker", level=2, sentence="away", notified_level=2, notified_at=Now())
    set_clock_back()
    rescan.rescan()
    let_pass(3 * MINUTE)
    clock.set_back(3 * MINUTE, Alert)

    assert Alert.objects.resolved(after=2 * MINUTE).count() == 1


def test_a_clock_that_was_not_set_back_costs_one_look(till, link, rescanned):
    publish_message()

    assert set_back.mend_if_set_back() == 0
