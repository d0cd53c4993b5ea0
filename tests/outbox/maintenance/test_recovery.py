"""Messages whose worker was lost are brought back, however little else works; and recovery keeps to its time."""

from collections import Counter
from dataclasses import asdict
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from outbox import Backoff
from outbox.delivery import chunks, starting
from outbox.maintenance import recovery, rescan
from outbox.maintenance.recovery import Recovered
from outbox.models import Attempt, ConsumerState, Heartbeat, Message
from tests.harness.clock import let_pass, timed
from tests.harness.messages import (
    MessageState,
    effects,
    kept_attempts,
    publish_message,
    publish_messages,
    set_message,
    state_of,
    states_of,
)
from tests.harness.plans import selects
from tests.outbox.maintenance.crashes import start_and_crash

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched", "link")

SHORT = recovery.SHORT
"""As it ships; other tests have another."""

DONE = MessageState("success", attempts=1, attempt_limit=3)


def test_the_first_loss_is_free_and_the_row_is_due_at_once(listen):
    listen()
    id = publish_message()
    start_and_crash("test.till", id)

    with timed() as span:
        recovered = recovery.recover_all(["test.till"])

    assert recovered == Recovered(lost=1, failed=0)
    assert state_of(id) == MessageState("pending", attempts=1, attempt_limit=4, lost=1)
    assert kept_attempts(id) == [(1, "lost", "")]
    message = Message.objects.get()
    assert span.contains(message.not_before)
    assert message.due_at <= message.not_before


def test_losses_in_a_row_count_from_the_second_and_are_exhausted_at_the_limit(listen):
    listen()
    id = publish_message()
    states = []

    for _ in range(4):
        start_and_crash("test.till", id)
        recovery.recover_all(["test.till"])
        states.append(state_of(id))
        let_pass(timedelta(minutes=1))

    assert states == [
        MessageState("pending", attempts=1, attempt_limit=4, lost=1),
        MessageState("pending", attempts=2, attempt_limit=4, lost=2),
        MessageState("pending", attempts=3, attempt_limit=4, lost=3),
        MessageState("failed", attempts=4, attempt_limit=4, lost=4, reason="worker_lost"),
    ]
    assert kept_attempts(id) == [(n, "lost", "") for n in (1, 2, 3, 4)]


def test_a_second_loss_waits_as_after_a_failure(listen):
    listen()
    id = publish_message()
    start_and_crash("test.till", id)
    recovery.recover_all(["test.till"])
    start_and_crash("test.till", id)

    with timed() as span:
        recovery.recover_all(["test.till"])

    assert span.contains(Message.objects.get().not_before - timedelta(seconds=10))


def test_a_success_after_a_loss_forgets_it(listen):
    listen()
    id = publish_message()
    start_and_crash("test.till", id)
    recovery.recover_all(["test.till"])

    chunks.deliver("test.till", [id])

    assert state_of(id) == MessageState("success", attempts=2, attempt_limit=4)
    assert effects() == [(id, 2)]


def test_a_lease_that_is_not_over_is_left_alone(listen):
    till = listen()
    id = publish_message()
    starting.start_named(till, [id])
    let_pass(timedelta(seconds=5))

    recovered = recovery.recover_all(["test.till"])

    assert recovered == Recovered()
    assert state_of(id) == MessageState("started", attempts=1, attempt_limit=3)


def test_a_lease_renewed_for_a_redo_is_left_alone(listen):
    till = listen()
    id = publish_message()
    fences = starting.start_named(till, [id])
    let_pass(timedelta(seconds=5))
    Message.objects.held(fences).renew(till.lease + till.timeout)
    let_pass(timedelta(seconds=20))

    recovered = recovery.recover_all(["test.till"])

    assert recovered == Recovered()


def test_more_lost_rows_than_fit_into_a_transaction_are_all_brought_back(listen, monkeypatch):
    monkeypatch.setattr(recovery, "LOST_BATCH", 2)
    listen()
    ids = publish_messages(5)
    start_and_crash("test.till", *ids)

    recovered = recovery.recover_all(["test.till"])

    assert recovered == Recovered(lost=5, failed=0)
    assert {entry[:4] for entry in states_of(ids)} == {("pending", 1, 4, 1)}


def test_lost_leases_are_recovered_although_the_consumer_is_paused(listen, pause):
    listen()
    id = publish_message()
    start_and_crash("test.till", id)
    pause("test.till")

    sweep = rescan.rescan()

    assert (sweep.lost, sweep.sent) == (1, 0)
    assert state_of(id)[:4] == ("pending", 1, 4, 1)


def test_lost_leases_are_recovered_although_the_queue_is_full(listen, link):
    listen()
    id = publish_message()
    start_and_crash("test.till", id)
    link.depths["test.till"] = 50

    sweep = rescan.rescan()

    assert (sweep.lost, sweep.sent) == (1, 0)
    assert state_of(id)[:4] == ("pending", 1, 4, 1)


def test_lost_leases_are_recovered_although_the_broker_is_away(listen, link):
    listen()
    id = publish_message()
    start_and_crash("test.till", id)
    link.away = True

    sweep = rescan.rescan()

    assert (sweep.lost, sweep.sent, sweep.broker_away) == (1, 0, True)
    assert state_of(id)[:4] == ("pending", 1, 4, 1)


