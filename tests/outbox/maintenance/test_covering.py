"""Workers do the chores that beat leaves undone, with beat's tables and without."""

from datetime import timedelta

import pytest

from outbox import tasks
from outbox.maintenance.schedule import ENTRIES
from outbox.models import Heartbeat
from outbox.monitoring import planned
from tests.harness.clock import HOUR, MINUTE, database_time
from tests.harness.rows import all_is_well
from tests.outbox.maintenance.covering import COVERS

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched", "link")


def test_the_chores_are_those_that_migrate_makes_entries_for():
    made = {entry.task: timedelta(seconds=entry.every_seconds) for entry in ENTRIES}

    assert {chore.task: chore.every for chore in planned.CHORES.values()} == made


@pytest.mark.parametrize("name", COVERS)
def test_a_worker_does_every_chore_that_beat_has_not_had_done_for_too_long(name):
    all_is_well()
    before = COVERS[name]()
    Heartbeat.objects.update(at=database_time() - 10 * MINUTE)

    assert (before, COVERS[name](), COVERS[name]()) == (False, True, False)
    assert Heartbeat.objects.ran_within(name, MINUTE)


def test_every_chore_that_is_overdue_is_done_by_one_look_of_a_worker():
    all_is_well()
    Heartbeat.objects.update(at=database_time() - HOUR)

    tasks.run_overdue_jobs()

    assert [name for name in COVERS if not Heartbeat.objects.ran_within(name, MINUTE)] == []


@pytest.mark.parametrize(("running_for", "is_told"), [(2, False), (60, True)])
def test_that_beat_calls_nobody_is_told_once_it_has_had_the_time_that_a_start_takes(
    monkeypatch, caplog, running_for, is_told
):
    caplog.set_level("INFO", "outbox.tasks")
    all_is_well()
    Heartbeat.objects.update(at=database_time() - HOUR)
    monkeypatch.setattr(tasks, "STARTED_AT", tasks.monotonic() - running_for)

    tasks.run_overdue_jobs()

    assert ("was overdue and was done by a worker" in caplog.text) is is_told
    assert Heartbeat.objects.ran_within("rescan by a worker", MINUTE)
