"""The chore beside its operations: covered when beat is dead, telling people, and forgetting what is old."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db.models.functions import Now

from outbox import tasks
from outbox.bulk import operations, pruning, running, telling
from outbox.models import BulkItem, BulkOperation, Heartbeat
from outbox.models.bulk import BulkState, BulkVerb
from tests.harness.bulk import fail_again, failed_messages, go_on, now, prepared, started
from tests.harness.desk import wins

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def admins(settings: Any) -> None:
    settings.ADMINS = [("Ada", "ada@example.com")]


def test_a_worker_goes_on_when_nobody_else_has_for_five_seconds() -> None:
    failed_messages(3)
    operation = started()
    Heartbeat.objects.record("bulk")
    assert not running.go_on_if_overdue()
    Heartbeat.objects.update(at=Now() - timedelta(seconds=6))

    tasks.run_overdue_jobs()

    assert now(operation).done == 3


def test_the_task_goes_on() -> None:
    failed_messages(3)
    operation = started()

    tasks.run_bulk()

    assert now(operation).done == 3


def test_people_are_told_once_when_it_has_stopped_itself() -> None:
    failed_messages(9)
    operation = go_on(started(canary=2))
    fail_again()
    go_on(operation)

    assert telling.tell() == 1
    Heartbeat.objects.update(at=Now() - timedelta(minutes=1))
    assert telling.tell() == 0

    (message,) = mail.outbox
    assert "stopped itself: not every message of the trial succeeded" in message.body


def test_people_are_told_of_its_end_and_of_a_discard_that_waits() -> None:
    wins.failed("1")
    operation = started(verb=BulkVerb.DISCARD)
    telling.tell()
    operations.approve(operation.pk, revision=1, actor="bob", reason="fine")
    go_on(operation)
    Heartbeat.objects.update(at=Now() - timedelta(minutes=1))
    telling.tell()

    waits, ended = (message.body for message in mail.outbox)
    assert "waits for a second person's approval" in waits
    assert f"Bulk operation {operation.pk} (discard; all failed messages) by ada is done. Done: 1" in ended


def test_what_no_channel_could_send_is_told_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    wins.failed("1")
    operations.cancel(started().pk, revision=1, actor="ada", reason="x")
    monkeypatch.setattr(mail, "mail_admins", lambda *_args, **_kwargs: 1 / 0)
    assert telling.tell() == 0
    monkeypatch.undo()
    Heartbeat.objects.update(at=Now() - timedelta(minutes=1))

    assert telling.tell() == 1


def test_a_preview_that_nobody_starts_goes_after_a_day() -> None:
    failed_messages(3)
    old, new = prepared(), prepared()
    BulkOperation.objects.filter(pk=old.pk).update(created_at=Now() - timedelta(hours=25))

    pruning.prune()

    assert list(BulkOperation.objects.values_list("pk", flat=True)) == [new.pk]
    assert set(BulkItem.objects.values_list("operation", flat=True)) == {new.pk}


def test_items_go_in_time_and_the_operation_stays(configure: Callable[..., None]) -> None:
    configure(KEEP_ITEMS=timedelta(days=5))
    failed_messages(3)
    operation = started()
    running.go_on()
    operations.cancel(operation.pk, revision=1, actor="ada", reason="x")
    BulkOperation.objects.update(ended_at=Now() - timedelta(days=4))
    assert pruning.prune() == 0
    BulkOperation.objects.update(ended_at=Now() - timedelta(days=6))

    assert pruning.prune() == 3

    assert (now(operation).state, now(operation).done) == (BulkState.CANCELLED, 3)
    assert now(operation).items_pruned_at is not None


def test_an_operation_that_runs_keeps_its_items() -> None:
    failed_messages(3)
    started()
    BulkOperation.objects.update(created_at=Now() - timedelta(days=400), started_at=Now() - timedelta(days=400))

    assert pruning.prune() == 0
