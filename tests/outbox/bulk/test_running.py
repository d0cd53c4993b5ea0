"""Carrying an operation out: each row once, by compare-and-set, at its rate, and never past what holds it."""

import os
import signal
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import connection, connections
from django.db.models.functions import Now

from outbox import operate, registry
from outbox.broker import dispatcher
from outbox.bulk import chunks, operations, running, selection
from outbox.bulk.chunks import Step
from outbox.errors import Conflict, NotAllowed
from outbox.models import AuditEntry, BulkConsumer, BulkItem, BulkOperation, Evidence, HandledAs, Message, Status
from outbox.models.bulk import BulkState, BulkVerb
from tests.harness.bulk import failed_messages, go_on, now, prepared, results, started
from tests.harness.desk import ISSUE, LIMIT, ORDER, wins
from tests.harness.rows import set_consumer
from tests.harness.threads import at_once, held, in_thread

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_was_retried_is_as_after_a_retry_by_hand(hints: list[Any]) -> None:
    by_hand = wins.failed("1")
    operate.retry(by_hand.pk, revision=0, actor="ada", reason="mended")
    in_bulk = wins.failed("2")

    operation = go_on(started())

    columns = ("status", "attempts", "attempt_limit", "revision", "exhausted_at", "finished_at", "sends", "reason")
    alike = {tuple(getattr(Message.objects.get(pk=row.pk), name) for name in columns) for row in (by_hand, in_bulk)}
    assert alike == {(Status.PENDING, LIMIT, 2 * LIMIT, 1, None, None, 0, "")}
    assert hints[-1] == {ISSUE: [in_bulk.pk]}
    assert (operation.done, operation.refused, operation.remaining) == (1, 0, 0)
    assert list(BulkItem.objects.values_list("result", "attempts")) == [("done", LIMIT)]


def test_an_operation_is_done_when_every_first_attempt_has_ended() -> None:
    failed_messages(3)
    operation = go_on(started())
    assert (operation.state, operation.awaited) == (BulkState.RUNNING, 3)

    Message.objects.update(status=Status.SUCCESS, attempts=LIMIT + 1, finished_at=Now())
    operation = go_on(operation)

    assert (operation.state, operation.awaited, operation.succeeded) == (BulkState.DONE, 0, 3)
    assert operation.ended_at is not None
    assert not BulkConsumer.objects.filter(runs=True).exists()


def test_discarding_handling_and_undoing_need_no_outcome() -> None:
    failed_messages(3)
    handled = go_on(started(verb=BulkVerb.HANDLE, outcome=HandledAs.COMPENSATED, evidence="vouchers of 3 May"))
    assert (handled.state, handled.done) == (BulkState.DONE, 3)
    assert set(Message.objects.values_list("resolution", "revision")) == {("handled", 1)}
    proofs = Evidence.objects.values_list("message_id", "kind", "outcome", "text", "actor")
    assert set(proofs) == {
        (id, "note", "compensated", "vouchers of 3 May", "ada") for id in Message.objects.values_list("pk", flat=True)
    }
    reopened = Message.objects.order_by("pk").first()
    assert reopened is not None
    operate.reopen(reopened.pk, revision=1, actor="bob", reason="this one was not")

    undone = go_on(started(selection.to_undo(handled), verb=BulkVerb.REOPEN))

    assert (undone.state, undone.total, undone.done) == (BulkState.DONE, 2, 2)
    assert Message.objects.exhausted().count() == 3


def test_an_undo_leaves_alone_what_somebody_has_closed_anew() -> None:
    message = wins.failed("1")
    operation = go_on(started(verb=BulkVerb.HANDLE, outcome=HandledAs.COMPENSATED, evidence="vouchers"))
    operate.reopen(message.pk, revision=1, actor="bob", reason="no voucher")
    operate.mark_handled(message.pk, revision=2, actor="bob", reason="x", outcome=HandledAs.ISSUED, evidence="V-1")

    with pytest.raises(NotAllowed, match="Nothing matches"):
        prepared(selection.to_undo(operation), verb=BulkVerb.REOPEN)


