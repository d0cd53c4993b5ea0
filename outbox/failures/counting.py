"""Counting failures by kind, after the handling transaction and without a hot row.

A counter is written once per chunk and kind, in one of sixteen slots by process id, and with it that of the hour; a
group's row itself is only touched when the kind is new to the process, or comes back after it was said to be fixed.
What people have merged is counted apart and read together, so that nobody who counts need know of it.
"""

import logging
import os
from collections import Counter
from collections.abc import Mapping
from time import monotonic

from django.db import DatabaseError, InterfaceError, connections
from django.db.models import F

from outbox.conf import conf
from outbox.failures.fingerprint import Fingerprint
from outbox.memory import Memory
from outbox.models.failure import THIS_HOUR, FailureGroup, GroupState

log = logging.getLogger("outbox.failures")

SLOTS = 16
RECHECK_SECONDS = 10.0
"""Seconds after which a process looks again whether a group it knows was said to be fixed."""

COUNT = """
INSERT INTO outbox_failurecount (group_id, slot, count, last_at) VALUES (%s, %s, %s, CURRENT_TIMESTAMP)
ON CONFLICT (group_id, slot) DO UPDATE SET count = outbox_failurecount.count + excluded.count,
    last_at = excluded.last_at
"""
COUNT_HOUR = """
INSERT INTO outbox_failurehour (group_id, hour, slot, count) VALUES (%s, {hour}, %s, %s)
ON CONFLICT (group_id, hour, slot) DO UPDATE SET count = outbox_failurehour.count + excluded.count
"""

_known_at: Memory[dict[str, float]] = Memory(dict)


def count_failures(failures: Mapping[Fingerprint, int]) -> None:
    """Count the failures of each group. These are statistics only: if that fails, it is logged and stops nobody."""
    try:
        for failure in sorted(failures, key=lambda each: each.digest):
            _ensure_open(failure)
            _add_to_count(failure.digest, failures[failure])
    except (DatabaseError, InterfaceError):
        _known_at.value.clear()
        log.exception("%d failures were not counted", Counter(failures).total())


def _ensure_open(failure: Fingerprint) -> None:
    """Make the group if it is new; open it again as a regression if it was said to be fixed."""
    if monotonic() - _known_at.value.get(failure.digest, float("-inf")) < RECHECK_SECONDS:
        return
    _group, made = FailureGroup.objects.get_or_create(
        fingerprint=failure.digest,
        defaults={
            "consumer": failure.consumer,
            "exception": failure.exception[:200],
            "place": failure.place,
            "reason": failure.reason,
            "title": failure.title or failure.exception or "?",
        },
    )
    stands_for_it = FailureGroup.objects.filter(pk=failure.digest).standing_for()
    fixed = FailureGroup.objects.filter(pk__in=stands_for_it, state=GroupState.FIXED)
    if not made and fixed.update(state=GroupState.NEW, regressions=F("regressions") + 1):
        log.warning("what was fixed has come back: %s: %s", failure.consumer, failure.title)
    _known_at.value[failure.digest] = monotonic()


def _add_to_count(digest: str, failures: int) -> None:
    connection = connections[conf().database]
    values: list[str | int] = [digest, os.getpid() % SLOTS, failures]
    in_this_hour = COUNT_HOUR.format(hour=THIS_HOUR[connection.vendor])
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"WITH hourly AS ({in_this_hour}) {COUNT}", values * 2)
        else:
            cursor.execute(in_this_hour, values)
            cursor.execute(COUNT, values)
