"""What stands on a message's page: everything a person needs to decide, read in a handful of short queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _

from outbox import registry
from outbox.admin import descriptions, formats, timeline
from outbox.admin.failures import groups
from outbox.admin.forms import Panel, lacks_permission
from outbox.admin.json_text import as_json
from outbox.admin.messages import diagnosis, listing
from outbox.admin.messages.forms import (
    AcknowledgeForm,
    ActionForm,
    AskedRetryForm,
    DiscardForm,
    HandleForm,
    HurryForm,
    IssuedRetryForm,
    ReopenForm,
    ReplayForm,
    RetryForm,
    WithdrawForm,
)
from outbox.admin.messages.masking import exchanges_of, mask_payload
from outbox.admin.messages.queue import ListAround
from outbox.declared import Consumer
from outbox.external.sequences.explaining import number_of
from outbox.models import (
    AuditEntry,
    AwaitedReceipt,
    BulkItem,
    ConsumerState,
    Evidence,
    EvidenceKind,
    HandledAs,
    Message,
    PayloadVersion,
    Resolution,
    Status,
)
from outbox.models.exchange import exchanges_as_json
from outbox.models.sql.held_keys import place_of
from outbox.monitoring.measurements import CAP
from outbox.operate import Person, receivers_of_replays
from outbox.operate.actions import Action, why_not

SIBLINGS = 20
VERSIONS = 20
"""Earlier payloads shown at most."""


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A message and what its page says about it."""

    message: Message
    case: diagnosis.Case
    acts: Sequence[AuditEntry]
    behind: Sequence[int] = ()
    """The first of those that wait behind it by its ordering key."""

    @property
    def form_classes(self) -> list[type[ActionForm]]:
        """The acts that belong to the message's state."""
        return [*([AcknowledgeForm] if self.case.doubled is not None else []), *self._forms_of_state]

    @property
    def _forms_of_state(self) -> list[type[ActionForm]]:
        if self.message.status == Status.PENDING:
            return [HurryForm, WithdrawForm]
        if self.message.resolution in (Resolution.HANDLED, Resolution.DISCARDED):
            return [ReopenForm, ReplayForm]
        if self.message.finished_at is not None and self.message.exhausted_at is None:
            return [ReplayForm]
        return [self.retry_form, HandleForm, DiscardForm]

    @property
    def retry_form(self) -> type[RetryForm]:
        """The form that asks for what must be known before a retry."""
        if self.case.issued_by is not None:
            return IssuedRetryForm
        return AskedRetryForm if diagnosis.other_side_may_have_acted(self.case) else RetryForm

    def form_for(self, act: str) -> type[ActionForm] | None:
        """Return the form of the act of that name, whatever the state; None for an unknown one."""
        closing = (self.retry_form, HandleForm, DiscardForm, ReopenForm, AcknowledgeForm)
        known = (*closing, HurryForm, WithdrawForm, ReplayForm)
        return next((form for form in known if form.act == act), None)


def find_message(message_id: int) -> FoundMessage | None:
    """Read a message and its history; None if it is not there."""
    versions = Exists(PayloadVersion.objects.filter(message_id=OuterRef("pk")))
    items = Exists(BulkItem.objects.filter(message_id=OuterRef("pk")))
    rows = Message.objects.filter(pk=message_id).select_related("note")
    message = rows.annotate(was_edited=versions, has_bulk_items=items, said=exchanges_as_json()).first()
    if message is None:
        return None
    evidence = list(Evidence.objects.filter(message=message).order_by("at", "id")) if _may_have_any(message) else []
    place = place_of(message.pk, cap=CAP) if _takes_part(message) else None
    head = Message.objects.filter(pk=place.head).defer("payload", "headers").first() if place and place.head else None
    case = diagnosis.Case(
        message=message,
        attempts=timeline.attempts_of(message),
        consumer=registry.get(message.consumer),
        state=ConsumerState.objects.filter(consumer=message.consumer).first(),
        now=timezone.now(),
        head=head,
        doubled=next((each for each in evidence if each.is_doubled(message)), None),
        evidence=evidence,
        behind=place.behind if place else 0,
        awaited=_awaited(message),
    )
    return FoundMessage(message, case, timeline.acts_on(message), place.first_behind if place else ())


def _may_have_any(message: Message) -> bool:
    """Tell whether there may be evidence: nobody has closed what no operator has changed and code has not withdrawn."""
    return bool(message.revision or message.resolution)


def _awaited(message: Message) -> AwaitedReceipt | None:
    """Return whose receipt is waited for, if its consumer is a forward that waits for any."""
    consumer = registry.get(message.consumer)
    if consumer is None or consumer.receipt is None:
        return None
    return AwaitedReceipt.objects.filter(message=message).first()


def _takes_part(message: Message) -> bool:
    """Tell whether the message has an ordering key and is not settled."""
    return bool(message.ordering_key) and (message.finished_at is None or message.exhausted_at is not None)


