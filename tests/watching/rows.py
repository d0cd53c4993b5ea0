"""Rows as a busy day leaves them: messages of any age in any state, attempts, heartbeats. Each obeys the rules."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.db.models import F
from django.db.models.functions import Now

from outbox.models import Attempt, ConsumerState, Heartbeat, Message, Resolution, Status

BOOK, TAKE = "shop.book", "shop.take"
_keys = count(1)

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def clock() -> datetime:
    """Read the database's clock."""
    Heartbeat.objects.get_or_create(name="clock")
    return Heartbeat.objects.filter(name="clock").annotate(now=Now()).values_list("now", flat=True).get()


def message(consumer: str = BOOK, *, at: datetime | None = None, **changes: Any) -> Message:
    """Write a pending message as ``publish`` does, at a moment or now."""
    written = at or clock()
    return Message.objects.create(
        **{
            "topic": "shop.sold",
            "consumer": consumer,
            "key": f"key {next(_keys)}",
            "payload": {},
            "attempt_limit": 8,
            "created_at": written,
            "not_before": written,
            "due_at": written + 5 * SECOND,
            "expires_at": written + timedelta(days=7),
            **changes,
        }
    )


def success(at: datetime, consumer: str = BOOK, *, took: timedelta = SECOND, **changes: Any) -> Message:
    """Write a message that was a success at the first attempt, ``took`` after it was written."""
    settled = {"status": Status.SUCCESS, "attempts": 1, "started_at": at, "finished_at": at}
    return message(consumer, at=at - took, **{**settled, **changes})


def failed(at: datetime, consumer: str = BOOK, **changes: Any) -> Message:
    """Write a message that the machine gave up on."""
    given_up = {"status": Status.FAILED, "attempts": 8, "started_at": at, "finished_at": at, "exhausted_at": at}
    return message(consumer, at=at - SECOND, **{**given_up, **changes})


def handled(at: datetime, consumer: str = BOOK) -> Message:
    """Write a message that a person has handled."""
    return failed(at, consumer, status=Status.SUCCESS, exhausted_at=None, resolution=Resolution.HANDLED)


def attempt(of: Message, outcome: str, at: datetime) -> Attempt:
    """Write an attempt that did not simply succeed."""
    return Attempt.objects.create(message=of, number=1, outcome=outcome, started_at=at, ended_at=at)


def rescanned(ago: timedelta = timedelta(0), **data: Any) -> None:
    """Let the rescan have succeeded so long ago."""
    Heartbeat.objects.record("rescan", **{"lost": 0, "failed": 0, "sent": 0, "broker_away": False, **data})
    Heartbeat.objects.filter(name="rescan").update(at=Now() - ago)


def all_is_well() -> None:
    """Let every chore have succeeded just now."""
    rescanned()
    for chore in ("prune", "rollup", "alerts"):
        Heartbeat.objects.record(chore)


def let_pass(span: timedelta, *models: Any) -> None:
    """Let time pass for every time in the tables of ``models``."""
    for model in models:
        times = [field.name for field in model._meta.fields if field.get_internal_type() == "DateTimeField"]
        model.objects.update(**{name: F(name) - span for name in times})


def state(consumer: str, **changes: Any) -> None:
    """Put a consumer into a state."""
    ConsumerState.objects.update_or_create(consumer=consumer, defaults=changes)
