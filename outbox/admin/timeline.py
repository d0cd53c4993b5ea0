"""The story of a message: every attempt that did not simply succeed, and everything a person did, in order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from outbox.admin import formats
from outbox.admin.tones import OF_ATTEMPT, Tone
from outbox.models import Attempt, AuditEntry, GroupState, HandledAs, Message, Resolution, Status
from outbox.operate.actions import Action
from outbox.operate.wording import describe_entry as tell_act
from outbox.operate.wording import format_datetime

SHOWN = 100
"""Attempts and acts shown at most; the newest are kept."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the story."""

    at: datetime
    tone: Tone
    title: str
    text: str = ""
    took: timedelta | None = None
    worker: str = ""
    traceback: str = ""
    changes: Sequence[str] = field(default_factory=list)


def attempts_of(message: Message) -> list[Attempt]:
    """Return the newest attempts on record, oldest first."""
    return list(Attempt.objects.filter(message_id=message.pk).order_by("-id")[:SHOWN])[::-1]


def acts_on(message: Message) -> list[AuditEntry]:
    """Return the newest acts on record, oldest first."""
    return list(AuditEntry.objects.filter(message_id=message.pk).order_by("-id")[:SHOWN])[::-1]


def build_timeline(message: Message, attempts: Sequence[Attempt], acts: Sequence[AuditEntry]) -> list[Event]:
    """Return the story from publishing to now."""
    events = [
        Event(message.created_at, Tone.GOOD, _("Published, in the transaction of the business row")),
        *(_attempt_event(attempt) for attempt in attempts),
        *(action_event(entry) for entry in acts),
    ]
    if message.exhausted_at is not None and not any(entry.action == Action.REOPEN for entry in acts[-1:]):
        events.append(Event(message.exhausted_at, Tone.BAD, _("The machine gave up; a person is needed")))
    if message.status == Status.STARTED and message.started_at is not None:
        title = _("Attempt %(number)d: under way") % {"number": message.attempts}
        events.append(Event(message.started_at, Tone.BUSY, title, worker=message.worker))
    if message.status == Status.SUCCESS and not message.resolution and message.finished_at is not None:
        events.append(_success(message, message.finished_at))
    return sorted(events, key=lambda event: event.at)


def _attempt_event(attempt: Attempt) -> Event:
    took = attempt.ended_at - attempt.started_at if attempt.started_at else None
    return Event(
        attempt.ended_at,
        OF_ATTEMPT[attempt.outcome],
        _title(attempt),
        formats.describe_attempt(attempt),
        took=took,
        worker=attempt.worker,
        traceback=attempt.traceback,
    )


def _title(attempt: Attempt) -> str:
    words = {"number": attempt.number, "outcome": attempt.get_outcome_display(), "times": attempt.times}
    if attempt.times > 1:
        return _("Attempt %(number)d: %(outcome)s, %(times)d in a row") % words
    return _("Attempt %(number)d: %(outcome)s") % words


def _success(message: Message, finished_at: datetime) -> Event:
    return Event(
        finished_at,
        Tone.GOOD,
        _("Attempt %(number)d: success") % {"number": message.attempts},
        took=finished_at - message.started_at if message.started_at else None,
        worker=message.worker,
    )


def action_event(entry: AuditEntry) -> Event:
    """Return what a person did, as one line of a story."""
    return Event(entry.at, Tone.PERSON, tell_act(entry), entry.reason, changes=_changes(entry.before, entry.after))


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return what an act changed, ``field: before → after``, leaving out what always changes."""
    told = {
        "status": _("status"),
        "resolution": _("resolution"),
        "handled_as": _("handled as"),
        "evidence": _("evidence"),
        "attempt_limit": _("attempt limit"),
        "paused_until": _("resumes by itself"),
        "state": _("state"),
        "owner": _("owner"),
        "ticket": _("ticket"),
        "note": _("note"),
        "ignored_up_to": _("ignored up to"),
    }
    return [
        f"{label}: {_value(name, before.get(name))} → {_value(name, after.get(name))}"
        for name, label in told.items()
        if before.get(name) != after.get(name)
    ]


def _value(name: str, value: object) -> str:
    if name == "paused_until" and (moment := parse_datetime(str(value))):
        return format_datetime(moment)
    choices = {"status": Status, "resolution": Resolution, "handled_as": HandledAs, "state": GroupState}.get(name)
    if choices is not None and value in choices.values:
        return str(choices(value).label)
    return str(value) if value else "–"
