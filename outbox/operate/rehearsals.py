"""Who has rehearsed what, and what came of it: one entry in the audit for each rehearsal, however many messages."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from outbox.conf import conf
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.edits import KEYS_LENGTH
from outbox.operate.operator_action import Actor, OperatorAction


@noted_if_refused(Action.REHEARSE, name=str)
def check_rehearsal(subject: str, *, actor: Actor, origin: str = "") -> None:  # noqa: ARG001  # it is noted
    """Raise ``NotAllowed`` without the permission to rehearse ``subject``, which is that to retry."""
    OperatorAction(Action.REHEARSE, actor, "", origin).check()


def note_rehearsal(
    subject: str,
    *,
    counts: Mapping[str, int],
    kinds: int,
    actor: Actor,
    origin: str = "",
    message_id: int | None = None,
    changed_keys: Sequence[str] = (),
    how: str = "",
) -> None:
    """Note a rehearsal that is over: of what, how many messages came to which outcome, and for how many reasons.

    ``changed_keys`` are those of the payloads that were rehearsed as they would be after a change; ``how`` says how it
    ended, if not as it should. No permission is asked for: whoever began it had it then.
    """
    verdict: dict[str, Any] = {"messages": sum(counts.values()), **counts}
    if kinds:
        verdict["kinds_of_failure"] = kinds
    if changed_keys:
        verdict["changed_keys"] = ", ".join(changed_keys)[:KEYS_LENGTH]
    if how:
        verdict["ended"] = how
    with transaction.atomic(using=conf().database):
        action = OperatorAction(Action.REHEARSE, actor, "", origin)
        action.record(subject, message_id=message_id, before={}, after={"rehearsed": verdict})
