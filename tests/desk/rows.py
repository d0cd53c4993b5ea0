"""Messages in every state an operator can meet, each obeying the table's own rules."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission, User
from django.utils import timezone

from outbox.models import (
    Attempt,
    AttemptOutcome,
    FailureCount,
    FailureGroup,
    HandledAs,
    Message,
    Resolution,
    Status,
)
from outbox.policy import Reason

LIMIT = 3
ISSUE, ORDER = "desk.issue", "desk.order"
TOPIC = "desk.won"


def pending(key: str = "1", **fields: Any) -> Message:
    now = timezone.now()
    values: dict[str, Any] = {
        "topic": TOPIC,
        "consumer": ISSUE,
        "key": key,
        "payload": {"award": 17, "winner": "ada@example.com", "lines": [1, None]},
        "attempt_limit": LIMIT,
        "created_at": now - timedelta(minutes=6),
        "due_at": now,
        "not_before": now,
        "expires_at": now + timedelta(days=7),
    }
    return Message.objects.create(**{**values, **fields})


def started(key: str = "1", **fields: Any) -> Message:
    now = timezone.now()
    values = {
        "status": Status.STARTED,
        "attempts": 1,
        "started_at": now,
        "lease_until": now + timedelta(seconds=10),
        "worker": "celery@shop-1",
    }
    return pending(key, **{**values, **fields})


def success(key: str = "1", **fields: Any) -> Message:
    now = timezone.now()
    values = {"status": Status.SUCCESS, "attempts": 1, "started_at": now - timedelta(seconds=1), "finished_at": now}
    return pending(key, **{**values, **fields})


def failed(key: str = "1", *, error: str = "ValueError: the till is jammed", **fields: Any) -> Message:
    now = timezone.now()
    values = {
        "status": Status.FAILED,
        "attempts": LIMIT,
        "finished_at": now,
        "exhausted_at": now,
        "last_error": error,
        "reason": Reason.NO_TRIES_LEFT,
    }
    return pending(key, **{**values, **fields})


def handled(key: str = "1", **fields: Any) -> Message:
    values = {
        "resolution": Resolution.HANDLED,
        "status": Status.SUCCESS,
        "exhausted_at": None,
        "handled_as": HandledAs.ISSUED,
        "evidence": "V-1",
        "revision": 1,
    }
    return failed(key, **{**values, **fields})


def discarded(key: str = "1", **fields: Any) -> Message:
    return failed(key, **{"resolution": Resolution.DISCARDED, "exhausted_at": None, "revision": 1, **fields})


def attempt(message: Message, number: int, outcome: str = AttemptOutcome.FAILED, **fields: Any) -> Attempt:
    ended = timezone.now() - timedelta(minutes=5 - number)
    values: dict[str, Any] = {
        "started_at": ended - timedelta(seconds=2),
        "ended_at": ended,
        "error": "ValueError: the till is jammed",
        "worker": "celery@shop-1",
    }
    return Attempt.objects.create(message=message, number=number, outcome=outcome, **{**values, **fields})


def group(name: str = "jam", *, failures: int = 1, stuck: int = 0, **fields: Any) -> FailureGroup:
    """Make a kind of failure with so many failed attempts, in two slots, and so many messages that are stuck."""
    fingerprint = name.ljust(64, "-")
    values = {"consumer": ISSUE, "exception": "ValueError", "place": "shop/till.py:open", "title": f"the {name} jams"}
    made = FailureGroup.objects.create(fingerprint=fingerprint, **{**values, **fields})
    now = timezone.now()
    made.counts.create(slot=1, count=failures - failures // 2, last_at=now - timedelta(hours=1))
    FailureCount.objects.create(group=made, slot=2, count=failures // 2, last_at=now)
    for n in range(stuck):
        failed(f"{name} {n}", consumer=made.consumer, failure=fingerprint)
    return made


def user(name: str, *permissions: str, **fields: Any) -> User:
    person = User.objects.create_user(name, password="secret", is_staff=True, **fields)
    person.user_permissions.set(Permission.objects.filter(content_type__app_label="outbox", codename__in=permissions))
    return person
