"""Rows as a busy day leaves them: messages of any age in any state, attempts, heartbeats. Each obeys the rules."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.db.models.functions import Now

from outbox.audit import DENIED
from outbox.models import (
    Attempt,
    AttemptOutcome,
    AuditEntry,
    ConsumerState,
    Evidence,
    EvidenceKind,
    HandledAs,
    Heartbeat,
    Message,
    Resolution,
    Status,
)
from outbox.models.audit import AuditEntryQuerySet
from outbox.models.evidence import digest_of
from outbox.policy import Reason
from tests.harness.clock import MINUTE, SECOND, database_time

BOOK, TAKE = "shop.book", "shop.take"
JAMMED = "ValueError: the till is jammed"

_keys = count(1)


@dataclass(frozen=True)
class Rows:
    """Writes the messages of one consumer in any state. ``at`` is when the message came into it; by default now.

    Any field of the message may be given, another ``consumer`` too. A pending message is ``age`` old.
    """

    consumer: str
    topic: str
    attempt_limit: int = 8
    payload: dict[str, Any] = field(default_factory=dict)
    age: timedelta = timedelta(0)
    key: str = ""
    """The key of a message for which none is given; without it, each has a key of its own."""

    def pending(self, key: str = "", *, at: datetime | None = None, **fields: Any) -> Message:
        """Write a message that waits for a worker, as ``publish`` does."""
        at = at or database_time()
        written = at - self.age
        values = {
            "topic": self.topic,
            "consumer": self.consumer,
            "key": key or self.key or f"key {next(_keys)}",
            "payload": self.payload,
            "attempt_limit": self.attempt_limit,
            "created_at": written,
            "not_before": at,
            "due_at": max(at, written + 5 * SECOND),
            "expires_at": at + timedelta(days=7),
        }
        return Message.objects.create(**{**values, **fields})

    def started(self, key: str = "", *, at: datetime | None = None, **fields: Any) -> Message:
        """Write a message that a worker has just begun to handle."""
        at = at or database_time()
        values = {
            "status": Status.STARTED,
            "attempts": 1,
            "started_at": at,
            "lease_until": at + 10 * SECOND,
            "worker": "celery@shop-1",
        }
        return self.pending(key, at=at, **{**values, **fields})

    def success(self, key: str = "", *, at: datetime | None = None, took: timedelta = SECOND, **fields: Any) -> Message:
        """Write a message that was a success at the first attempt, ``took`` after it was written."""
        at = at or database_time()
        values = {
            "status": Status.SUCCESS,
            "attempts": 1,
            "started_at": at - min(took, SECOND),
            "finished_at": at,
        }
        return self.pending(key, at=at - took, **{**values, **fields})

    def failed(self, key: str = "", *, at: datetime | None = None, error: str = JAMMED, **fields: Any) -> Message:
        """Write a message that the machine gave up on."""
        at = at or database_time()
        values = {
            "status": Status.FAILED,
            "attempts": self.attempt_limit,
            "started_at": at,
            "finished_at": at,
            "exhausted_at": at,
            "last_error": error,
            "reason": Reason.NO_TRIES_LEFT,
        }
        return self.pending(key, at=at - SECOND, **{**values, **fields})

    def handled(self, key: str = "", **fields: Any) -> Message:
        """Write a message that failed and that a person has handled."""
        values = {
            "resolution": Resolution.HANDLED,
            "status": Status.SUCCESS,
            "exhausted_at": None,
            "revision": 1,
        }
        message = self.failed(key, **{**values, **fields})
        proof(message)
        return message

    def discarded(self, key: str = "", **fields: Any) -> Message:
        """Write a message that failed and that a person has discarded."""
        return self.failed(key, **{"resolution": Resolution.DISCARDED, "exhausted_at": None, "revision": 1, **fields})


sales = Rows(BOOK, topic="shop.sold")
"""The messages of the shop's books."""


def attempt(
    message: Message,
    number: int = 1,
    outcome: str = AttemptOutcome.FAILED,
    *,
    at: datetime | None = None,
    **fields: Any,
) -> Attempt:
    """Write an attempt that did not simply succeed, and that ended ``at`` or some minutes ago, a later one later."""
    ended = at or database_time() - (5 - number) * MINUTE
    values: dict[str, Any] = {
        "started_at": ended - 2 * SECOND,
        "ended_at": ended,
        "error": JAMMED,
        "worker": "celery@shop-1",
    }
    return Attempt.objects.create(message=message, number=number, outcome=outcome, **{**values, **fields})


def proof(message: Message, text: str = "", **fields: Any) -> Evidence:
    """Write what proves that a message was issued by hand."""
    text = text or f"V-{message.pk}"
    values: dict[str, Any] = {
        "kind": EvidenceKind.ORDER,
        "outcome": HandledAs.ISSUED,
        "actor": "lead",
        "digest": digest_of(text),
    }
    return Evidence.objects.create(message=message, text=text, **{**values, **fields})


def set_consumer(consumer: str, **changes: Any) -> None:
    """Put a consumer into a state."""
    ConsumerState.objects.update_or_create(consumer=consumer, defaults=changes)


def rescanned(ago: timedelta = timedelta(0), **data: Any) -> None:
    """Let the rescan have succeeded so long ago; somebody has looked at the broker then, which is files."""
    Heartbeat.objects.record("rescan", **{"lost": 0, "failed": 0, "sent": 0, "broker_away": False, **data})
    Heartbeat.objects.record("broker", is_amqp=False)
    Heartbeat.objects.filter(name__in=["rescan", "broker"]).update(at=Now() - ago)


def all_is_well() -> None:
    """Let every maintenance job have succeeded just now."""
    rescanned()
    for job in ("prune", "rollup", "alerts", "audit"):
        Heartbeat.objects.record(job)


def acts_done() -> AuditEntryQuerySet:
    """Return the entries of the audit about what was done, without those about what was refused."""
    return AuditEntry.objects.exclude(action=DENIED)
