"""Who did what to which message, and why: append-only, each entry sealed with the hash of the one before.

What people wrote and what was changed may have names of persons in it, and one day has to go. So the chain is sealed
over a salted hash of these texts, and stays whole without them. Only ``audit.erase_texts`` empties them, and only
``audit.prune_entries`` removes entries, from the beginning of the chain on. Both say so in the chain itself.
"""

import hashlib
import json
from datetime import UTC
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from outbox.models.state import EngineQuerySet


class AuditEntryQuerySet(EngineQuerySet["AuditEntry"]):
    """Audit entries, on the engine's database. There is no verb that changes one."""


class AuditEntry(models.Model):
    """One act of one person (or of a command run by one), written in the transaction of the act itself."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(_("when"))
    actor = models.CharField(_("who"), max_length=150)
    origin = models.CharField(_("from where"), max_length=100, default="", blank=True)
    action = models.CharField(_("act"), max_length=30)
    message_id = models.BigIntegerField(_("message"), null=True, blank=True, db_index=True)
    subject = models.CharField(_("on what"), max_length=520)
    before = models.JSONField(_("before"), default=dict)
    after = models.JSONField(_("after"), default=dict)
    reason = models.TextField(_("reason"))
    salt = models.CharField(max_length=32, editable=False)
    """Keeps erased texts from being guessed by their hash; it is erased with them."""
    texts_digest = models.CharField(_("hash of the texts"), max_length=64, editable=False)
    previous = models.CharField(_("hash of the entry before"), max_length=64, unique=True)
    digest = models.CharField(_("hash"), max_length=64)

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        indexes = [
            models.Index(fields=["subject", "id"], name="outbox_audit_about"),
            models.Index(fields=["actor", "id"], name="outbox_audit_by"),
            models.Index(fields=["action", "id"], name="outbox_audit_act"),
            models.Index(fields=["at"], name="outbox_audit_at"),
        ]
        default_permissions = ()
        permissions = [("view_audit", _("Can see the audit"))]

    def __str__(self) -> str:
        return f"{self.actor}: {self.action} {self.subject}"

    @property
    def is_erased(self) -> bool:
        """Tell whether the texts are no longer there."""
        return not self.salt

    def texts_sealed(self) -> str:
        """Return the SHA-256 over the salt and the texts, as 64 hex digits."""
        return _sha256([self.salt, self.before, self.after, self.reason])

    def sealed(self) -> str:
        """Return the SHA-256 over the entry without its texts, their hash, and the hash of the entry before."""
        at = self.at.astimezone(UTC).isoformat()
        about = [self.actor, self.origin, self.action, self.message_id, self.subject]
        return _sha256([self.previous, at, *about, self.texts_digest])


def _sha256(content: list[Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
