"""Rehearsals of whole frozen sets: beside a worker's work, through kills and stops, with a result that is kept."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from outbox.bulk import operations, running, selection
from outbox.bulk.pruning import prune
from outbox.delivery import chunks
from outbox.errors import Conflict, NotAllowed
from outbox.models import AuditEntry, BulkItem, BulkOperation, BulkRehearsal, FailureGroup, Message
from outbox.models.bulk import BulkVerb
from outbox.models.rehearsal import RehearsalState
from outbox.operate.patch import Patch
from outbox.rehearsal import background, code, run, whole_sets
from outbox.rehearsal.results import Summary
from tests.harness.bulk import prepared
from tests.harness.clock import DAY
from tests.harness.messages import publish_failed
from tests.harness.program import eventually
from tests.shop.models import Tag

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched")]
CONSUMER = "shop.try_out"


def frozen(*kinds: str) -> BulkOperation:
    """Freeze failed messages that do these things when they are called."""
    for do in kinds:
        publish_failed("shop.tried", do=do)
    return prepared()


def rehearsed(operation: BulkOperation) -> BulkRehearsal:
    """Rehearse a set, as a worker does."""
    made = whole_sets.start(operation.pk, actor="ada", origin="10.0.0.7")
    play()
    return now(made)


def play() -> None:
    taken = background.take()
    assert taken is not None
    background.play(taken)


def now(rehearsal: BulkRehearsal) -> BulkRehearsal:
    return BulkRehearsal.objects.select_related("operation").get(pk=rehearsal.pk)


def summary_of(rehearsal: BulkRehearsal) -> Summary:
    return Summary.from_json(rehearsal.results[CONSUMER])


@pytest.fixture
def at_every_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "SAVE_EVERY", 0.0)


def test_every_message_of_a_set_is_rehearsed_and_the_result_is_kept_with_the_operation(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(background, "SPAN", 4)
    operation = frozen("", "fail", "", "fail at COMMIT", "fail", "", "socket", "fail at COMMIT", "")

    rehearsal = rehearsed(operation)

    summary = summary_of(rehearsal)
    assert (rehearsal.state, rehearsal.done, rehearsal.total) == (RehearsalState.DONE, 9, 9)
    assert summary.as_counts() == {"success": 6, "failed": 2, "refused": 1}
    assert [group.count for group in summary.groups] == [2, 1]
    assert all(group.error == "" for group in summary.groups)
    assert summary.together == (0, 9)
    assert rehearsal.ended_at is not None
    assert Message.objects.exhausted().count() == 9


def test_it_finds_exactly_the_failures_that_the_retry_then_has():
    """Of three kinds that depend on nothing else; what is used up in common, or later, no rehearsal can know."""
    Tag.objects.create(name="taken")
    operation = frozen(*["", "fail", "", "reject", "", "fail at COMMIT", ""] * 3)
    groups = summary_of(rehearsed(operation)).groups

    operations.start(operation.pk, revision=0, actor="ada", reason="rehearsed")
    while BulkOperation.objects.get(pk=operation.pk).remaining:
        running.go_on()
    chunks.deliver(CONSUMER, list(Message.objects.values_list("pk", flat=True)))

    failed = set(Message.objects.exclude(status="success").values_list("pk", flat=True))
    assert len(groups) == 3
    assert {id for group in groups for id in group.ids} == failed
    assert sum(group.count for group in groups) == len(failed) == 9
    assert {group.failure for group in groups} == set(FailureGroup.objects.values_list("pk", flat=True))


def test_there_is_one_entry_in_the_audit_for_it_whatever_it_came_to():
    operation = frozen("", "fail", "reject")

    rehearsed(operation)

    [entry] = AuditEntry.objects.filter(action="rehearse")
    assert (entry.actor, entry.origin, entry.subject) == ("ada", "10.0.0.7", str(operation))
    assert entry.after == {"rehearsed": {"messages": 3, "success": 1, "failed": 2, "kinds_of_failure": 2}}


def test_an_edit_is_rehearsed_with_its_change():
    for _ in range(2):
        publish_failed("shop.tried", do="fail")
    patch = Patch(rename={"do": "did"})
    operation = operations.prepare(BulkVerb.EDIT, selection.failed(), actor="ada", patch=patch)

    rehearsal = rehearsed(operation)

    assert summary_of(rehearsal).as_counts() == {"success": 2}
    assert AuditEntry.objects.get(action="rehearse").after["rehearsed"]["changed_keys"] == "do, did"
    assert Message.objects.filter(payload__do="fail").count() == 2


@pytest.mark.usefixtures("at_every_result")
def test_who_was_killed_is_followed_by_another_who_goes_on_where_it_was_each_message_counted_once(
    monkeypatch: pytest.MonkeyPatch,
):
    operation = frozen(*["", "fail"] * 5)
    made = whole_sets.start(operation.pk, actor="ada")
    rehearse, asked = run.rehearse, []

    def killed(consumer: str, ids: list[int], **options: Any) -> Any:
        asked.append(len(ids))
        for number, result in enumerate(rehearse(consumer, ids, **options)):
            if len(asked) == 1 and number == 4:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(run, "rehearse", killed)
    with pytest.raises(KeyboardInterrupt):
        play()
    alone = background.take()
    BulkRehearsal.objects.update(seen_at=Now() - background.LEASE - timedelta(seconds=1))

    play()

    rehearsal = now(made)
    assert alone is None
    assert asked == [10, 6]
    assert (rehearsal.state, rehearsal.done) == (RehearsalState.DONE, 10)
    assert summary_of(rehearsal).as_counts() == {"success": 5, "failed": 5}


@pytest.mark.usefixtures("at_every_result")
def test_who_was_overtaken_notes_nothing_any_more():
    operation = frozen("", "")
    made = whole_sets.start(operation.pk, actor="ada")
    slow = background.take()
    assert slow is not None
    BulkRehearsal.objects.update(seen_at=Now() - background.LEASE - timedelta(seconds=1))
    faster = background.take()
    assert faster is not None

    background.play(slow)
    meanwhile = now(made)
    background.play(faster)

    assert (meanwhile.state, meanwhile.done, meanwhile.holder) == (RehearsalState.RUNNING, 0, faster.holder)
    assert (now(made).state, now(made).done) == (RehearsalState.DONE, 2)
    assert AuditEntry.objects.filter(action="rehearse").count() == 1


@pytest.mark.usefixtures("at_every_result")
def test_it_is_stopped_within_two_seconds_even_while_a_handler_hangs():
    publish_failed("shop.tried", do="")
    publish_failed("shop.tried", do="sleep", seconds=30)
    made = whole_sets.start(prepared().pk, actor="ada")
    thread = threading.Thread(target=_in_a_thread)
    thread.start()
    eventually(lambda: now(made).done == 1, within=30)

    whole_sets.stop(made.pk, actor="ben")
    thread.join(timeout=4)

    rehearsal = now(made)
    assert not thread.is_alive()
    assert (rehearsal.state, rehearsal.stopped_by, rehearsal.done) == (RehearsalState.STOPPED, "ben", 1)
    assert AuditEntry.objects.get(action="rehearse").after["rehearsed"]["ended"] == "stopped by ben"
    with pytest.raises(Conflict):
        whole_sets.stop(made.pk, actor="ben")


def _in_a_thread() -> None:
    try:
        play()
    finally:
        connection.close()


@pytest.mark.usefixtures("at_every_result")
def test_it_ends_when_the_operation_is_started():
    operation = frozen("", "")
    made = whole_sets.start(operation.pk, actor="ada")
    operations.start(operation.pk, revision=0, actor="ada", reason="now")

    play()

    rehearsal = now(made)
    assert (rehearsal.state, rehearsal.stopped_because, rehearsal.error) == (RehearsalState.STOPPED, "operation", "")
    assert AuditEntry.objects.get(action="rehearse").after["rehearsed"]["ended"] == "operation"
    with pytest.raises(NotAllowed, match="under way"):
        whole_sets.start(operation.pk, actor="ada")


def test_a_set_is_rehearsed_once_at_a_time_and_sets_one_after_the_other():
    first, second = frozen(""), frozen("")
    made = [whole_sets.start(operation.pk, actor="ada") for operation in (first, second)]

    with pytest.raises(Conflict):
        whole_sets.start(first.pk, actor="ada")
    taken = background.take()
    nobody = background.take()

    assert taken is not None
    assert (taken.pk, nobody) == (made[0].pk, None)


def test_what_cannot_be_rehearsed_at_all_is_said_and_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch):
    first = whole_sets.start(frozen("").pk, actor="ada")
    second = whole_sets.start(frozen("").pk, actor="ada")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.no_such_settings")
    play()
    monkeypatch.undo()
    play()

    assert now(first).state == RehearsalState.FAILED
    assert "No module named 'tests.no_such_settings'" in now(first).error
    assert now(second).state == RehearsalState.DONE


def test_what_was_said_with_a_nul_ends_it_and_does_not_hold_up_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    first, second = (whole_sets.start(frozen("").pk, actor="ada") for _ in range(2))
    (tmp_path / "settings_with_nul.py").write_text('raise RuntimeError("a \\0 and more")')
    with monkeypatch.context() as broken:
        broken.syspath_prepend(tmp_path)
        broken.setenv("DJANGO_SETTINGS_MODULE", "settings_with_nul")
        play()
    play()

    assert now(first).state == RehearsalState.FAILED
    assert "RuntimeError: a \\0 and more" in now(first).error
    assert now(second).state == RehearsalState.DONE


def test_what_the_database_refuses_of_it_ends_it_and_says_why(monkeypatch: pytest.MonkeyPatch):
    made = whole_sets.start(frozen("").pk, actor="ada")
    monkeypatch.setattr(code, "digest_of", lambda _consumer: "no text \0 of PostgreSQL's")

    play()

    assert now(made).state == RehearsalState.FAILED
    assert "DataError" in now(made).error or "ValueError" in now(made).error


def test_it_says_when_somebody_has_acted_on_the_set_since():
    operation = frozen("", "")
    rehearsal = rehearsed(operation)
    before = whole_sets.has_changed(rehearsal)

    Message.objects.filter(pk=BulkItem.objects.filter(operation=operation).values("message_id")[:1]).update(revision=7)

    assert (before, whole_sets.has_changed(rehearsal)) == (False, True)


def test_the_chore_takes_it_in_a_thread_and_comes_back_at_once():
    made = whole_sets.start(frozen("", "fail").pk, actor="ada")

    assert background.go_on()
    assert not background.go_on()
    eventually(lambda: now(made).state == RehearsalState.DONE, within=30)


@pytest.mark.usefixtures("at_every_result")
def test_a_preview_stays_while_it_is_rehearsed_however_old_it_is():
    operation = frozen("", "")
    made = whole_sets.start(operation.pk, actor="ada")
    BulkOperation.objects.update(created_at=Now() - 2 * DAY)

    prune()
    play()
    ended = now(made)
    prune()

    assert (ended.state, ended.done) == (RehearsalState.DONE, 2)
    assert not BulkOperation.objects.exists()


def test_it_goes_with_the_preview_that_nobody_has_started():
    operation = frozen("")
    rehearsed(operation)
    BulkOperation.objects.update(created_at=Now() - 2 * DAY)

    prune()

    assert not BulkRehearsal.objects.exists()
    assert not BulkOperation.objects.exists()