def test_lost_leases_are_recovered_although_the_breaker_is_open(listen):
    listen()
    id = publish_message()
    start_and_crash("test.till", id)
    ConsumerState.objects.create(consumer="test.till", breaker="open", probe_at=Now() + timedelta(seconds=9))

    sweep = rescan.rescan()

    assert (sweep.lost, sweep.sent) == (1, 0)
    assert state_of(id)[:4] == ("pending", 1, 4, 1)


@pytest.mark.parametrize(("took", "rest"), [(0.01, 0), (0.2, 4), (0.4, 8), (3.0, 10), (60.0, 10)])
def test_a_long_search_is_repeated_after_twenty_times_what_it_took_and_after_ten_seconds_at_the_latest(
    listen, monkeypatch, took, rest
):
    now, made = [0.0], []
    search = recovery.search

    def search_slowly(names):
        made.append(now[0])
        now[0] += took
        return search(names)

    listen()
    monkeypatch.setattr(recovery, "SHORT", SHORT)
    monkeypatch.setattr(recovery, "monotonic", lambda: now[0])
    monkeypatch.setattr(recovery, "search", search_slowly)

    while len(made) < 2:
        recovery.recover_all(["test.till"])
        now[0] += 1.0

    assert rest <= made[1] - made[0] - took <= rest + 1


def test_one_search_serves_all_consumers(listen):
    names = ["test.till", "test.a", "test.b"]
    for name in names:
        listen(topic=name, name=name)
        start_and_crash(name, publish_message(name))
        set_message(publish_message(name), due_at=Now(), expires_at=Now() - timedelta(seconds=1))
    with CaptureQueriesContext(connection) as captured:
        recovered = recovery.recover_all(names)

    searches = [sql for sql in selects(captured, "lease_until") if "FOR NO KEY UPDATE" not in sql and "IN (" in sql]
    assert recovered == Recovered(lost=3, failed=3)
    assert len([sql for sql in searches if all(name in sql for name in names)]) == 1


def test_when_its_time_is_up_the_rest_fails_in_the_next_passes_and_each_pass_has_succeeded(listen, monkeypatch):
    monkeypatch.setattr(recovery, "FAIL_BATCH", 2)
    listen()
    ids = publish_messages(5)
    let_pass(timedelta(days=7))
    clock = iter(float(n) for n in range(1_000))
    monkeypatch.setattr(recovery, "monotonic", lambda: next(clock))

    sweeps = [rescan.rescan() for _ in range(4)]

    assert [sweep.failed for sweep in sweeps] == [2, 2, 1, 0]
    assert {entry.status for entry in states_of(ids)} == {"failed"}
    assert Heartbeat.objects.get(name="rescan").data == asdict(sweeps[-1])


def test_when_its_time_is_up_the_other_lost_rows_are_brought_back_in_the_next_pass(listen, monkeypatch):
    monkeypatch.setattr(recovery, "LOST_BATCH", 2)
    listen()
    ids = publish_messages(3)
    start_and_crash("test.till", *ids)
    clock = iter(float(n) for n in range(1_000))
    monkeypatch.setattr(recovery, "monotonic", lambda: next(clock))

    first, second = recovery.recover_all(["test.till"]), recovery.recover_all(["test.till"])

    assert (first, second) == (Recovered(lost=2, more=True), Recovered(lost=1))
    assert {entry[:4] for entry in states_of(ids)} == {("pending", 1, 4, 1)}


def test_all_consumers_of_a_pass_share_its_time_and_each_has_its_turn(listen, monkeypatch):
    monkeypatch.setattr(recovery, "LOST_BATCH", 2)
    names = ["test.till", "test.a", "test.b"]
    for name in names:
        listen(topic=name, name=name)
        start_and_crash(name, *publish_messages(5, name))
    clock = iter(n / 10 for n in range(1_000))
    monkeypatch.setattr(recovery, "monotonic", lambda: next(clock))

    recovered = recovery.recover_all(names)

    brought_back = sorted(Counter(Message.objects.filter(lost=1).values_list("consumer", flat=True)).values())
    assert recovered == Recovered(lost=sum(brought_back), more=True)
    assert len(brought_back) == 3
    assert brought_back[0] >= 2
    assert brought_back[2] - brought_back[0] <= 2


def test_a_lost_attempt_ends_before_the_machine_gives_the_message_up(listen):
    listen()
    id = publish_message()
    set_message(id, attempts=2, lost=1)
    start_and_crash("test.till", id)

    recovery.recover_all(["test.till"])

    assert state_of(id).status == "failed"
    assert Attempt.objects.get().ended_at <= Message.objects.get().exhausted_at


@pytest.mark.services
def test_losses_in_which_the_server_was_started_again_spend_no_try_and_are_told_so(listen):
    listen(retry=Backoff(limit=1))
    id = publish_message()
    with connection.cursor() as cursor:
        cursor.execute(f"{recovery.SERVER_SINCE} - interval '1 minute'")
        (before,) = cursor.fetchone()

    for _ in range(2):
        start_and_crash("test.till", id)
        set_message(id, started_at=before)
        recovery.recover_all(["test.till"])

    assert state_of(id) == MessageState("pending", attempts=2, attempt_limit=3, lost=2)
    assert kept_attempts(id) == [(n, "lost", "the database server was started again in the meantime") for n in (1, 2)]
