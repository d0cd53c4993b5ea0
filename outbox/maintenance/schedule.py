"""The entries of celery-beat, as rows that operators can see and change in the admin."""

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import router

RESCAN_TASK = "outbox.rescan"
PRUNE_TASK = "outbox.prune"
ROLL_UP_TASK = "outbox.roll_up"
ALERT_TASK = "outbox.alert"


@dataclass(frozen=True, slots=True)
class BeatEntry:
    """A chore, how often beat calls for it, and after how many seconds an unheard call is void."""

    name: str
    task: str
    every_seconds: int
    expire_seconds: int
    description: str


ENTRIES = [
    BeatEntry(
        name="outbox: rescan",
        task=RESCAN_TASK,
        every_seconds=1,
        expire_seconds=10,
        description="Brings back what was lost and sends again what is unfinished. Workers cover if it stops.",
    ),
    BeatEntry(
        name="outbox: prune",
        task=PRUNE_TASK,
        every_seconds=10,
        expire_seconds=10,
        description='Deletes settled messages older than OUTBOX["KEEP_FINISHED"], never what still needs somebody. '
        "Workers cover if it stops.",
    ),
    BeatEntry(
        name="outbox: roll up",
        task=ROLL_UP_TASK,
        every_seconds=60,
        expire_seconds=60,
        description="Counts the last minutes for charts and metrics, and catches up after a pause. "
        "Workers cover if it stops.",
    ),
    BeatEntry(
        name="outbox: alerts",
        task=ALERT_TASK,
        every_seconds=30,
        expire_seconds=30,
        description="Tells people what is newly wrong, or over. Workers cover if it stops.",
    ),
]


def ensure_entries(*, using: str = "", **_kwargs: Any) -> None:
    """Make the entries that are missing, after ``migrate``; an operator's change to one stays."""
    if not apps.is_installed("django_celery_beat"):
        return
    if using and using != router.db_for_write(apps.get_model("django_celery_beat", "PeriodicTask")):
        # Another database was migrated; beat's tables may not even exist yet.
        return
    for entry in ENTRIES:
        _ensure(entry)


def _ensure(entry: BeatEntry) -> None:
    periodic_task = apps.get_model("django_celery_beat", "PeriodicTask")
    if periodic_task.objects.filter(name=entry.name).exists():
        return
    intervals = apps.get_model("django_celery_beat", "IntervalSchedule").objects
    interval = intervals.filter(every=entry.every_seconds, period="seconds").first()
    periodic_task.objects.get_or_create(
        name=entry.name,
        defaults={
            "task": entry.task,
            "interval": interval or intervals.create(every=entry.every_seconds, period="seconds"),
            "expire_seconds": entry.expire_seconds,
            "description": entry.description,
        },
    )
