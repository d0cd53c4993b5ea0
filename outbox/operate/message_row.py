"""A message as an operator saw it: read, changed if nobody was faster, and the next ones let go."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox import audit, registry
from outbox.broker import dispatcher, receipts
from outbox.broker.waking import wake_and_hint
from outbox.closings import Closing, Hook
from outbox.declared import Consumer
from outbox.errors import Conflict, NotAllowed
from outbox.models import Evidence, Message
from outbox.models.queryset import MessageQuerySet
from outbox.models.sql.order import OrderOfKey
from outbox.operate.actions import why_not
from outbox.operate.hooks import again_if_met, call_hook, waiting_briefly
from outbox.operate.operator_action import OperatorAction, overtaken_by

AUDITED_MESSAGE = (
    "status",
    "resolution",
    "attempts",
    "attempt_limit",
    "revision",
    "expires_at",
    "not_before",
)
"""What an act can change, as the audit keeps it."""


def read_seen(message_id: int, revision: int | None = None) -> Message:
    """Read the message, and make sure that no operator has changed it since it was shown."""
    message = Message.objects.filter(pk=message_id).first()
    if message is None:
        raise Conflict(
            _("Message %(id)s is no longer there; finished messages are removed in time.") % {"id": message_id}
        )
    if revision is not None and message.revision != revision:
        raise conflict_over(message_id)
    return message


def consumer_of(message: Message) -> Consumer:
    """Return the consumer that would act on the message, or raise ``NotAllowed`` if the code has none."""
    consumer = registry.get(message.consumer)
    if consumer is None:
        raise NotAllowed(
            _(
                "The running code has no consumer named “%(consumer)s”, so nobody would act on the message. Deploy "
                "the consumer again, or mark the message as handled."
            )
            % {"consumer": message.consumer}
        )
    return consumer


def change_message(
    message: Message,
    action: OperatorAction,
    *,
    only: Q,
    tells: Hook | None = None,
    closing: Closing | None = None,
    also: Callable[[], object] | None = None,
    noted: tuple[dict[str, str], dict[str, str]] = ({}, {}),
    **changes: Any,
) -> Message:
    """Change the row if it is still as the operator saw it and in one of the states ``only`` names.

    In the same transaction the hook ``tells`` is given ``closing``. It may refuse, and then nothing is changed.
    """
    if refusal := why_not(action.verb, message):
        raise NotAllowed(refusal)
    seen = Message.objects.filter(only, pk=message.pk, revision=message.revision)
    change = partial(
        action.change,
        message,
        seen,
        audited=AUDITED_MESSAGE,
        subject=str(message),
        conflict=partial(conflict_over, message.pk),
        message_id=message.pk,
        also=also,
        noted=noted,
        revision=F("revision") + 1,
        **changes,
    )
    if tells is None or closing is None:
        return change()
    return again_if_met(partial(change, first=partial(_tell_business, tells, closing, seen)))


def _tell_business(hook: Hook, closing: Closing, seen: MessageQuerySet) -> None:
    """Lock the message, as handlers do before they touch the business, then call the hook with a copy of it."""
    with waiting_briefly():
        message = seen.select_for_update(no_key=True).first()
        if message is None:
            raise conflict_over(closing.message.pk)
        call_hook(hook, [replace(closing, message=message)])


def conflict_over(message_id: int) -> Conflict:
    """Tell what has become of the message meanwhile, and by whom if the audit knows."""
    entry = audit.last_act_on(message_id)
    if entry is None:
        message = Message.objects.filter(pk=message_id).first()
        state = message.get_status_display() if message else _("gone")
        return Conflict(
            _("The message has changed since you looked; now it is %(state)s. Look again, then decide.")
            % {"state": state}
        )
    return overtaken_by(entry)


def hint(consumer: str, message_id: int) -> None:
    """Let the dispatcher tell a worker once the act has committed; without it the rescan finds the row."""
    dispatcher.dispatch_on_commit({consumer: [message_id]})


def hint_next(message: Message) -> None:
    """Let the next message of the ordering key go, which this one has held up."""
    if message.ordering_key:
        wake_and_hint([OrderOfKey(message.consumer, message.ordering_key)])


def tell_and_go_on(message: Message) -> None:
    """Tell the sender who waits for a receipt, and let the next message of the ordering key go."""
    receipts.publish_receipts([message], end=receipts.BY_HAND)
    hint_next(message)


def note_and_hint(message: Message) -> None:
    """Watch out for a second issue if evidence speaks of a first, and let a worker know."""
    Evidence.objects.issued().filter(message=message).update(retried_at=Now(), acknowledged_at=None)
    hint(message.consumer, message.pk)
