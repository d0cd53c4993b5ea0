"""Edit and retry: a failed message gets another payload, and what it had before is kept."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from django.db.models import JSONField, Value
from django.utils.translation import gettext as _

from outbox.conf import conf
from outbox.declared import Consumer
from outbox.errors import InvalidMessage, NotAllowed
from outbox.models import Message, PayloadVersion
from outbox.models.queryset import EXHAUSTED, may_still_run
from outbox.operate.actions import Action, why_not
from outbox.operate.approval import is_worth_more
from outbox.operate.asking import Known, ask_and_note, can_be_asked
from outbox.operate.changes import retried
from outbox.operate.denials import noted_if_refused
from outbox.operate.differences import Difference, changed_among, differences
from outbox.operate.evidence import refuse_second_issue
from outbox.operate.message_row import change_message, consumer_of, note_and_hint, read_seen
from outbox.operate.operator_action import Actor, OperatorAction
from outbox.operate.suspects import may_have_acted
from outbox.payloads import encode

KEYS_LENGTH = 1_000
"""Characters of the changed keys that the audit keeps."""


@noted_if_refused(Action.EDIT)
def edit(
    message_id: int,
    *,
    revision: int,
    actor: Actor,
    reason: str,
    payload: Any,
    as_new_order: bool = False,
    despite_evidence: bool = False,
    origin: str = "",
) -> Message:
    """Failed → pending with another payload: a retry, under the same idempotency key. The old payload is kept.

    ``payload`` is all of the new one. It must differ from the old one, and in nothing that the consumer has
    ``locked``. If the other side may have acted on the old one, it is asked, where the consumer can ``ask``, and the
    edit goes on if it knows nothing. If it cannot be asked, it takes ``as_new_order``: the message gets a new
    idempotency key, as under the old one the other side would answer with the old order. ``despite_evidence`` is as
    for ``retry``. What is worth more than ``APPROVAL_ABOVE_VALUE`` is edited by a bulk operation, which a second
    person approves. Raises ``NotAllowed``, which says why, and ``Conflict`` if its ``revision`` is another by now.
    """
    action = OperatorAction(Action.EDIT, actor, reason, origin)
    action.check()
    message = read_seen(message_id, revision)
    if refusal := why_not(action.verb, message):
        raise NotAllowed(refusal)
    consumer = consumer_of(message)
    found = check_edit(consumer, message.payload, payload)
    if refusal := why_not_alone(message):
        raise NotAllowed(refusal)
    if Message.objects.filter(may_still_run(conf().lease), pk=message.pk).exists():
        raise NotAllowed(_("A call that was given up may still run, with the old payload. Try again in a moment."))
    if may_have_acted(message):
        _make_sure_that_it_has_not(consumer, message, as_new_order=as_new_order, actor=actor, origin=origin)
    if not despite_evidence:
        refuse_second_issue(message.pk)
    changes: dict[str, Any] = {"payload": _json(payload), **retried(consumer)}
    before, after = {}, {"changed_keys": ", ".join(each.path for each in found)[:KEYS_LENGTH]}
    if as_new_order:
        changes["drawn_key"] = uuid4()
        before, after = {"order": message.idempotency_key}, {**after, "order": str(changes["drawn_key"])}
    return change_message(
        message,
        action,
        only=EXHAUSTED & ~may_still_run(conf().lease),
        also=partial(_keep_and_hint, message, action.actor_name),
        noted=(before, after),
        **changes,
    )


def why_not_alone(message: Message) -> str:
    """Return why one person alone may not edit the message, in words; empty if they may."""
    if message.value is None or not is_worth_more({message.currency: message.value}):
        return ""
    return _(
        "The message is worth so much that a second person must approve the edit. Pick it in the work queue and choose "
        "“Edit and retry selected…”. Where the other side may have acted, or evidence says that it was issued, settle "
        "it by hand."
    )


def _make_sure_that_it_has_not(
    consumer: Consumer, message: Message, *, as_new_order: bool, actor: Actor, origin: str
) -> None:
    """Ask the other side, if it can be asked, and note the answer; raise ``NotAllowed`` if it has the old order.

    Without ``as_new_order`` it must say that it knows nothing.
    """
    if not can_be_asked(consumer):
        if as_new_order:
            return
        raise NotAllowed(
            _(
                "The other side may have acted on the old payload. Under the same idempotency key it would answer with "
                "the old order. Ask it; then edit the message as a new order, or mark it as handled."
            )
        )
    answer = ask_and_note(message, actor=actor, origin=origin)
    if answer.known is Known.YES:
        raise NotAllowed(
            _("The other side has it already, as “%(said)s”. Mark the message as handled, or correct the order there.")
            % {"said": answer.said}
        )
    if answer.known is Known.NOT_ASKED and not as_new_order:
        raise NotAllowed(
            _("The other side may have acted, and could not be asked: %(why)s. Try again later.") % {"why": answer.said}
        )


def check_edit(consumer: Consumer, before: Any, after: Any) -> list[Difference]:
    """Return what an edit changes. Raises ``NotAllowed`` if that is nothing, no JSON, too large, or locked."""
    try:
        size = len(encode("payload", after).encode())
    except InvalidMessage as error:
        raise NotAllowed(str(error)) from error
    if size > conf().payload_limit:
        raise NotAllowed(
            _("The payload has %(size)d bytes; the limit is %(limit)d.") % {"size": size, "limit": conf().payload_limit}
        )
    refuse_locked(consumer, changed_among(consumer.locked, before, after))
    found = differences(before, after)
    if not found:
        raise NotAllowed(_("Nothing was changed. To try it again as it is, retry it."))
    return found


def refuse_locked(consumer: Consumer, changed: Sequence[str]) -> None:
    """Raise ``NotAllowed`` if one of the consumer's locked keys is to be changed."""
    if changed:
        raise NotAllowed(
            _("%(consumer)s lets nobody change “%(path)s” (locked).") % {"consumer": consumer.name, "path": changed[0]}
        )


def _keep_and_hint(message: Message, editor: str) -> None:
    """Keep the payload as it was, and let a worker know."""
    PayloadVersion.objects.create(
        message=message,
        revision=message.revision,
        payload=_json(message.payload),
        drawn_key=message.drawn_key,
        edited_by=editor,
    )
    note_and_hint(message)


def _json(payload: Any) -> Any:
    """Return a payload as the database keeps it: None is JSON's null, and not that there is none."""
    return Value(None, JSONField()) if payload is None else payload