def message_context(
    found: FoundMessage,
    *,
    user: Person,
    bound: ActionForm | None,
    payload: Any,
    around: ListAround,
    site: str,
    group: groups.GroupOfMessage | None = None,
    proof: str = "",
) -> dict[str, Any]:
    """Return what the template shows.

    ``bound`` is a form that was refused, ``payload`` holds the revealed one, ``proof`` is what the other side has.
    ``around`` is the list from which somebody has come.
    """
    message = found.message
    described = descriptions.descriptions([message], site=site, reader=user).get(message.pk)
    panels = _panels(found, user, bound, proof)
    refusals = {panel.refusal for panel in panels}
    return {
        "message": message,
        "diagnosis": diagnosis.diagnose(found.case),
        "consumer_kind": _consumer_kind(found.case.consumer),
        "numbered": number_of(message.pk) if found.case.consumer is not None and found.case.consumer.relay else None,
        "last_error": "" if message.resolution else formats.describe_failure(message),
        "moments": _moments(message),
        "described": described,
        "business": described.label if described else f"{message.topic} {message.key}",
        "events": timeline.build_timeline(
            message,
            found.case.attempts,
            found.acts,
            found.case.evidence,
            exchanges=exchanges_of(message, revealed=payload is not None),
        ),
        "evidence": found.case.evidence,
        "head": found.case.head,
        "behind": found.behind,
        "more_behind": max(0, found.case.behind - len(found.behind)),
        "siblings": _siblings(message),
        "group": group.root if group else None,
        "group_total": group.total if group else 0,
        "panels": panels,
        "common_refusal": refusals.pop() if len(refusals) == 1 else "",
        "revealed": payload is not None,
        "payload": as_json(message.payload if payload is not None else mask_payload(message.payload)),
        "headers": as_json(message.headers if payload is not None else mask_payload(message.headers))
        if message.headers
        else "",
        "earlier": [
            (version, as_json(version.payload if payload is not None else mask_payload(version.payload)))
            for version in _earlier(message)
        ],
        "reveal_refusal": refusal(Action.REVEAL, message, user),
        "next_failed": listing.next_failed(message.pk, around.scope, turned=around.is_turned),
    }


def refusal(act: Action, message: Message, user: Person) -> str:
    """Return why this person cannot do this to this message now; empty if they can. ``operate`` checks it again."""
    if reason := why_not(act, message):
        return reason
    if reason := lacks_permission(act, user):
        return reason
    if act is Action.RETRY and registry.get(message.consumer) is None:
        return _("The running code has no consumer of this name.")
    if act is Action.REPLAY and not receivers_of_replays(message.topic):
        return _("No consumer that listens to the topic can be called twice for an event.")
    return ""


def _panels(found: FoundMessage, user: Person, bound: ActionForm | None, proof: str) -> list[Panel]:
    """Return the acts of the message's state; one that was refused stays on the page with what was entered."""
    forms: dict[Action, ActionForm] = {} if bound is None else {bound.act: bound}
    for form_class in found.form_classes:
        forms.setdefault(form_class.act, form_class(initial=_initial(found, form_class, proof)))
    for form in forms.values():
        form.tell_of_evidence(found.case.issued_by)
        form.tell_of_business(found.case.consumer)
        form.fit_to(found.message)
        form.tell_of_others(found.case.behind)
    order = [Action.ACKNOWLEDGE, *Action]
    panels: list[Panel] = []
    for form in sorted(forms.values(), key=lambda form: order.index(form.act)):
        reason = refusal(form.act, found.message, user)
        advised = not reason and form.opens and not isinstance(form, IssuedRetryForm)
        if proof:
            advised = not reason and isinstance(form, HandleForm)
        first_choice = bound is None and advised and not any(panel.is_open for panel in panels)
        panels.append(Panel(form, reason, is_open=form is bound or first_choice))
    return panels


def _initial(found: FoundMessage, form_class: type[ActionForm], proof: str) -> dict[str, Any]:
    """Return what a form begins with; that of what is handled has what the other side said it has."""
    initial: dict[str, Any] = {"revision": found.message.revision}
    if proof and form_class is HandleForm:
        initial |= {"outcome": HandledAs.ISSUED, "kind": EvidenceKind.ORDER, "evidence": proof}
    return initial


def find_group_of(message: Message, user: Person) -> groups.GroupOfMessage | None:
    """Return the failure group that stopped the message, for those who may see it."""
    if not message.failure or message.exhausted_at is None or not user.has_perm("outbox.view_failuregroup"):
        return None
    return groups.find_group_of(message)


def _earlier(message: Message) -> list[PayloadVersion]:
    """Return the payloads that the message had before it was edited, the newest first."""
    if not getattr(message, "was_edited", False):
        return []
    return list(PayloadVersion.objects.filter(message=message).order_by("-revision")[:VERSIONS])


def _siblings(message: Message) -> list[Message]:
    """Return the messages of the same event to other consumers."""
    rows = Message.objects.filter(key=message.key, topic=message.topic).exclude(pk=message.pk)
    return list(rows.defer("payload", "headers", "last_error").order_by("consumer")[:SIBLINGS])


def _consumer_kind(consumer: Consumer | None) -> str:
    if consumer is None:
        return _("not in the code")
    if consumer.relay is not None:
        if consumer.receipt is not None:
            words = {"destination": consumer.relay.destination, "receiver": consumer.relay.receiver}
            return _("forwards to %(destination)s, and waits for the receipts of %(receiver)s") % words
        return _("forwards to %(destination)s") % {"destination": consumer.relay.destination}
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
