"""Who does what, why and from where: what every act has in common, whatever it is done to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _

from outbox import audit
from outbox.conf import conf
from outbox.errors import Conflict, NotAllowed, PermissionMissing
from outbox.models import AuditEntry
from outbox.operate import text_checks
from outbox.operate.actions import NEED_NO_REASON, PERMISSIONS, Action
from outbox.operate.wording import describe_entry, format_datetime

Changed = TypeVar("Changed", bound=Model)


class Person(Protocol):
    """What ``operate`` needs of a Django user."""

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Tell whether the user has the permission ``app.codename``."""

    def get_username(self) -> str:
        """Return the name that the audit keeps."""


Actor = Person | str
ACTOR_LENGTH = 150


@dataclass(frozen=True, slots=True)
class OperatorAction:
    """One act of one person; checked before anything is read, so that nobody learns more than they may see."""

    verb: Action
    actor: Actor
    reason: str
    origin: str

    @property
    def actor_name(self) -> str:
        """Who, as the audit keeps it."""
        return (self.actor if isinstance(self.actor, str) else self.actor.get_username()).strip()[:ACTOR_LENGTH]

    def check(self) -> None:
        """Raise ``NotAllowed`` without a reason, a name or the permission, or if a text hides what it says."""
        check_reason(self.reason, needed=self.verb not in NEED_NO_REASON)
        self.check_permission()

    def check_permission(self) -> None:
        """Raise ``PermissionMissing`` without the permission, ``NotAllowed`` without a name."""
        permission = PERMISSIONS[self.verb]
        if not isinstance(self.actor, str) and not self.actor.has_perm(permission):
            raise PermissionMissing(
                _("You may not do this: it takes the permission “%(permission)s”. Ask a lead, or for the permission.")
                % {"permission": permission},
                permission=permission,
            )
        if not text_checks.check_text(self.actor_name, limit=ACTOR_LENGTH):
            raise NotAllowed(_("Say who is acting; the audit keeps the name."))

    def record(
        self, subject: str, *, message_id: int | None = None, before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> None:
        """Write the act to the audit, inside its own transaction."""
        audit.append(
            actor=self.actor_name,
            origin=self.origin[:100],
            action=self.verb.value,
            subject=subject,
            message_id=message_id,
            before=before,
            after=after,
            reason=self.reason.strip(),
        )

    def change(
        self,
        row: Changed,
        seen: "QuerySet[Changed]",
        *,
        audited: Sequence[str],
        subject: str,
        conflict: Callable[[], Conflict],
        message_id: int | None = None,
        first: Callable[[], None] | None = None,
        also: Callable[[], object] | None = None,
        noted: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {}),
        **changes: Any,
    ) -> Changed:
        """Change ``row`` if ``seen`` still finds it, write the audit, and return the row as it is now.

        Else raise ``conflict()``, and change nothing. The audit keeps the columns ``audited``, and what is ``noted``
        of other rows, before and after. What must precede or follow in the same transaction is done by ``first`` and
        ``also``.
        """
        with transaction.atomic(using=conf().database):
            if first is not None:
                first()
            if not seen.update(**changes):
                raise conflict()
            changed = seen.model._default_manager.get(pk=row.pk)
            before, after = snapshot(row, audited) | dict(noted[0]), snapshot(changed, audited) | dict(noted[1])
            self.record(subject, message_id=message_id, before=before, after=after)
            if also is not None:
                also()
        return changed


def snapshot(row: Model, columns: Sequence[str]) -> dict[str, Any]:
    """Return columns as JSON can carry them."""
    values = {name: getattr(row, name) for name in columns}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def check_reason(reason: str, *, needed: bool = True) -> None:
    """Raise ``NotAllowed`` if the audit cannot keep the reason: there is none, or it is too long or hides something."""
    if not text_checks.check_text(reason, limit=text_checks.REASON_LENGTH, lines=True) and needed:
        raise NotAllowed(_("Say why, in a few words; the audit keeps it."))


def overtaken_by(entry: AuditEntry) -> Conflict:
    """Return the conflict that tells who was faster, when and why."""
    words = {"deed": describe_entry(entry), "at": format_datetime(entry.at)}
    if not entry.reason:
        return Conflict(_("%(deed)s since you looked (%(at)s). Look again, then decide.") % words)
    return Conflict(
        _("%(deed)s since you looked (%(at)s: “%(reason)s”). Look again, then decide.")
        % {**words, "reason": entry.reason}
    )
