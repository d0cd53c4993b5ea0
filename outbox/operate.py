"""Everything an operator can do to a message: checked for permission, done by compare-and-set, written to the audit.

Each act takes the message's id and the ``revision`` the operator has seen, the ``actor`` (a Django user, whose
permission is checked, or the name of whoever ran a command, who has the database anyway), a ``reason`` and the
``origin`` (an IP address, or the command). It returns the message as it is afterwards.

Every act raises ``NotAllowed`` if the permission, the reason or the message's state does not permit it, and
``Conflict`` if the message was changed since the operator looked. Both say in plain words what to do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from outbox import audit, courier, registry
from outbox.acts import EVIDENCE_LENGTH, PERMISSIONS, Act, HandledAs, tell, why_not
from outbox.conf import conf
from outbox.errors import Conflict, NotAllowed
from outbox.models import Message, Resolution, Status


class Person(Protocol):
    """What ``operate`` needs of a Django user."""

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Tell whether the user has the permission ``app.codename``."""

    def get_username(self) -> str:
        """Return the name that the audit keeps."""


Actor = Person | str


FAILED = Q(exhausted_at__isnull=False)
CLOSED_BY_HAND = Q(resolution__in=[Resolution.HANDLED, Resolution.DISCARDED])


@dataclass(frozen=True, slots=True)
class _Deed:
    """Who does what, why and from where."""

    act: Act
    actor: Actor
    reason: str
    origin: str


