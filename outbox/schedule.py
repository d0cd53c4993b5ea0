"""The entries of celery-beat, as rows that operators can see and change in the admin."""

from typing import Any

from django.apps import apps

from outbox.tasks import RESCAN_TASK

ENTRY = "outbox: rescan"
EXPIRES_SECONDS = 10


def ensure_entries(**_kwargs: Any) -> None:
    """Make the entries that are missing, after ``migrate``; an operator's change to one stays."""
    if not apps.is_installed("django_celery_beat"):
        return
    periodic_task = apps.get_model("django_celery_beat", "PeriodicTask")
    if periodic_task.objects.filter(name=ENTRY).exists():
        return
    interval, _made = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=1, period="seconds"
    )
    periodic_task.objects.get_or_create(
        name=ENTRY,
        defaults={
            "task": RESCAN_TASK,
            "interval": interval,
            "expire_seconds": EXPIRES_SECONDS,
            "description": "Brings back what was lost and sends again what is unfinished. Workers cover if it stops.",
        },
    )
