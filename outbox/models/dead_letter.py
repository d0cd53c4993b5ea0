"""What is in the queue of dead letters, as the rescan has last read it, so that no page asks the broker."""

from typing import Self

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.state import EngineQuerySet


class DeadLetterQuerySet(EngineQuerySet["DeadLetter"]):
    """Dead letters that are in the queue."""

    def shown(self) -> Self:
        """Keep those that nobody has discarded."""
        return self.filter(discarded_at__isnull=True)


class DeadLetter(models.Model):
    """A hint that no worker will take any more. The messages that it named are in their table, whatever became of it.

    A row goes when its letter has left the queue: by the rescan, after somebody ``discarded`` it, or by others.
    """

    id = models.BigAutoField(primary_key=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    queue = models.CharField(_("queue"), max_length=255)
    reason = models.CharField(_("why"), max_length=255)
    died_at = models.DateTimeField(_("when, by the broker's clock"), null=True, blank=True)
    seen_at = models.DateTimeField(_("first seen"), db_default=Now())
    task_id = models.CharField(_("Celery's task"), max_length=255, default="", blank=True)
    consumer = models.CharField(_("consumer"), max_length=255, default="", blank=True)
    ids = models.JSONField(_("messages that it named"), default=list, blank=True)
    text = models.TextField(_("text"), default="", blank=True)
    discarded_at = models.DateTimeField(_("discarded"), null=True, blank=True)
    discarded_by = models.CharField(_("discarded by"), max_length=150, default="", blank=True)

    objects = DeadLetterQuerySet.as_manager()

    class Meta:
        verbose_name = _("dead letter")
        verbose_name_plural = _("broker and dead letters")
        default_permissions = ("view",)
        permissions = [("discard_deadletter", _("Can discard dead letters"))]

    def __str__(self) -> str:
        return f"dead letter {self.digest[:12]}"