def retry(message_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Message:
    """Failed → pending: a fresh set of tries and a fresh deadline, the same idempotency key, due now.

    Only what the machine has given up on can be retried; a message that is under way would otherwise run twice.
    """
    deed = _Deed(Act.RETRY, actor, reason, origin)
    _check_permission(deed)
    message = _look(message_id, revision)
    consumer = registry.get(message.consumer)
    if consumer is None:
        raise NotAllowed(
            _(
                "The running code has no consumer named “%(consumer)s”, so nobody would act on the message. Deploy "
                "the consumer again, or mark the message as handled."
            )
            % {"consumer": message.consumer}
        )
    return _change(
        message,
        deed,
        only=FAILED,
        also=partial(_hint, message.consumer, message.pk),
        status=Status.PENDING,
        finished_at=None,
        exhausted_at=None,
        attempt_limit=F("attempts") + consumer.retry.limit,
        sends=0,
        due_at=Now(),
        not_before=Now(),
        expires_at=Now() + consumer.deadline,
    )


def mark_handled(
    message_id: int,
    *,
    revision: int,
    actor: Actor,
    reason: str,
    outcome: HandledAs,
    evidence: str,
    origin: str = "",
) -> Message:
    """Failed → success, handled by hand; ``evidence`` proves the outcome (an order number, a link, a note)."""
    deed = _Deed(Act.HANDLE, actor, reason, origin)
    _check_permission(deed)
    proof = evidence.strip()
    if not 0 < len(proof) <= EVIDENCE_LENGTH:
        raise NotAllowed(
            _("Say what proves it, in 1 to %(limit)d characters: an order number, a link or a note.")
            % {"limit": EVIDENCE_LENGTH}
        )
    message = _look(message_id, revision)
    return _change(
        message,
        deed,
        only=FAILED,
        also=partial(_hint_next, message),
        status=Status.SUCCESS,
        resolution=Resolution.HANDLED,
        evidence=f"{HandledAs(outcome).value}: {proof}",
        finished_at=Now(),
        exhausted_at=None,
    )


def discard(message_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Message:
    """Failed → failed and closed: the promise will not be kept, and nobody is asked about it again."""
    deed = _Deed(Act.DISCARD, actor, reason, origin)
    _check_permission(deed)
    message = _look(message_id, revision)
    return _change(
        message,
        deed,
        only=FAILED,
        also=partial(_hint_next, message),
        resolution=Resolution.DISCARDED,
        finished_at=Now(),
        exhausted_at=None,
    )


def reopen(message_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Message:
    """Handled or discarded → failed, waiting for a person again. The machine's own success is never reopened."""
    deed = _Deed(Act.REOPEN, actor, reason, origin)
    _check_permission(deed)
    message = _look(message_id, revision)
    return _change(
        message,
        deed,
        only=CLOSED_BY_HAND,
        status=Status.FAILED,
        resolution=Resolution.NONE,
        evidence="",
        finished_at=Now(),
        exhausted_at=Now(),
    )


def reveal(message_id: int, *, actor: Actor, origin: str = "", reason: str = "") -> Any:
    """Return the payload unmasked, and note in the audit who has seen it."""
    deed = _Deed(Act.REVEAL, actor, reason, origin)
    _check_permission(deed)
    with transaction.atomic(using=conf().database):
        message = _look(message_id)
        _note(deed, message, before={}, after={})
    return message.payload


def _check_permission(deed: _Deed) -> None:
    if deed.act is not Act.REVEAL and not deed.reason.strip():
        raise NotAllowed(_("Say why, in a few words; the audit keeps it."))
    permission = PERMISSIONS[deed.act]
    if not isinstance(deed.actor, str) and not deed.actor.has_perm(permission):
        raise NotAllowed(
            _("You may not do this: it takes the permission “%(permission)s”. Ask a lead, or for the permission.")
            % {"permission": permission}
        )
    if not _name(deed.actor):
        raise NotAllowed(_("Say who is acting; the audit keeps the name."))


def _look(message_id: int, revision: int | None = None) -> Message:
    """Read the message, and make sure that no operator has changed it since it was shown."""
    message = Message.objects.filter(pk=message_id).first()
    if message is None:
        raise Conflict(
            _("Message %(id)s is no longer there; finished messages are removed in time.") % {"id": message_id}
        )
    if revision is not None and message.revision != revision:
        raise _conflict(message_id)
    return message


def _change(
    message: Message, deed: _Deed, *, only: Q, also: Callable[[], None] | None = None, **changes: Any
) -> Message:
    """Change the row if it is still as the operator saw it and write the audit, or raise and change nothing."""
    if refusal := why_not(deed.act, message):
        raise NotAllowed(refusal)
    with transaction.atomic(using=conf().database):
        seen = Message.objects.filter(only, pk=message.pk, revision=message.revision)
        if not seen.update(revision=F("revision") + 1, **changes):
            raise _conflict(message.pk)
        changed = Message.objects.get(pk=message.pk)
        _note(deed, changed, before=_state(message), after=_state(changed))
        if also is not None:
            also()
    return changed


def _note(deed: _Deed, message: Message, *, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    audit.append(
        actor=_name(deed.actor),
        origin=deed.origin[:100],
        action=deed.act.value,
        subject=str(message),
        message_id=message.pk,
        before=before,
        after=after,
        reason=deed.reason.strip(),
    )


def _name(actor: Actor) -> str:
    return (actor if isinstance(actor, str) else actor.get_username()).strip()[:150]


def _state(message: Message) -> dict[str, Any]:
    """Return what an act can change, as the audit keeps it."""
    return {
        "status": message.status,
        "resolution": message.resolution,
        "evidence": message.evidence,
        "attempts": message.attempts,
        "attempt_limit": message.attempt_limit,
        "revision": message.revision,
        "expires_at": message.expires_at.isoformat(),
    }


def _conflict(message_id: int) -> Conflict:
    """Tell what has become of the message meanwhile, and by whom if the audit knows."""
    act = audit.last_act_on(message_id)
    if act is None:
        message = Message.objects.filter(pk=message_id).first()
        state = message.get_status_display() if message else _("gone")
        return Conflict(
            _("The message has changed since you looked; now it is %(state)s. Look again, then decide.")
            % {"state": state}
        )
    return Conflict(
        _("%(deed)s since you looked (%(at)s: “%(reason)s”). Look again, then decide.")
        % {
            "deed": tell(act),
            "at": date_format(timezone.localtime(act.at), "DATETIME_FORMAT"),
            "reason": act.reason,
        }
    )


def _hint(consumer: str, message_id: int) -> None:
    """Let the courier tell a worker once the act has committed; without it the rescan finds the row."""
    transaction.on_commit(partial(courier.offer, {consumer: [message_id]}), using=conf().database, robust=True)


def _hint_next(message: Message) -> None:
    """Let the next message of the ordering key go, which this one has held up."""
    if not message.ordering_key:
        return
    held_up = Message.objects.pending().at_head().unfinished()
    same_key = held_up.filter(consumer=message.consumer, ordering_key=message.ordering_key)
    next_id = same_key.order_by("id").values_list("pk", flat=True).first()
    if next_id is not None:
        _hint(message.consumer, next_id)
