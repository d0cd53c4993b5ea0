"""The story of a message: every attempt that did not simply succeed, and everything a person did, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from outbox import audit
from outbox.admin import formats
from outbox.admin.tones import OF_ATTEMPT, Tone
from outbox.models import Attempt, AuditEntry, BulkItem, Evidence, GroupState, HandledAs, Message, Resolution, Status
from outbox.models.bulk import BulkVerb, ItemResult
from outbox.models.rehearsal import RehearsalStop
from outbox.operate.actions import Action
from outbox.operate.tokens import is_by_token
from outbox.operate.wording import describe_entry as tell_act
from outbox.operate.wording import format_datetime

LEAVE_IT = frozenset({*audit.PASSIVE, audit.DENIED, Action.REVEAL, Action.ACKNOWLEDGE})
"""What the audit notes of a message that is as it was afterwards."""
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
    exchanges: Sequence[tuple[str, str]] = ()
    """Requests of the attempt, each with its answer, as they are to be shown."""


def attempts_of(message: Message) -> list[Attempt]:
    """Return the newest attempts on record, oldest first."""
    return list(Attempt.objects.filter(message_id=message.pk).order_by("-id")[:SHOWN])[::-1]


def acts_on(message: Message) -> list[AuditEntry]:
    """Return the newest acts on record, oldest first."""
    return list(AuditEntry.objects.filter(message_id=message.pk).order_by("-id")[:SHOWN])[::-1]


def bulk_items_of(message: Message) -> list[BulkItem]:
    """Return by which bulk operations something was done to the message, the newest first."""
    if not (message.revision and getattr(message, "has_bulk_items", True)):
        return []
    done = BulkItem.objects.filter(message_id=message.pk, result=ItemResult.DONE).select_related("operation")
    return list(done.order_by("-pk")[:SHOWN])


def build_timeline(
    message: Message,
    attempts: Sequence[Attempt],
    acts: Sequence[AuditEntry],
    evidence: Sequence[Evidence] = (),
    *,
    exchanges: Mapping[int, Sequence[tuple[str, str]]] | None = None,
) -> list[Event]:
    """Return the story from publishing to now. The audit has the seals of the evidence, which has the texts.

    ``exchanges`` are what was said in the attempts, by number; of two rows of one attempt the later one has them.
    """
    said = exchanges or {}
    last_of = {attempt.number: attempt for attempt in attempts}
    texts = {row.seal: row.text for row in evidence if row.text}
    items = bulk_items_of(message)
    events = [
        Event(message.created_at, Tone.GOOD, _written(message)),
        *(
            _attempt_event(attempt, said.get(attempt.number, ()) if last_of[attempt.number] is attempt else ())
            for attempt in attempts
        ),
        *(action_event(entry, texts) for entry in acts),
        *map(_bulk_event, items),
    ]
    if message.exhausted_at is not None and not _is_reopened(message, acts, items):
        events.append(Event(message.exhausted_at, Tone.BAD, _("The machine gave up; a person is needed")))
    if message.status == Status.STARTED and message.started_at is not None:
        title = _("Attempt %(number)d: under way") % {"number": message.attempts}
        events.append(Event(message.started_at, Tone.BUSY, title, worker=message.worker))
    if message.resolution == Resolution.OVERDUE and message.finished_at is not None:
        events.append(Event(message.finished_at, Tone.CLOSED, _("Closed by the machine: its time was over")))
    by_a_person = any(entry.action == Action.WITHDRAW for entry in acts)
    if message.resolution == Resolution.WITHDRAWN and message.finished_at is not None and not by_a_person:
        title = _("Withdrawn by the code, in the transaction of the business row")
        events.append(Event(message.finished_at, Tone.CLOSED, title))
    if message.status == Status.SUCCESS and not message.resolution and message.finished_at is not None:
        unsaid = () if message.attempts in last_of else said.get(message.attempts, ())
        events.append(_success(message, message.finished_at, unsaid))
    return sorted(events, key=lambda event: event.at)


def _is_reopened(message: Message, acts: Sequence[AuditEntry], items: Sequence[BulkItem]) -> bool:
    """Tell whether a person has reopened the message, and nothing has changed it since: the audit has no bulk acts."""
    if items and items[0].revision + 1 == message.revision:
        return items[0].operation.verb == BulkVerb.REOPEN
    changing = [entry for entry in acts if entry.action not in LEAVE_IT]
    return bool(changing) and changing[-1].action == Action.REOPEN


def _bulk_event(item: BulkItem) -> Event:
    """Return what a bulk operation has done to a message; it stands at the moment when a person has started it."""
    operation = item.operation
    title = _("%(actor)s: %(verb)s, in bulk operation %(id)d") % {
        "actor": operation.started_by,
        "verb": operation.get_verb_display(),
        "id": operation.pk,
    }
    return Event(operation.started_at or operation.created_at, Tone.PERSON, title, operation.reason)


def _written(message: Message) -> str:
    if not message.replay:
        return _("Published, in the transaction of the business row")
    return _("Written by a replay of the event, number %(number)d") % {"number": message.replay}


def _attempt_event(attempt: Attempt, exchanges: Sequence[tuple[str, str]]) -> Event:
    took = attempt.ended_at - attempt.started_at if attempt.started_at else None
    return Event(
        attempt.ended_at,
        OF_ATTEMPT[attempt.outcome],
        _title(attempt),
        formats.describe_attempt(attempt),
        took=took,
        worker=attempt.worker,
        traceback=attempt.traceback,
        exchanges=exchanges,
    )


def _title(attempt: Attempt) -> str:
    words = {"number": attempt.number, "outcome": attempt.get_outcome_display(), "times": attempt.times}
    if attempt.times > 1:
        return _("Attempt %(number)d: %(outcome)s, %(times)d in a row") % words
    return _("Attempt %(number)d: %(outcome)s") % words


def _success(message: Message, finished_at: datetime, exchanges: Sequence[tuple[str, str]]) -> Event:
    return Event(
        finished_at,
        Tone.GOOD,
        _("Attempt %(number)d: success") % {"number": message.attempts},
        took=finished_at - message.started_at if message.started_at else None,
        worker=message.worker,
        exchanges=exchanges,
    )


def action_event(entry: AuditEntry, texts: Mapping[str, str] | None = None) -> Event:
    """Return what a person did, as one line of a story; ``texts`` has those of the evidence by their seals."""
    reason = _("What was written here was erased.") if entry.is_erased else entry.reason
    changes = _changes(entry.before, entry.after, texts or {})
    by_token = entry.origin if is_by_token(entry.origin) else ""
    return Event(entry.at, Tone.PERSON, tell_act(entry), reason, worker=by_token, changes=changes)


def _changes(before: dict[str, Any], after: dict[str, Any], texts: Mapping[str, str]) -> list[str]:
    """Return what an act changed, ``field: before → after``, leaving out what always changes."""
    told = {
        "status": _("status"),
        "resolution": _("resolution"),
        "handled_as": _("handled as"),
        "evidence": _("evidence"),
        "attempt_limit": _("attempt limit"),
        "not_before": _("not before"),
        "replayed_as": _("replayed as message"),
        "consumer": _("consumer"),
        "idempotency_key": _("idempotency key"),
        "paused_until": _("resumes by itself"),
        "state": _("state"),
        "owner": _("owner"),
        "ticket": _("ticket"),
        "note": _("note"),
        "text": _("note"),
        "ignored_up_to": _("ignored up to"),
        "merged_into": _("merged into"),
    }
    if "known" in after:
        return [_("the other side: %(answer)s") % {"answer": after.get("said") or _("knows nothing of it")}]
    if "rehearsed" in after:
        return [_rehearsed_in_words(after["rehearsed"])]
    if keys := after.get("changed_keys"):
        told = {**told, "order": _("idempotency key")}
        edited = [_("changed in the payload: %(keys)s") % {"keys": keys}]
    else:
        edited = []
    return edited + [
        f"{label}: {_value(name, before.get(name), texts)} → {_value(name, after.get(name), texts)}"
        for name, label in told.items()
        if before.get(name) != after.get(name)
    ]


def _rehearsed_in_words(verdict: Mapping[str, Any]) -> str:
    """Return what the audit has noted of a rehearsal in a line: how many messages, and what they came to."""
    parts = [_("%(count)d would succeed") % {"count": verdict.get("success", 0)}]
    if others := verdict.get("messages", 0) - verdict.get("success", 0):
        parts.append(_("%(count)d would not") % {"count": others})
    if ended := verdict.get("ended"):
        why = RehearsalStop(ended).label if ended in RehearsalStop.values else ended
        parts.append(_("it ended early: %(why)s") % {"why": why})
    return ", ".join(parts)


def _value(name: str, value: object, texts: Mapping[str, str]) -> str:
    if name == "evidence" and value:
        return texts.get(str(value), _("no longer kept"))
    if name in ("paused_until", "not_before") and (moment := parse_datetime(str(value))):
        return format_datetime(moment)
    if name == "idempotency_key" and value:
        return _("the same") if value == "same" else _("a new one")
    choices = {"status": Status, "resolution": Resolution, "handled_as": HandledAs, "state": GroupState}.get(name)
    if choices is not None and value in choices.values:
        return str(choices(value).label)
    return str(value) if value else "–"
