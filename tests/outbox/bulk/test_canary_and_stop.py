"""Trying a few first, and stopping when too many fail again."""

from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now

from outbox import operate
from outbox.bulk import chunks, operations, running, selection
from outbox.models import AttemptOutcome, BulkItem, BulkOperation, Message, Status
from outbox.models.bulk import BulkState, StoppedBecause
from outbox.models.status import HandledAs
from tests.harness.bulk import fail_again, failed_messages, go_on, now, started, succeed
from tests.harness.desk import wins
from tests.harness.rows import attempt

pytestmark = pytest.mark.django_db(transaction=True)


def pending() -> list[int]:
    return list(Message.objects.filter(status=Status.PENDING).order_by("pk").values_list("pk", flat=True))


def outcomes() -> list[str]:
    return list(BulkItem.objects.exclude(outcome="").order_by("pk").values_list("outcome", flat=True))


def test_a_trial_is_waited_for_and_the_rest_follows_when_all_of_it_succeeded() -> None:
    failed_messages(20)
    operation = go_on(started(canary=3))
    assert (operation.state, operation.done, operation.awaited) == (BulkState.CANARY, 3, 3)
    first, second, third = pending()

    succeed(first, second)
    assert go_on(operation).done == 3
    succeed(third)
    operation = go_on(operation)

    assert (operation.state, operation.done) == (BulkState.RUNNING, 20)


def test_a_trial_of_which_one_fails_stops_and_an_operator_may_let_it_go_on() -> None:
    failed_messages(20)
    operation = go_on(started(canary=3))
    first, second, third = pending()
    succeed(first, second), fail_again(third)

    operation = go_on(operation)
    assert (operation.state, operation.stopped_because) == (BulkState.STOPPED, StoppedBecause.CANARY)
    assert (operation.done, operation.failed_again) == (3, 1)
    assert go_on(operation).done == 3

    operations.resume(operation.pk, revision=1, actor="bob", reason="that one is known")
    assert go_on(operation).done == 20


def test_a_trial_takes_what_can_run_now() -> None:
    head = wins.failed("1", ordering_key="K")
    wins.failed("2", ordering_key="K")
    wins.failed("3", ordering_key="K")
    free = wins.failed("4")

    go_on(started(canary=2))

    assert pending() == [head.pk, free.pk]


def test_a_trial_larger_than_what_can_run_ends_with_what_can() -> None:
    wins.failed("1", ordering_key="K"), wins.failed("2", ordering_key="K")
    operation = go_on(started(canary=2))
    assert operation.done == 1

    succeed()
    for _pass in range(20):  # one may end before it comes to the rest, on a machine that is busy
        operation = go_on(operation)
        if operation.done == 2:
            break

    assert (operation.state, operation.done) == (BulkState.RUNNING, 2)


def test_more_than_the_limit_that_failed_again_stops_it() -> None:
    failed_messages(1500)
    operation = started(stop_percent=10)
    while now(operation).done < chunks.WINDOW:
        running.go_on()
    ids = pending()
    succeed(*ids[:10]), fail_again(*ids[10:110])
    assert go_on(operation).state == BulkState.RUNNING

    fail_again(ids[110], ids[111], *ids[112:130])
    operation = go_on(operation)

    assert (operation.state, operation.stopped_because) == (BulkState.STOPPED, StoppedBecause.FAILURES)
    assert operation.failed_again == 120
    assert operation.remaining >= 1


def test_while_a_stop_rule_is_on_no_more_than_a_chunk_is_without_an_outcome() -> None:
    failed_messages(1500)
    operation = started(stop_percent=50)
    for _ in range(30):
        running.go_on()

    assert (now(operation).done, now(operation).awaited) == (chunks.WINDOW, chunks.WINDOW)


