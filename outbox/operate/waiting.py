"""What an operator can do to a message that waits: withdraw it, or make it due now."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox.closings import Closing, Hook
from outbox.conf import conf
from outbox.errors import Conflict, NotAllowed
from outbox.models import Message, Resolution, Status
from outbox.models.queryset import made_due
from outbox.operate.actions import Action, why_not
from outbox.operate.denials import noted_if_refused
from outbox.operate.hooks import hook_of
from outbox.operate.message_row import change_message, hint, hint_next, read_seen, tell_and_go_on
from outbox.operate.operator_action import Actor, OperatorAction

WAITING = Q(status=Status.PENDING)


@noted_if_refused(Action.WITHDRAW)
def withdraw(message_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Message:
    """Pending → withdrawn: taken back before it was done. It is over, and no work for anybody.

    The consumer's ``on_withdrawn`` may refuse. Nothing waits for a worker: what one just takes up is a ``Conflict``.
    """
    action = OperatorAction(Action.WITHDRAW, actor, reason, origin)
    action.check()
    message = read_seen(message_id, revision)
    return _change_waiting(
        message,
        action,
        only=WAITING,
        also=partial(tell_and_go_on, message),
        tells=hook_of(message, "on_withdrawn"),
        closing=Closing(message=message, outcome=Resolution.WITHDRAWN, reason=reason.strip(), actor=action.actor_name),
        status=Status.FAILED,
        resolution=Resolution.WITHDRAWN,
        finished_at=Now(),
    )


@noted_if_refused(Action.HURRY)
def hurry(message_id: int, *, revision: int, actor: Actor, reason: str, origin: str = "") -> Message:
    """Let a message that waits for its own time, delayed or between two attempts, be due now.

    It stays behind others of its ordering key, and a pause, a breaker or a rate holds it as before. One that was called
    before is due after a lease at the latest: a call that was given up may still run. Raises ``NotAllowed`` without the
    permission, or if it does not wait for its time; ``Conflict`` if its ``revision`` is another by now, if a worker
    takes it up, or if it is gone.
    """
    action = OperatorAction(Action.HURRY, actor, reason, origin)
    action.check()
    message = read_seen(message_id, revision)
    next_of_key = partial(hint_next, message)
    return _change_waiting(
        message,
        action,
        only=WAITING & Q(not_before__gt=Now()),
        also=next_of_key if message.ordering_key else partial(hint, message.consumer, message.pk),
        **made_due(conf().lease),
    )


def _change_waiting(
    message: Message,
    action: OperatorAction,
    *,
    only: Q,
    also: Callable[[], None],
    tells: Hook | None = None,
    closing: Closing | None = None,
    **changes: Any,
) -> Message:
    """Do the same to a message that waits, unless a worker is just taking it up: then wait for nobody."""
    if refusal := why_not(action.verb, message):
        raise NotAllowed(refusal)
    with transaction.atomic(using=conf().database):
        free = Message.objects.filter(only, pk=message.pk).select_for_update(skip_locked=True, no_key=True)
        if not list(free.values_list("pk")):
            raise Conflict(_("A worker is just taking the message up, or has taken it up. Look again, then decide."))
        return change_message(message, action, only=only, also=also, tells=tells, closing=closing, **changes)
