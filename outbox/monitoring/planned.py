"""What is set in the admin for the engine's chores: how often each is called, or that it is switched off.

That is django-celery-beat's table, where the host has it; without it, or without an entry for a chore, the chore is
expected as often as ``migrate`` would have it called. Whoever covers for beat goes by the same answer.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import DatabaseError
from django.utils import timezone

from outbox.models import Heartbeat
from outbox.monitoring.measurements import Planned

log = logging.getLogger("outbox.planned")

DAY = timedelta(days=1)
GAPS = 7
"""Calls by a crontab that are looked at, to find the longest time between two."""


@dataclass(frozen=True, slots=True)
class Chore:
    """A chore's task, and how often beat calls for it unless somebody has set something else."""

    task: str
    every: timedelta


CHORES = {
    "rescan": Chore("outbox.rescan", timedelta(seconds=1)),
    "prune": Chore("outbox.prune", timedelta(seconds=10)),
    "rollup": Chore("outbox.roll_up", timedelta(minutes=1)),
    "alerts": Chore("outbox.alert", timedelta(seconds=30)),
    "bulk": Chore("outbox.bulk", timedelta(seconds=1)),
    "halves": Chore("outbox.check_back", timedelta(seconds=1)),
    "audit": Chore("outbox.check_audit", timedelta(seconds=10)),
    "books": Chore("outbox.books", timedelta(minutes=1)),
    "sequences": Chore("outbox.sequences", timedelta(seconds=5)),
}
"""The chores under the names of their heartbeats."""


def read_plans(*, with_who: bool = False) -> Mapping[str, Planned]:
    """Return, by chore, what its entry in beat's tables says: how often it is called, or that it is switched off.

    ``with_who`` adds who has last changed an entry that is switched off. Without those tables nothing is set.
    """
    if not apps.is_installed("django_celery_beat"):
        return dict.fromkeys(CHORES, Planned())
    entries = apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(
        task__in=[chore.task for chore in CHORES.values()]
    )
    try:
        found = list(entries.select_related("interval", "crontab").order_by("pk"))
    except DatabaseError as error:
        # Its tables may be on another database, which is away or was never migrated: the chores must go on.
        log.warning("what is set for the chores cannot be read: %s", type(error).__name__)
        found = []
    return {
        name: _plan(chore, [entry for entry in found if entry.task == chore.task], with_who=with_who)
        for name, chore in CHORES.items()
    }


def must_take_over(name: str, *, after: timedelta, turn: str = "") -> bool:
    """Tell whether this worker must do the chore ``name``, as beat does not: its last success is ``after`` ago or more.

    Where a longer interval is set, it may be late by as much more. With ``turn``, a heartbeat of that name, only one of
    the workers that ask gets True; the others get False until that time has passed again. Nobody takes over what a
    person has switched off.
    """
    if Heartbeat.objects.ran_within(name, after):
        return False
    plan = read_plans()[name]
    overdue = after + plan.later
    if plan.switched_off or (plan.later and Heartbeat.objects.ran_within(name, overdue)):
        return False
    return not turn or Heartbeat.objects.claim(turn, every=overdue)


def _plan(chore: Chore, entries: Iterable[Any], *, with_who: bool) -> Planned:
    entries = list(entries)
    enabled = [entry for entry in entries if entry.enabled]
    if enabled:
        return Planned(later=max(min(map(_every, enabled)) - chore.every, timedelta(0)))
    if not entries:
        return Planned()
    who, ago = _last_change(entries[0].pk) if with_who else ("", None)
    return Planned(switched_off=entries[0].name, changed_by=who, changed_ago=ago)


def _every(entry: Any) -> timedelta:
    """Return the time between two calls, at most; what the sun or a single date sets off counts as once a day."""
    if entry.interval is not None:
        return timedelta(**{entry.interval.period: entry.interval.every})
    if entry.crontab is None:
        return DAY
    schedule, at, longest = entry.crontab.schedule, timezone.now(), timedelta(0)
    if timezone.is_naive(at):
        at = timezone.make_aware(at)
    for _ in range(GAPS):
        following = _next_call(schedule, at)
        longest, at = max(longest, following - at), following
    return longest


def _next_call(schedule: Any, at: datetime) -> datetime:
    began, wait, _now = schedule.remaining_delta(at)
    return began + wait  # type: ignore[no-any-return]  # Celery's, without types


def _last_change(entry: int) -> tuple[str, timedelta | None]:
    """Return who has last changed the entry in the admin, and how long ago; nobody, if the admin does not know."""
    if not apps.is_installed("django.contrib.admin"):
        return "", None
    changes = apps.get_model("admin", "LogEntry").objects.filter(
        content_type__app_label="django_celery_beat", content_type__model="periodictask", object_id=str(entry)
    )
    last = changes.select_related("user").order_by("-action_time").first()
    return ("", None) if last is None else (last.user.get_username(), timezone.now() - last.action_time)