def test_after_an_operator_let_it_go_on_the_stop_rule_counts_anew() -> None:
    failed_messages(4)
    operation = started(stop_percent=50, rate=20)
    chunks.advance(operation.pk)
    fail_again()
    assert go_on(operation).state == BulkState.STOPPED

    operations.resume(operation.pk, revision=1, actor="ada", reason="known")
    BulkOperation.objects.update(next_at=None)
    operation = go_on(operation)

    assert operation.state == BulkState.RUNNING
    assert operation.done > 1


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [
        (AttemptOutcome.FAILED, ["failed"]),
        (AttemptOutcome.REJECTED, ["failed"]),
        (AttemptOutcome.SNOOZED, ["not_ready"]),
        (AttemptOutcome.UNAVAILABLE, []),
        (AttemptOutcome.LOST, []),
    ],
)
def test_an_outcome_is_how_the_first_attempt_ended_that_says_something(outcome: str, counted: list[str]) -> None:
    wins.failed("1")
    operation = go_on(started())

    fail_again(outcome=outcome)
    go_on(operation)

    assert outcomes() == counted


def test_a_success_after_a_second_attempt_has_failed_again_at_the_first() -> None:
    wins.failed("1")
    operation = go_on(started())
    fail_again()
    succeed()

    operation = go_on(operation)

    assert (operation.failed_again, operation.succeeded, operation.state) == (1, 0, BulkState.DONE)


def test_attempts_before_the_retry_say_nothing_of_it() -> None:
    message = wins.failed("1")
    attempt(message, number=message.attempts)
    operation = go_on(started())
    succeed()

    assert go_on(operation).succeeded == 1


def test_what_failed_before_and_is_not_ready_now_has_not_failed_again() -> None:
    message = wins.failed("1")
    attempt(message, number=message.attempts)
    operation = go_on(started())
    fail_again(outcome=AttemptOutcome.SNOOZED)

    operation = go_on(operation)

    assert (operation.not_ready, operation.failed_again) == (1, 0)


def test_a_row_that_was_reopened_since_is_not_done_again() -> None:
    message = wins.failed("1")
    operation = started()
    operate.mark_handled(message.pk, revision=0, actor="bob", reason="x", outcome=HandledAs.NOT_DUE, evidence="V-1")
    operate.reopen(message.pk, revision=1, actor="bob", reason="look at it again")

    operation = go_on(operation)

    assert (operation.done, operation.refused) == (0, 1)
    assert Message.objects.get().status == Status.FAILED


def test_what_failed_without_any_attempt_has_failed_again() -> None:
    wins.failed("1")
    operation = go_on(started())
    Message.objects.update(status=Status.FAILED, finished_at=Now(), exhausted_at=Now(), reason="expired")

    assert go_on(operation).failed_again == 1


def test_what_an_operator_acted_on_since_counts_as_neither() -> None:
    message = wins.failed("1")
    operation = go_on(started())
    Message.objects.update(status=Status.FAILED, finished_at=Now(), exhausted_at=Now())
    operate.mark_handled(message.pk, revision=1, actor="bob", reason="x", outcome=HandledAs.ISSUED, evidence="V-1")

    operation = go_on(operation)

    assert (operation.overtaken, operation.succeeded, operation.failed_again) == (1, 0, 0)


def test_what_failed_again_can_be_retried_alone() -> None:
    failed_messages(5)
    operation = go_on(started())
    first, second, *others = pending()
    succeed(*others)
    for id in (first, second):
        fail_again(id)
        Message.objects.filter(pk=id).update(
            status=Status.FAILED, attempts=F("attempt_limit"), finished_at=Now(), exhausted_at=Now()
        )
    go_on(operation)

    again = started(selection.failed_again(now(operation)))

    assert list(BulkItem.objects.filter(operation=again).values_list("message_id", flat=True)) == [first, second]


def test_outcomes_of_a_cancelled_operation_still_come_in() -> None:
    failed_messages(3)
    operation = go_on(started())
    operations.cancel(operation.pk, revision=1, actor="ada", reason="enough")
    succeed()

    assert go_on(operation).succeeded == 3


@pytest.mark.parametrize("options", [{"canary": 5}, {"stop_percent": 10}])
def test_only_a_retry_has_a_trial_or_a_stop_rule(options: dict[str, Any]) -> None:
    from outbox.errors import NotAllowed
    from outbox.models.bulk import BulkVerb

    wins.failed("1")
    with pytest.raises(NotAllowed, match="Only a retry"):
        started(verb=BulkVerb.HANDLE, outcome=HandledAs.NOT_DUE, evidence="none", **options)
