"""Rehearsals of frozen sets: how far each has come, and what it has found; kept with the bulk operation."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.bulk import BulkOperation
from outbox.models.state import EngineQuerySet


class RehearsalState(models.TextChoices):
    """How far a rehearsal has come."""

    WAITING = "waiting", _("waits for a worker")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    STOPPED = "stopped", _("stopped")
    FAILED = "failed", _("could not be rehearsed")


class RehearsalStop(models.TextChoices):
    """Why a rehearsal was stopped, if nobody has stopped it."""

    OPERATION = "operation", _("The operation was started, or cancelled.")


GOING_ON = (RehearsalState.WAITING, RehearsalState.RUNNING)
"""States in which workers go on with a rehearsal. Of an operation only one does at a time."""


class BulkRehearsalQuerySet(EngineQuerySet["BulkRehearsal"]):
    """Rehearsals of frozen sets, on the engine's database."""

    def going_on(self) -> Self:
        """Keep those that are not over."""
        return self.filter(state__in=GOING_ON)


class BulkRehearsal(models.Model):
    """One rehearsal of the set of a bulk operation."""

    id = models.BigAutoField(primary_key=True)
    operation = models.ForeignKey(BulkOperation, on_delete=models.CASCADE, related_name="rehearsals")
    state = models.CharField(_("state"), max_length=7, choices=RehearsalState, default=RehearsalState.WAITING)
    started_by = models.CharField(_("started by"), max_length=150)
    origin = models.CharField(_("from where"), max_length=100, default="", blank=True)
    started_at = models.DateTimeField(_("started"), db_default=Now())
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    stopped_by = models.CharField(_("stopped by"), max_length=150, default="", blank=True)
    stopped_because = models.CharField(
        _("stopped because"), max_length=9, choices=RehearsalStop, default="", blank=True
    )
    """Why it was stopped, if nobody has stopped it."""
    error = models.TextField(_("error"), default="", blank=True)
    """Why it could not be rehearsed."""

    consumers = models.JSONField(_("consumers"), default=list)
    """Those of the set that can be rehearsed, in turn."""
    total = models.PositiveIntegerField(_("messages"), default=0)
    done = models.PositiveIntegerField(_("rehearsed"), default=0)
    results = models.JSONField(_("results"), default=dict)
    """By consumer, what ``rehearsal.results.Summary`` writes of itself."""
    codes = models.JSONField(_("digests of the code"), default=dict)
    """By consumer, the digest of the code that was called."""
    position = models.BigIntegerField(default=0, editable=False)
    """The item of the set after which the consumer at hand goes on."""
    holder = models.CharField(max_length=32, default="", blank=True, editable=False)
    """Which worker goes on with it: whoever took it last."""
    seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When that worker has last said so."""
    ran_seconds = models.FloatField(default=0.0, editable=False)
    """How long workers have been at it, without what they waited for each other."""

    objects = BulkRehearsalQuerySet.as_manager()

    class Meta:
        verbose_name = _("rehearsal of a bulk operation")
        verbose_name_plural = _("rehearsals of bulk operations")
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(state__in=RehearsalState.values), name="outbox_bulkrehearsal_state"),
            models.UniqueConstraint(
                fields=["operation"], condition=Q(state__in=["waiting", "running"]), name="outbox_bulkrehearsal_alone"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.operation_id} {self.pk}"

    @property
    def goes_on(self) -> bool:
        """Tell whether it is not over."""
        return self.state in GOING_ON
