"""The attempts that went wrong, one row each."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.message import Message
from outbox.models.state import EngineQuerySet


class AttemptOutcome(models.TextChoices):
    """How an attempt ended that did not simply succeed."""

    FAILED = "failed", _("failed")
    REJECTED = "rejected", _("rejected")
    SNOOZED = "snoozed", _("not ready")
    UNAVAILABLE = "unavailable", _("unavailable")
    LOST = "lost", _("worker lost")
    LATE = "late", _("too late")


class AttemptQuerySet(EngineQuerySet["Attempt"]):
    """Attempts, on the engine's database."""


class Attempt(models.Model):
    """One attempt that did not simply succeed: what happened, where, and the traceback."""

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, verbose_name=_("message"))
    number = models.PositiveIntegerField(_("number"))
    outcome = models.CharField(_("outcome"), max_length=11, choices=AttemptOutcome)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), db_default=Now())
    error = models.TextField(_("error"), default="", blank=True)
    traceback = models.TextField(_("traceback"), default="", blank=True)
    worker = models.CharField(_("worker"), max_length=100, default="", blank=True)

    objects = AttemptQuerySet.as_manager()

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        default_permissions = ("view",)
        indexes = [models.Index(fields=["ended_at"], name="outbox_attempt_ended")]

    def __str__(self) -> str:
        return f"{self.number}: {self.outcome}"
