"""Audit entries of any age."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from outbox import audit
from tests.harness.clock import DAY, database_time

YEAR = 365 * DAY


def as_its_owner(sql: str) -> None:
    """Do to the audit what its trigger refuses, as whoever owns the table can."""
    guarded = connection.vendor == "postgresql"
    with transaction.atomic(), connection.cursor() as cursor:
        if guarded:
            cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql)


def append_actions(*ages: timedelta) -> list[int]:
    """Append an action for each of these ages, sealed as if it had been done then; return their ids."""
    return [noted_at(age) for age in ages]


def noted_at(age: timedelta, **fields: Any) -> int:
    """Append an action with these fields, sealed as if it had been done so long ago; return its id."""
    moment = database_time() - age
    values = {
        "actor": "ada",
        "origin": "10.0.0.7",
        "action": "retry",
        "subject": "shop.sold 7 → shop.book",
        "message_id": None if "subject" in fields else 7,
        "before": {},
        "after": {"status": "pending"},
        "reason": "the till is mended",
    }
    with transaction.atomic(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "_database_now", lambda: moment)
        return audit.append(**{**values, **fields}).pk
