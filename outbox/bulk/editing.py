"""Editing in a bulk operation: one patch for every payload of the set, each looked at for itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from outbox import registry
from outbox.errors import InvalidMessage, NotAllowed
from outbox.models import BulkOperation, Message
from outbox.models.sql.conditions import Named
from outbox.models.sql.payloads import keep_payloads, write_payloads
from outbox.operate.differences import touch
from outbox.operate.edits import check_edit, refuse_locked
from outbox.operate.patch import Patch
from outbox.payloads import encode


def check_patch(patch: Patch) -> None:
    """Raise ``NotAllowed`` if the patch changes nothing, or has what is no JSON."""
    if not patch:
        raise NotAllowed(_("Say what is to be changed in the payloads."))
    try:
        encode("the change", patch.as_json())
    except InvalidMessage as error:
        raise NotAllowed(str(error)) from error


def check_locked(patch: Patch, consumers: Sequence[str]) -> None:
    """Raise ``NotAllowed`` if the patch changes a key that one of the consumers has locked."""
    for consumer in filter(None, map(registry.get, consumers)):
        refuse_locked(consumer, touch(patch.paths, consumer.locked))


def edit_payloads(operation: BulkOperation, message_ids: Sequence[int]) -> dict[int, str]:
    """Change the payloads of these messages, which are locked, and keep the old ones.

    Return why it does not fit, by message, where it does not; those stay as they are.
    """
    patch, made, refused = Patch.from_json(operation.patch), {}, {}
    rows = Message.objects.filter(Named(list(message_ids))).values_list("pk", "consumer", "payload")
    for id, consumer, payload in rows:
        try:
            made[id] = changed(patch, consumer, payload)
        except NotAllowed as refusal:
            refused[id] = str(refusal)
    keep_payloads(list(made), edited_by=operation.started_by)
    write_payloads(made)
    return refused


def changed(patch: Patch, consumer_name: str, payload: Any) -> Any:
    """Return the payload as it is after the patch; ``NotAllowed`` if it does not fit, or the consumer forbids it."""
    after = patch(payload)
    consumer = registry.get(consumer_name)
    if consumer is None:
        raise NotAllowed(_("The running code has no consumer of this name."))
    check_edit(consumer, payload, after)
    return after


def try_patch(operation: BulkOperation, samples: Mapping[int, Message]) -> dict[int, str]:
    """Return, by message, why the patch does not fit the payload of a sample; empty where it fits."""
    patch, said = Patch.from_json(operation.patch), {}
    for id, message in samples.items():
        try:
            changed(patch, message.consumer, message.payload)
            said[id] = ""
        except NotAllowed as refusal:
            said[id] = str(refusal)
    return said
