"""What stands on a message's page: everything a person needs to decide, read in a handful of short queries."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from outbox import registry
from outbox.admin import descriptions, formats, timeline
from outbox.admin.forms import (
    ActionForm,
    AskedRetryForm,
    DiscardForm,
    HandleForm,
    Panel,
    ReopenForm,
    RetryForm,
    lacks_permission,
)
from outbox.admin.messages import diagnosis, listing
from outbox.admin.messages.tabs import Scope
from outbox.models import AuditEntry, ConsumerState, FailureGroup, Message, Resolution, Status
from outbox.models.sql.held_keys import count_behind
from outbox.models.sql.order import OrderOfKey, heads_of
from outbox.monitoring.measurements import CAP
from outbox.operate import Person
from outbox.operate.actions import Action, why_not
from outbox.registry import Consumer

MASK = "•••"
SIBLINGS = 20


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A message and what its page says about it."""

    message: Message
    case: diagnosis.Case
    acts: Sequence[AuditEntry]

    @property
    def form_classes(self) -> list[type[ActionForm]]:
        """The acts that belong to the message's state."""
        if self.message.resolution == Resolution.OVERDUE:
            return []
        if self.message.resolution:
            return [ReopenForm]
        retry = AskedRetryForm if diagnosis.other_side_may_have_acted(self.case) else RetryForm
        return [retry, HandleForm, DiscardForm]

    def form_for(self, act: str) -> type[ActionForm] | None:
        """Return the form of the act of that name, whatever the state; None for an unknown one."""
        retry = AskedRetryForm if diagnosis.other_side_may_have_acted(self.case) else RetryForm
        return next((form for form in (retry, HandleForm, DiscardForm, ReopenForm) if form.act == act), None)


def find_message(message_id: int) -> FoundMessage | None:
    """Read a message and its history; None if it is not there."""
    message = Message.objects.filter(pk=message_id).first()
    if message is None:
        return None
    head = _head_before(message)
    case = diagnosis.Case(
        message=message,
        attempts=timeline.attempts_of(message),
        consumer=registry.get(message.consumer),
        state=ConsumerState.objects.filter(consumer=message.consumer).first(),
        now=timezone.now(),
        head=head,
        behind=_count_behind(message, head),
    )
    return FoundMessage(message, case, timeline.acts_on(message))


def _head_before(message: Message) -> Message | None:
    """Return what comes first of the message's ordering key and is not settled, if that is another."""
    head = heads_of([_order_of(message)]).get(_order_of(message)) if _takes_part(message) else None
    if head is None or head >= message.pk:
        return None
    return Message.objects.filter(pk=head).defer("payload", "headers").first()


def _count_behind(message: Message, head: Message | None) -> int:
    """Count what waits behind the message, if it comes first of its ordering key."""
    if head is not None or not _takes_part(message):
        return 0
    return count_behind(_order_of(message), message.pk, cap=CAP)


def _takes_part(message: Message) -> bool:
    """Tell whether the message has an ordering key and is not settled."""
    return bool(message.ordering_key) and (message.finished_at is None or message.exhausted_at is not None)


def _order_of(message: Message) -> OrderOfKey:
    return OrderOfKey(message.consumer, message.ordering_key)


def revision_of(message_id: int) -> int:
    """Return the revision of a message as it is now, 0 if it is gone."""
    return Message.objects.filter(pk=message_id).values_list("revision", flat=True).first() or 0


def message_context(
    found: FoundMessage, *, user: Person, bound: ActionForm | None, payload: Any, scope: Scope, site: str
) -> dict[str, Any]:
    """Return what the template shows; ``bound`` is a form that was refused, ``payload`` holds the revealed one."""
    message = found.message
    described = descriptions.descriptions([message], site=site).get(message.pk)
    panels = _panels(found, user, bound)
    refusals = {panel.refusal for panel in panels}
    return {
        "message": message,
        "diagnosis": diagnosis.diagnose(found.case),
        "consumer_kind": _consumer_kind(found.case.consumer),
        "last_error": "" if message.resolution else formats.describe_failure(message),
        "moments": _moments(message),
        "described": described,
        "business": described.label if described else f"{message.topic} {message.key}",
        "events": timeline.build_timeline(message, found.case.attempts, found.acts),
        "siblings": _siblings(message),
        "group": _group_of(message, user),
        "panels": panels,
        "common_refusal": refusals.pop() if len(refusals) == 1 else "",
        "revealed": payload is not None,
        "payload": _pretty(message.payload if payload is not None else mask_payload(message.payload)),
        "headers": _pretty(message.headers if payload is not None else mask_payload(message.headers))
        if message.headers
        else "",
        "reveal_refusal": refusal(Action.REVEAL, message, user),
        "next_failed": listing.next_failed(message.pk, scope),
    }


def refusal(act: Action, message: Message, user: Person) -> str:
    """Return why this person cannot do this to this message now; empty if they can. ``operate`` checks it again."""
    if reason := why_not(act, message):
        return reason
    if reason := lacks_permission(act, user):
        return reason
    if act is Action.RETRY and registry.get(message.consumer) is None:
        return _("The running code has no consumer of this name.")
    return ""


def mask_payload(value: Any) -> Any:
    """Return the shape of a JSON value without what it says."""
    match value:
        case dict():
            return {key: mask_payload(item) for key, item in value.items()}
        case list():
            return [mask_payload(item) for item in value]
        case None:
            return None
        case _:
            return MASK


def _panels(found: FoundMessage, user: Person, bound: ActionForm | None) -> list[Panel]:
    """Return the acts of the message's state; one that was refused stays on the page with what was entered."""
    forms: dict[Action, ActionForm] = {} if bound is None else {bound.act: bound}
    for form_class in found.form_classes:
        forms.setdefault(form_class.act, form_class(initial={"revision": found.message.revision}))
    for form in forms.values():
        form.tell_of_others(found.case.behind)
    order = list(Action)
    panels: list[Panel] = []
    for form in sorted(forms.values(), key=lambda form: order.index(form.act)):
        reason = refusal(form.act, found.message, user)
        first_choice = bound is None and not panels and not reason
        panels.append(Panel(form, reason, is_open=form is bound or first_choice))
    return panels


def _group_of(message: Message, user: Person) -> FailureGroup | None:
    """Return the kind of failure that stopped the message, for those who may see it."""
    if not message.failure or message.exhausted_at is None or not user.has_perm("outbox.view_failuregroup"):
        return None
    return FailureGroup.objects.with_totals().filter(pk=message.failure).first()


def _siblings(message: Message) -> list[Message]:
    """Return what else was promised by the same event, to other consumers."""
    rows = Message.objects.filter(key=message.key, topic=message.topic).exclude(pk=message.pk)
    return list(rows.defer("payload", "headers", "last_error").order_by("consumer")[:SIBLINGS])


def _consumer_kind(consumer: Consumer | None) -> str:
    if consumer is None:
        return _("not in the code")
    return _("atomic: effect and status commit together") if consumer.atomic else _("talks to another system")


def _moments(message: Message) -> list[tuple[str, datetime]]:
    """Return the moments of a message's life that are known, each with its name."""
    named = [
        (_("published"), message.created_at),
        (_("last started"), message.started_at),
        (_("not before"), message.not_before if message.status == Status.PENDING else None),
        (_("leased until"), message.lease_until),
        (_("finished"), message.finished_at),
        (_("deadline"), message.expires_at),
    ]
    return [(name, at) for name, at in named if at is not None]


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