def test_a_row_that_was_changed_closed_or_removed_since_is_refused_and_told() -> None:
    retried, handled, gone, _left = (wins.failed(str(n)) for n in range(4))
    operation = started()
    operate.retry(retried.pk, revision=0, actor="bob", reason="me first")
    operate.mark_handled(handled.pk, revision=0, actor="bob", reason="x", outcome=HandledAs.ISSUED, evidence="V-1")
    Message.objects.filter(pk=gone.pk).delete()

    operation = go_on(operation)

    assert results(operation) == [
        ("refused", "changed"),
        ("refused", "changed"),
        ("refused", "gone"),
        ("done", ""),
    ]
    assert (operation.done, operation.refused) == (1, 3)
    assert Message.objects.get(pk=retried.pk).revision == 1


def test_a_consumer_that_is_gone_by_now_is_refused() -> None:
    wins.failed("1"), wins.failed("2", consumer=ORDER)
    operation = started()
    registry.forget_consumer(ORDER)

    operation = go_on(operation)

    assert results(operation) == [("done", ""), ("refused", "no_consumer")]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite locks no rows")
def test_a_row_that_somebody_holds_is_done_later_and_nobody_waits_for_it() -> None:
    busy, free = wins.failed("1"), wins.failed("2")
    operation = started()
    with held(Message.objects.select_for_update().filter(pk=busy.pk)):
        seen = go_on(operation)

    assert (seen.done, seen.remaining) == (1, 1)
    assert Message.objects.get(pk=free.pk).status == Status.PENDING
    assert go_on(operation).done == 2


def test_two_workers_at_one_operation_do_each_row_once() -> None:
    failed_messages(300)
    operation = started()

    at_once(*[running.go_on] * 3)
    while now(operation).remaining:
        running.go_on()

    assert set(Message.objects.values_list("revision", "status")) == {(1, "pending")}
    assert (now(operation).done, BulkItem.objects.filter(result="done").count()) == (300, 300)


