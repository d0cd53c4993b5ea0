"""What an operator can do to a consumer: hold it back, and let it go on."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox import audit, registry
from outbox.conf import conf
from outbox.errors import Conflict, NotAllowed
from outbox.models import ConsumerState, Message
from outbox.operate.actions import Action
from outbox.operate.denials import noted_if_refused
from outbox.operate.operator_action import Actor, OperatorAction, overtaken_by
from outbox.operate.wording import format_datetime

LONGEST = timedelta(days=365)
AUDITED_PAUSE = ("paused_at", "paused_by", "paused_reason", "paused_until")
"""What an act can change, as the audit keeps it."""


@noted_if_refused(Action.PAUSE, name="consumer {}".format)
def pause(
    consumer: str,
    *,
    seen: datetime | None,
    actor: Actor,
    reason: str,
    lasting: timedelta | None = None,
    origin: str = "",
) -> ConsumerState:
    """Start no message of ``consumer`` until somebody resumes it, or for ``lasting``.

    ``seen`` is the ``paused_at`` of the pause the operator saw, None if there was none; a pause that was seen is
    replaced. What a worker holds at this moment it finishes.
    """
    action = OperatorAction(Action.PAUSE, actor, reason, origin)
    action.check()
    if lasting is not None and not timedelta(0) < lasting <= LONGEST:
        raise NotAllowed(_("A pause lasts longer than no time, and at most a year."))
    if not is_known(consumer):
        raise NotAllowed(
            _("There is no consumer named “%(consumer)s”, neither in the code nor among the messages that wait.")
            % {"consumer": consumer}
        )
    return _change_pause(
        consumer,
        action,
        seen,
        paused_at=Now(),
        paused_by=action.actor_name,
        paused_reason=reason.strip(),
        paused_until=None if lasting is None else Now() + lasting,
    )


@noted_if_refused(Action.RESUME, name="consumer {}".format)
def resume(consumer: str, *, seen: datetime | None, actor: Actor, reason: str, origin: str = "") -> ConsumerState:
    """Let a paused consumer go on; the rescan sends what has waited within a second. ``seen`` is as for ``pause``."""
    action = OperatorAction(Action.RESUME, actor, reason, origin)
    action.check()
    if seen is None and not ConsumerState.objects.paused().filter(pk=consumer).exists():
        raise NotAllowed(_("The consumer is not paused."))
    return _change_pause(consumer, action, seen, paused_at=None, paused_by="", paused_reason="", paused_until=None)


def why_held_back(consumer: str) -> str:
    """Return why no message of ``consumer`` is started at this moment and when it goes on; empty if it flows."""
    paused = ConsumerState.objects.paused().filter(pk=consumer).first()
    if paused is not None:
        words = {"consumer": consumer, "actor": paused.paused_by}
        if paused.paused_until is None:
            return _("The consumer %(consumer)s was paused by %(actor)s: it goes on when somebody resumes it.") % words
        words["until"] = format_datetime(paused.paused_until)
        return _("The consumer %(consumer)s was paused by %(actor)s until %(until)s; it goes on then.") % words
    if ConsumerState.objects.open().filter(pk=consumer).exists():
        return _(
            "What %(consumer)s needs is down or wants to be left alone: one message at a time is tried, and this one "
            "goes on when it is back."
        ) % {"consumer": consumer}
    return ""


def is_known(consumer: str) -> bool:
    """Tell whether a consumer is in the code, was paused, or has messages that wait."""
    return (
        registry.get(consumer) is not None
        or ConsumerState.objects.filter(pk=consumer).exists()
        or Message.objects.unfinished().filter(consumer=consumer).exists()
    )


def _change_pause(consumer: str, action: OperatorAction, seen: datetime | None, **changes: Any) -> ConsumerState:
    """Change the row if its pause is still the one that was seen, or raise and change nothing.

    Compared under the row's lock: on SQLite a moment written by the database is not found again by its value.
    """
    with transaction.atomic(using=conf().database):
        ConsumerState.objects.get_or_create(consumer=consumer)
        state = ConsumerState.objects.select_for_update(no_key=True).get(pk=consumer)
        is_on = ConsumerState.objects.paused().filter(pk=consumer).exists()
        if (state.paused_at if is_on else None) != seen:
            raise _pause_conflict(consumer)
        return action.change(
            state,
            ConsumerState.objects.filter(pk=consumer),
            audited=AUDITED_PAUSE,
            subject=consumer,
            conflict=partial(_pause_conflict, consumer),
            **changes,
        )


def _pause_conflict(consumer: str) -> Conflict:
    paused = ConsumerState.objects.paused().filter(pk=consumer).exists()
    entry = audit.last_act_about(consumer, Action.PAUSE, Action.RESUME)
    if entry is None or (entry.action == Action.PAUSE and not paused):
        return Conflict(_("The pause that you saw is over by itself. Look again, then decide."))
    return overtaken_by(entry)
