"""Who sees to a message, and what people know of it: one row beside each message of which somebody has said so."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.message import Message
from outbox.models.state import EngineQuerySet

OWNER_LENGTH = 150


class NoteQuerySet(EngineQuerySet["Note"]):
    """Notes, on the engine's database."""


class Note(models.Model):
    """What an operator has written on a message. A row of its own: writing on it gets in no worker's way."""

    message = models.OneToOneField(
        Message, on_delete=models.CASCADE, primary_key=True, related_name="note", verbose_name=_("message")
    )
    owner = models.CharField(_("who sees to it"), max_length=OWNER_LENGTH, default="", blank=True)
    text = models.TextField(_("note"), default="", blank=True)
    revision = models.PositiveIntegerField(_("operator changes"), default=0)
    at = models.DateTimeField(_("written"), db_default=Now())

    objects = NoteQuerySet.as_manager()

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        default_permissions = ()
        permissions = [("note_message", _("Can write on messages who sees to them and what is known"))]
        indexes = [models.Index(fields=["owner", "message"], condition=~models.Q(owner=""), name="outbox_note_owner")]

    def __str__(self) -> str:
        return f"{self.message_id}: {self.owner or '–'}"
