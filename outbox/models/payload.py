"""The payloads that messages had before they were edited, each kept as it was."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.message import Message
from outbox.models.state import EngineQuerySet


class PayloadVersionQuerySet(EngineQuerySet["PayloadVersion"]):
    """Earlier payloads, on the engine's database."""


class PayloadVersion(models.Model):
    """A payload that a message had until somebody edited it, and the idempotency key it was sent under."""

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, verbose_name=_("message"), db_index=False)
    revision = models.PositiveIntegerField(_("revision"))
    """The revision of the message that had it last; the edit made the next one."""
    payload = models.JSONField(_("payload"))
    drawn_key = models.UUIDField(_("idempotency key"), editable=False)
    edited_by = models.CharField(_("edited by"), max_length=150)
    edited_at = models.DateTimeField(_("edited"), db_default=Now())

    objects = PayloadVersionQuerySet.as_manager()

    class Meta:
        verbose_name = _("earlier payload")
        verbose_name_plural = _("earlier payloads")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["message", "revision"], name="outbox_payloadversion_once")]

    def __str__(self) -> str:
        return f"{self.message_id}: {self.revision}"