@pytest.mark.parametrize("point", ["_next_items", "_sort_out", "_apply", "_write_results", "_spent"])
def test_a_worker_killed_at_any_point_of_a_chunk_leaves_nothing_half_done(point: str) -> None:
    failed_messages(20)
    operation = started()
    real = getattr(chunks, point)

    def kill(*args: Any) -> Any:
        real(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    connections.close_all()  # the child must not speak through ours
    if (child := os.fork()) == 0:
        setattr(chunks, point, kill)
        running.go_on()
        os._exit(0)
    _pid, status = os.waitpid(child, 0)

    assert os.WIFSIGNALED(status)
    assert (now(operation).done, BulkItem.objects.todo().count(), Message.objects.exhausted().count()) == (0, 20, 20)
    assert go_on(operation).done == 20
    assert set(Message.objects.values_list("revision", flat=True)) == {1}


def test_a_rate_permits_no_more_than_it_says() -> None:
    failed_messages(400)
    operation = started(rate=100)

    running.go_on()
    BulkOperation.objects.update(next_at=Now())
    early = chunks.advance(operation.pk)
    BulkOperation.objects.update(next_at=Now() - timedelta(seconds=0.1), chunk_size=1000)
    before = now(operation).done
    chunks.advance(operation.pk)

    assert early is Step.WAIT
    assert 8 <= now(operation).done - before <= 19
    BulkOperation.objects.update(next_at=Now() - timedelta(hours=1), chunk_size=1000)
    before = now(operation).done
    assert chunks.advance(operation.pk) is Step.MORE
    assert now(operation).done - before == 20


def test_while_a_consumer_is_paused_or_its_breaker_open_the_operation_waits_and_says_so() -> None:
    wins.failed("1")
    set_consumer(ISSUE, breaker="open")
    operation = started()
    assert (operation.state, operation.held_by) == (BulkState.SUSPENDED, ISSUE)

    assert go_on(operation).done == 0
    set_consumer(ISSUE, breaker="closed")
    operation = go_on(operation)

    assert (operation.state, operation.done) == (BulkState.RUNNING, 1)


def test_an_operation_that_runs_is_suspended_when_its_consumer_is_paused() -> None:
    failed_messages(5)
    operation = started(rate=1)
    running.go_on()
    operate.pause(ISSUE, seen=None, actor="bob", reason="stocktaking")

    operation = go_on(operation)

    assert (operation.state, operation.held_by, operation.done) == (BulkState.SUSPENDED, ISSUE, 1)
    assert [entry.after for entry in AuditEntry.objects.filter(action="bulk_state")] == [
        {"state": "suspended", "held_by": ISSUE}
    ]


def test_closing_waits_for_no_consumer() -> None:
    wins.failed("1")
    set_consumer(ISSUE, breaker="open")

    operation = go_on(started(verb=BulkVerb.HANDLE, outcome=HandledAs.NOT_DUE, evidence="none was promised"))

    assert operation.state == BulkState.DONE


def test_of_a_consumer_one_operation_runs_at_a_time_and_the_second_is_told() -> None:
    wins.failed("1")
    first = started()
    second = prepared()

    with pytest.raises(NotAllowed, match=f"Bulk operation {first.pk} by ada is at work on {ISSUE}"):
        operations.start(second.pk, revision=0, actor="bob", reason="me too")

    assert now(second).state == BulkState.DRAFT
    operations.cancel(first.pk, revision=1, actor="bob", reason="mine is better")
    assert operations.start(second.pk, revision=0, actor="bob", reason="me too").state == BulkState.RUNNING


def test_after_a_pause_or_a_cancel_no_row_is_touched() -> None:
    failed_messages(50)
    operation = started(rate=1)
    running.go_on()

    paused = operations.pause(operation.pk, revision=1, actor="bob", reason="wait")
    BulkOperation.objects.update(next_at=Now() - timedelta(hours=1))
    assert go_on(operation).done == paused.done == 1
    resumed = operations.resume(operation.pk, revision=2, actor="bob", reason="go")
    assert resumed.state == BulkState.RUNNING
    cancelled = operations.cancel(operation.pk, revision=3, actor="cy", reason="enough")
    BulkOperation.objects.update(next_at=Now() - timedelta(hours=1))
    assert (go_on(operation).done, now(operation).state) == (cancelled.done, BulkState.CANCELLED)


def test_who_has_not_seen_the_last_change_is_told_who_was_faster() -> None:
    wins.failed("1")
    operation = started()
    operations.pause(operation.pk, revision=1, actor="bob", reason="the vendor rang")

    with pytest.raises(Conflict, match=r"bob paused the bulk operation .* “the vendor rang”"):
        operations.cancel(operation.pk, revision=1, actor="cy", reason="enough")


def test_the_audit_has_one_entry_at_the_start_and_one_for_each_change_of_state() -> None:
    failed_messages(30)
    operation = go_on(started(rate=None))
    Message.objects.update(status=Status.SUCCESS, attempts=LIMIT + 1, finished_at=Now())
    go_on(operation)

    entries = list(AuditEntry.objects.order_by("pk"))
    assert [(entry.actor, entry.action, entry.subject) for entry in entries] == [
        ("ada", "bulk_start", f"bulk operation {operation.pk}"),
        ("outbox", "bulk_state", f"bulk operation {operation.pk}"),
    ]
    assert entries[0].after["digest"] == operation.digest
    assert entries[0].after["total"] == 30
    assert list(operations.history(operation)) == entries[::-1]


def test_what_waited_behind_a_message_that_is_closed_goes_on(hints: list[Any]) -> None:
    wins.failed("1", ordering_key="K")
    behind = wins.pending("2", ordering_key="K", due_at=Now() + timedelta(days=2), expires_at=Now() + timedelta(days=2))

    go_on(started(verb=BulkVerb.HANDLE, outcome=HandledAs.NOT_DUE, evidence="none"))

    assert {ISSUE: [behind.pk]} in hints


def test_an_operation_that_cannot_go_on_leaves_the_others_their_turn(caplog: pytest.LogCaptureFixture) -> None:
    wins.failed("1")
    broken = started()
    wins.failed("2", consumer=ORDER)
    fine = started(selection.failed(consumer=ORDER))
    real = chunks.advance

    def break_one(id: int) -> Step:
        if id == broken.pk:
            raise ValueError("no")
        return real(id)

    with mock.patch.object(chunks, "advance", break_one):
        running.go_on()

    assert now(fine).done == 1
    assert f"bulk operation {broken.pk} could not go on" in caplog.text


def test_where_no_operation_runs_a_pass_is_one_query(django_assert_num_queries: Any) -> None:
    wins.failed("1")
    prepared()

    with django_assert_num_queries(1):
        assert running.go_on() == 0


def test_hints_are_sent_after_the_commit_alone(hints: list[Any]) -> None:
    failed_messages(3)
    operation = started()
    seen: list[int] = []

    def note(_ids: Any) -> None:
        seen.append(in_thread(lambda: now(operation).done))

    with mock.patch.object(dispatcher, "dispatch", note):
        chunks.advance(operation.pk)

    assert seen == [3]
