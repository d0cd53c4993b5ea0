"""What the pages of bulk operations show: state, figures, the preview in words, results, history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox.admin import formats
from outbox.admin.json_text import as_json
from outbox.admin.messages.masking import mask_payload
from outbox.admin.timeline import Event, action_event
from outbox.admin.tones import Tone
from outbox.bulk import editing, operations, preview, progress, selection
from outbox.bulk.selection import Selection
from outbox.models import AuditEntry, BulkItem, BulkOperation, Message
from outbox.models.bulk import BulkState, BulkVerb, FirstOutcome, ItemResult, Why
from outbox.operate.actions import BULK_STATE
from outbox.operate.patch import Patch

TONES: Mapping[str, Tone] = {
    BulkState.DRAFT: Tone.WAIT,
    BulkState.WAITING: Tone.WAIT,
    BulkState.CANARY: Tone.BUSY,
    BulkState.RUNNING: Tone.BUSY,
    BulkState.SUSPENDED: Tone.WAIT,
    BulkState.PAUSED: Tone.WAIT,
    BulkState.STOPPED: Tone.BAD,
    BulkState.DONE: Tone.GOOD,
    BulkState.CANCELLED: Tone.CLOSED,
}
HISTORY = 50
ROWS = 50
"""Rows of one result that are shown."""


@dataclass(frozen=True, slots=True)
class Summary:
    """An operation as a list shows it."""

    operation: BulkOperation
    tone: Tone
    words: str
    progress: progress.Progress
    waits_for: str = ""

    @property
    def headline(self) -> str:
        """What is done to how many, in one line."""
        return headline(self.operation)

    @property
    def eta(self) -> timedelta | None:
        """About how long it takes until every message has had its turn."""
        seconds = self.progress.eta_seconds
        return None if seconds is None else timedelta(seconds=seconds)

    @property
    def had_turn(self) -> int:
        """How many have had their turn."""
        return self.progress.done + self.progress.refused


@dataclass(frozen=True, slots=True)
class Figure:
    """One count of an operation, and the address of the rows behind it."""

    label: str
    count: int
    show: str = ""


def summarize(operation: BulkOperation) -> Summary:
    """Return the operation with its figures and what it waits for."""
    return Summary(
        operation,
        TONES[operation.state],
        selection.describe(operation.source),
        progress.measure(operation, now=timezone.now()),
        progress.waits_for(operation),
    )


def headline(operation: BulkOperation) -> str:
    """Return what is done to how many, in one line."""
    todo = operation.total - operation.left_out
    match operation.verb:
        case BulkVerb.RETRY:
            text = ngettext("Retry %(count)d message", "Retry %(count)d messages", todo)
        case BulkVerb.EDIT:
            text = ngettext("Edit and retry %(count)d message", "Edit and retry %(count)d messages", todo)
        case BulkVerb.HANDLE:
            text = ngettext("Mark %(count)d message as handled", "Mark %(count)d messages as handled", todo)
        case BulkVerb.DISCARD:
            text = ngettext("Discard %(count)d message", "Discard %(count)d messages", todo)
        case _:
            text = ngettext("Reopen %(count)d message", "Reopen %(count)d messages", todo)
    return text % {"count": todo}


def figures(operation: BulkOperation) -> list[Figure]:
    """Return the counts that say how it went; those that lead to rows name them."""
    shown = [
        Figure(_("Done"), operation.done, "done"),
        Figure(_("Not done yet"), operation.remaining, "todo"),
        Figure(_("Refused"), operation.refused, "refused"),
        Figure(_("Left out"), operation.left_out, "left_out"),
    ]
    if operation.retries:
        shown[1:1] = [
            Figure(_("Succeeded"), operation.succeeded, "succeeded"),
            Figure(_("Failed again"), operation.failed_again, "failed"),
            Figure(_("No outcome yet"), operation.awaited, "awaited"),
            *([Figure(_("Not ready"), operation.not_ready, "not_ready")] if operation.not_ready else []),
            *([Figure(_("Changed by others since"), operation.overtaken, "overtaken")] if operation.overtaken else []),
        ]
    return shown


def rows(operation: BulkOperation, shown: str) -> list[tuple[BulkItem, Message | None, str]]:
    """Return the first items behind a figure with their messages, and why each was left out or refused."""
    items = BulkItem.objects.of(operation)
    match shown:
        case "todo":
            items = items.todo()
        case "awaited":
            items = items.awaited()
        case ItemResult.DONE | ItemResult.REFUSED | ItemResult.LEFT_OUT:
            items = items.filter(result=shown)
        case value if value in FirstOutcome.values:
            items = items.filter(outcome=value)
        case _other:
            return []
    found = list(items.order_by("pk")[:ROWS])
    messages = Message.objects.defer("payload", "headers").in_bulk([item.message_id for item in found])
    return [(item, messages.get(item.message_id), _said(item)) for item in found]


def _said(item: BulkItem) -> str:
    """Return why the item was left out or refused: in the words of the business, if it has said any."""
    return item.said or (str(Why(item.why).label) if item.why else "")


def refused_by_why(operation: BulkOperation) -> list[tuple[str, int]]:
    """Return how many were refused, by why."""
    if not operation.refused or operation.items_pruned_at:
        return []
    counted = BulkItem.objects.of(operation).filter(result=ItemResult.REFUSED).values_list("why")
    return [(str(Why(why).label), many) for why, many in counted.annotate(many=Count("pk")).order_by("-many")]


def shape_of(chosen: Selection) -> str:
    """Return what the first payload of a selection looks like, without what it says."""
    first = chosen.messages.order_by("pk").first()
    return "" if first is None else as_json(mask_payload(first.payload))


def samples(operation: BulkOperation) -> Sequence[Message]:
    """Return some messages of the set, as they are now."""
    ids = operation.preview.get("samples", [])
    found = Message.objects.defer("payload", "headers").in_bulk(ids)
    return [found[id] for id in ids if id in found]


def fits(operation: BulkOperation, samples: Sequence[Message]) -> list[tuple[Message, str]]:
    """Return each sample of an edit, with why the change does not fit its payload as it is now; empty if it fits."""
    if operation.verb != BulkVerb.EDIT or operation.started_at is not None:
        return [(message, "") for message in samples]
    whole = Message.objects.in_bulk([message.pk for message in samples])
    said = editing.try_patch(operation, whole)
    return [(message, said.get(message.pk, "")) for message in samples]


def settings(operation: BulkOperation) -> list[tuple[str, Any]]:
    """Return how it was started, and by whom, in words."""
    said: list[tuple[str, Any]] = [(_("Prepared by"), operation.created_by)]
    if worth := preview.worth(operation.preview):
        said.insert(0, (_("At stake"), formats.format_worth(worth)))
    if operation.started_by:
        said.append((_("Started by"), operation.started_by))
        said.append((_("Reason"), operation.reason))
        said.append((_("Rate"), _("%(rate)d per second") % {"rate": operation.rate} if operation.rate else _("full")))
    if operation.approved_by:
        said.append((_("Approved by"), operation.approved_by))
    if operation.canary_size:
        said.append((_("Tried first"), operation.canary_size))
    if operation.stop_percent is not None:
        said.append((_("Stops"), _("above %(percent)d %% failed again") % {"percent": operation.stop_percent}))
    if operation.evidence:
        said.append((_("Evidence"), f"{operation.get_handled_as_display()}: {operation.evidence}"))
    said.append((_("Digest of the set"), operation.digest[:16]))
    return said


def history(operation: BulkOperation) -> list[Event]:
    """Return what people did to it and what it did itself, newest first."""
    return [_event(entry) for entry in operations.history(operation)[:HISTORY]]


def _event(entry: AuditEntry) -> Event:
    """Return an entry as a line of the story; a state of an operation is no state of a failure group."""
    event = action_event(entry)
    if entry.action == BULK_STATE:
        event = replace(event, tone=Tone.QUIET)
    if entry.is_erased or "rehearsed" in entry.after:
        return event
    labels = {value: str(label) for value, label in BulkState.choices}
    before, after = (labels.get(noted.get("state"), "–") for noted in (entry.before, entry.after))
    return replace(event, changes=[f"{before} → {after}"])


def changes_in_words(operation: BulkOperation, *, with_values: bool) -> list[str]:
    """Return what an edit changes in every payload, a line a key; the keys alone ``with_values=False``."""
    patch = Patch.from_json(operation.patch)
    return patch.in_words() if with_values else patch.paths


def counts_in_words(operation: BulkOperation) -> list[tuple[str, list[tuple[str, int]]]]:
    """Return the preview by consumer, reason, age and what is left out."""
    return preview.in_words(operation.preview)
