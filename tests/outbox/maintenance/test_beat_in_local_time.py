"""With local times in the database beat takes its own entries for called in the future; it is kept from that."""

from datetime import UTC, datetime

import pytest

from outbox import tasks
from outbox.broker.queues import celery_app
from outbox.maintenance.schedule import ENTRIES, ensure_entries, wake_beat
from tests.harness import beat
from tests.harness.clock import HOUR
from tests.harness.rows import all_is_well, rescanned

tables = pytest.importorskip("django_celery_beat.models", reason=beat.WHY_NOT)
PeriodicTask, PeriodicTasks = tables.PeriodicTask, tables.PeriodicTasks
ModelEntry = pytest.importorskip("django_celery_beat.schedulers", reason=beat.WHY_NOT).ModelEntry

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched", "link")


@pytest.fixture(autouse=True)
def _in_shanghai(transactional_db, settings):
    """Local times, eight hours ahead of UTC, and entries that were made with them."""
    PeriodicTask.objects.filter(task__startswith="outbox.").delete()
    settings.TIME_ZONE, settings.USE_TZ, settings.DJANGO_CELERY_BEAT_TZ_AWARE = "Asia/Shanghai", False, False
    ensure_entries()
    yield
    PeriodicTask.objects.filter(task__startswith="outbox.").delete()


def entries() -> list[ModelEntry]:
    """Read the entries as beat does when it starts, or when one has changed."""
    found = PeriodicTask.objects.filter(task__startswith="outbox.", enabled=True)
    return [ModelEntry(entry, app=celery_app()) for entry in found]


def due() -> set[str]:
    return {entry.task for entry in entries() if entry.is_due().is_due}


def switch_off_and_on(task: str) -> None:
    """Do what an operator does in the admin."""
    for enabled in (False, True):
        entry = PeriodicTask.objects.get(task=task)
        entry.enabled = enabled
        entry.save()


def test_beat_calls_what_migrate_has_just_made():
    assert due() == {entry.task for entry in ENTRIES}


def test_an_entry_that_was_switched_on_again_is_called_as_soon_as_a_worker_finds_the_rescan_overdue():
    switch_off_and_on("outbox.rescan")
    waits = [entry.is_due() for entry in entries() if entry.task == "outbox.rescan"]
    changed = PeriodicTasks.last_change()
    all_is_well()
    rescanned(HOUR)

    tasks.run_overdue_jobs()

    assert [(is_due, round(wait / 3600)) for is_due, wait in waits] == [(False, 8)]
    assert "outbox.rescan" in due()
    assert PeriodicTasks.last_change() > changed


def test_what_beat_calls_as_it_should_is_left_alone():
    now = datetime.now(UTC).replace(tzinfo=None)
    PeriodicTask.objects.update(last_run_at=now)

    assert wake_beat() == 0


def test_with_time_zones_beat_is_left_alone(settings):
    settings.USE_TZ = True
    PeriodicTask.objects.filter(task="outbox.rescan").update(last_run_at=None)

    assert wake_beat() == 0
