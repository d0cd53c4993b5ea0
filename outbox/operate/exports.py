"""Who has taken a list out of the desk, as a file."""

from collections.abc import Mapping

from django.db import transaction

from outbox.conf import conf
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.operator_action import Actor, OperatorAction


def check_export(list_name: str, what: Mapping[str, str], *, actor: Actor, origin: str = "") -> None:
    """Raise ``NotAllowed`` without the permission to export this list; ``what`` of it was asked for is noted."""
    asked_for = ", ".join(f"{name}: {value}" for name, value in what.items() if value)
    _check(f"{list_name} ({asked_for})" if asked_for else list_name, actor=actor, origin=origin)


@noted_if_refused(Action.EXPORT, name=str)
def _check(_subject: str, *, actor: Actor, origin: str) -> None:
    OperatorAction(Action.EXPORT, actor, "", origin).check()


def note_export(list_name: str, what: Mapping[str, str], *, actor: Actor, origin: str = "") -> None:
    """Note in the audit who exports what: the list (``messages``, ``audit``), as it was narrowed down, and the format.

    Raises ``NotAllowed`` without the permission.
    """
    action = OperatorAction(Action.EXPORT, actor, "", origin)
    action.check()
    with transaction.atomic(using=conf().database):
        action.record(list_name, before={}, after={name: value for name, value in what.items() if value})
