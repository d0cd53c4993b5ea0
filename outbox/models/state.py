"""What is known about a consumer as a whole, and when the engine's own chores last ran."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Self, TypeVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.db.models.sql import Query
from django.utils.translation import gettext_lazy as _

from outbox.conf import conf
from outbox.topics import NAME_LENGTH

M = TypeVar("M", bound=models.Model)

FUTURE = timedelta(seconds=10)
"""How far ahead of the clock a time that was "now" when it was written must lie to say that the clock was set back."""


class EngineQuerySet(models.QuerySet[M]):
    """A queryset that acts on ``OUTBOX["DATABASE"]`` unless told otherwise."""

    def __init__(
        self,
        model: type[models.Model] | None = None,
        query: Query | None = None,
        using: str | None = None,
        hints: Mapping[str, models.Model] | None = None,
    ) -> None:
        super().__init__(model, query, using or conf().database, hints)  # type: ignore[arg-type]  # hints: a dict or None


class Breaker(models.TextChoices):
    """Whether rows of a consumer flow, or one canary at a time."""

    CLOSED = "closed", _("closed")
    OPEN = "open", _("open")


class ConsumerStateQuerySet(EngineQuerySet["ConsumerState"]):
    """Which consumers are held back."""

    def paused(self) -> Self:
        """Keep the consumers whose pause is on and not yet over."""
        return self.filter(Q(paused_until__isnull=True) | Q(paused_until__gt=Now()), paused_at__isnull=False)

    def open(self) -> Self:
        """Keep the consumers whose breaker is open."""
        return self.filter(breaker=Breaker.OPEN)

    def seen_unavailable(self) -> Self:
        """Keep the consumers whose breaker is open, or whose last row said ``Unavailable``."""
        return self.exclude(breaker=Breaker.CLOSED, unavailable=[])


class ConsumerState(models.Model):
    """What holds for all rows of one consumer: paused by whom and why, breaker and canary, gone from the code since."""

    consumer = models.CharField(_("consumer"), max_length=NAME_LENGTH, primary_key=True)
    paused_at = models.DateTimeField(_("paused"), null=True, blank=True)
    paused_by = models.CharField(_("paused by"), max_length=150, default="", blank=True)
    paused_reason = models.TextField(_("reason"), default="", blank=True)
    paused_until = models.DateTimeField(_("resumes by itself"), null=True, blank=True)
    breaker = models.CharField(_("breaker"), max_length=6, choices=Breaker, default=Breaker.CLOSED)
    canary = models.BigIntegerField(_("canary"), null=True, blank=True)
    probe_at = models.DateTimeField(_("next probe"), null=True, blank=True)
    probe_seconds = models.PositiveSmallIntegerField(_("seconds between probes"), default=0)
    unavailable = models.JSONField(_("rows in a row that said unavailable"), default=list, blank=True)
    next_call = models.DateTimeField(_("next call that the rate allows"), null=True, blank=True)
    gone_since = models.DateTimeField(_("not in the code since"), null=True, blank=True)

    objects = ConsumerStateQuerySet.as_manager()

    class Meta:
        verbose_name = _("consumer")
        verbose_name_plural = _("consumers")
        default_permissions = ("view",)
        permissions = [("pause_consumer", _("Can pause and resume consumers"))]

    def __str__(self) -> str:
        return self.consumer


class HeartbeatQuerySet(EngineQuerySet["Heartbeat"]):
    """When the engine's chores ran."""

    def ran_within(self, name: str, span: timedelta) -> bool:
        """Tell whether the chore ``name`` has succeeded in the last ``span``."""
        return self.filter(name=name, at__gt=Now() - span, at__lte=Now()).exists()

    def claim(self, name: str, *, every: timedelta) -> bool:
        """Take the next turn at ``name``, of which there is one in ``every``; only one of many callers gets it.

        A turn in the future was taken before the clock was set back, and is over.
        """
        over = Q(at__lt=Now() - every) | Q(at__gt=Now() + FUTURE)
        if self.filter(over, name=name).update(at=Now()):
            return True
        return self.get_or_create(name=name)[1]

    def record(self, name: str, **data: Any) -> None:
        """Note that the chore ``name`` has just succeeded."""
        if not self.filter(name=name).update(at=Now(), data=data):
            self.bulk_create([Heartbeat(name=name, data=data)], ignore_conflicts=True)


class Heartbeat(models.Model):
    """When one of the engine's own chores last succeeded."""

    name = models.CharField(_("chore"), max_length=50, primary_key=True)
    at = models.DateTimeField(_("last success"), db_default=Now())
    since = models.DateTimeField(_("known since"), db_default=Now())
    data = models.JSONField(_("details"), default=dict, blank=True)

    objects = HeartbeatQuerySet.as_manager()

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name
