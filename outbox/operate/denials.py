"""Who was refused what: noted in the audit, and of one person no more than so much that nobody floods it.

Refused is whoever lacks a permission. Commands ask for none, as whoever runs one has the database anyway; theirs are
noted whatever the reason.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

from django.db import transaction
from django.db.models.functions import Now

from outbox import audit
from outbox.conf import conf
from outbox.errors import NotAllowed, PermissionMissing
from outbox.models import AuditEntry
from outbox.operate.actions import API_REFUSED, Action
from outbox.operate.operator_action import ACTOR_LENGTH, OperatorAction
from outbox.operate.text_checks import REASON_LENGTH, write_out

log = logging.getLogger("outbox.desk")

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")

REFUSALS = (audit.DENIED, API_REFUSED)
"""The actions under which the audit keeps refusals."""
ZERO = timedelta(0)
LOOKED_BACK = 500
AT_MOST = 20
"""So many of the newest ``LOOKED_BACK`` entries may be refusals of one person; the log has them all."""
SUBJECT_LENGTH = 200
ACT_LENGTH = 30
WHY_LENGTH = 500
NOBODY = "nobody"
"""Who acted without being signed in."""


def noted_if_refused(
    act: Action, *, name: Callable[[Any], str] = "message {}".format
) -> Callable[[Callable[Arguments, Returned]], Callable[Arguments, Returned]]:
    """Let a function that does ``act`` to its first argument note in the audit whom it refused, and why.

    ``name`` is under what name the audit knows that argument, which is the id of a message if nothing else is said.
    """

    def decorate(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
        takes = signature(function)

        @wraps(function)
        def noting(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
            try:
                return function(*args, **kwargs)
            except NotAllowed as refusal:
                given: dict[str, Any] = takes.bind(*args, **kwargs).arguments
                action = OperatorAction(act, given["actor"], given.get("reason", ""), given.get("origin", ""))
                if isinstance(refusal, PermissionMissing) or isinstance(action.actor, str):
                    about: Any = next(iter(given.values()))
                    subject, why = name(about), getattr(refusal, "permission", str(refusal))
                    message_id = about if isinstance(about, int) and subject == f"message {about}" else None
                    note_denial(
                        action.actor_name,
                        act.value,
                        subject,
                        why=why,
                        message_id=message_id,
                        reason=action.reason,
                        origin=action.origin,
                    )
                raise

        return noting

    return decorate


def note_denial(
    who: str, act: str, subject: str, *, why: str, message_id: int | None = None, reason: str = "", origin: str = ""
) -> None:
    """Note that somebody was refused an act on something, and why: the permission that it takes, or a sentence."""
    who, act = write_out(who)[:ACTOR_LENGTH] or NOBODY, write_out(act)[:ACT_LENGTH]
    subject, why = write_out(subject)[:SUBJECT_LENGTH], write_out(why)[:WHY_LENGTH]
    log.warning("%s was refused %s on %s: %s", who, act, subject, why)
    append_refusal(
        who,
        audit.DENIED,
        subject,
        message_id=message_id,
        before={"act": act, "why": why},
        after={},
        reason=write_out(reason.strip(), but="\n")[:REASON_LENGTH],
        origin=origin,
    )


def append_refusal(
    who: str,
    action: str,
    subject: str,
    *,
    before: Mapping[str, str],
    after: Mapping[str, str],
    reason: str,
    origin: str,
    message_id: int | None = None,
    once_in: timedelta = ZERO,
) -> None:
    """Write a refusal to the audit, unless somebody's refusals are so many already that they would flood it.

    Those at the desk, by commands and by the API count together. With ``once_in`` the same ``action`` on the same
    ``subject`` is written once in that span.
    """
    if once_in and audit.acts_about(subject, action).filter(at__gt=Now() - once_in).exists():
        return
    if _are_many(who):
        return
    with transaction.atomic(using=conf().database):
        audit.append(
            actor=who,
            origin=origin[:100],
            action=action,
            message_id=message_id,
            subject=subject,
            before=before,
            after=after,
            reason=reason,
        )


def _are_many(who: str) -> bool:
    newest = AuditEntry.objects.order_by("-id").values_list("action", "actor")[:LOOKED_BACK]
    return sum(action in REFUSALS and actor == who for action, actor in newest) >= AT_MOST
