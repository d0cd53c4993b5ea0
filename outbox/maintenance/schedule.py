"""The entries of celery-beat, as rows that operators can see and change in the admin."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connections, router
from django.db.migrations.loader import MigrationLoader
from django.db.models import Q

log = logging.getLogger("outbox.schedule")

RESCAN_TASK = "outbox.rescan"
PRUNE_TASK = "outbox.prune"
ROLL_UP_TASK = "outbox.roll_up"
ALERT_TASK = "outbox.alert"
BULK_TASK = "outbox.bulk"
AUDIT_TASK = "outbox.check_audit"
HALVES_TASK = "outbox.check_back"
BOOKS_TASK = "outbox.books"
SEQUENCES_TASK = "outbox.sequences"

LONG_AGO = datetime(2000, 1, 1)  # as naive as beat's own times are with USE_TZ = False
"""When a chore was last called, said so that beat calls it at once."""


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
        name="outbox: bulk operations",
        task=BULK_TASK,
        every_seconds=1,
        expire_seconds=10,
        description="Goes on with the bulk operations that were started. Workers cover if it stops.",
    ),
    BeatEntry(
        name="outbox: half messages",
        task=HALVES_TASK,
        every_seconds=1,
        expire_seconds=10,
        description="Asks the checks of half messages whose end nobody has heard of. Workers cover if it stops.",
    ),
    BeatEntry(
        name="outbox: alerts",
        task=ALERT_TASK,
        every_seconds=30,
        expire_seconds=30,
        description="Tells people what is newly wrong, or over. Workers cover if it stops.",
    ),
    BeatEntry(
        name="outbox: check of the audit",
        task=AUDIT_TASK,
        every_seconds=10,
        expire_seconds=10,
        description="Checks the audit's chain of hashes once a day, a part at a time. Workers cover if it stops.",
    ),
    BeatEntry(
        name="outbox: books",
        task=BOOKS_TASK,
        every_seconds=60,
        expire_seconds=60,
        description="Compares business rows and messages, each book as often as it says. Workers cover if it stops.",
    ),
    BeatEntry(
        name="outbox: sequences",
        task=SEQUENCES_TASK,
        every_seconds=5,
        expire_seconds=10,
        description="Tells receivers which numbers were given, and which will never come. Workers cover if it stops.",
    ),
]


def ensure_entries(*, using: str = "", **_kwargs: Any) -> None:
    """Make the entries that are missing, after ``migrate``; an operator's change to one stays."""
    if not apps.is_installed("django_celery_beat"):
        return
    if using and using != router.db_for_write(apps.get_model("django_celery_beat", "PeriodicTask")):
        # Another database was migrated; beat's tables may not even exist yet.
        return
    if using and not _are_migrated(using, "django_celery_beat", "outbox"):
        # An app alone was migrated, or ours was taken back; the next migrate that makes both makes the entries.
        return
    for entry in ENTRIES:
        _ensure(entry)


def _are_migrated(using: str, *labels: str) -> bool:
    """Tell whether the tables of these apps are there, as far as their models have come."""
    loader = MigrationLoader(connections[using])
    newest = {node for label in labels for node in loader.graph.leaf_nodes(label)}
    return newest <= loader.applied_migrations.keys()


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
            # Without it beat begins at the time of writing, reads that local time as UTC, and waits for as many hours
            # as it is east of Greenwich.
            **({} if settings.USE_TZ else {"last_run_at": LONG_AGO}),
        },
    )


def wake_beat() -> int:
    """Have beat call the chores that it takes for called hours from now; return how many those are.

    With ``USE_TZ = False`` it reads local times as UTC: that of an entry which a person has switched on again, and with
    DJANGO_CELERY_BEAT_TZ_AWARE all of them whenever it reads them anew.
    """
    if settings.USE_TZ or not apps.is_installed("django_celery_beat"):
        return 0
    ahead = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=1)
    stuck = Q(last_run_at__isnull=True) | Q(last_run_at__gt=ahead)
    ours = apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(
        task__in=[entry.task for entry in ENTRIES], enabled=True
    )
    woken = int(ours.filter(stuck).update(last_run_at=LONG_AGO))
    if woken:
        apps.get_model("django_celery_beat", "PeriodicTasks").update_changed()
        log.warning("beat took %d chores for called in the future, as it reads local times as UTC", woken)
    return woken
