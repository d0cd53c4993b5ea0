"""What is wrong at the moment, and what people have been told of it."""

from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.state import EngineQuerySet


class AlertQuerySet(EngineQuerySet["Alert"]):
    """Which alarms are news."""

    def resolved(self, *, after: timedelta) -> Self:
        """Keep what was not found again for longer than ``calm``."""
        return self.filter(seen_at__lt=Now() - after)

    def unnotified(self, *, at_once: int, wait: timedelta, again: timedelta) -> Self:
        """Keep what nobody was told of, or only of a milder level, or ``again`` ago or earlier.

        What is below the level ``at_once`` must have been there for ``wait``, so that nobody is told of what passes.
        """
        ripe = self.filter(Q(level__gte=at_once) | Q(since__lt=Now() - wait))
        return ripe.filter(Q(notified_level__lt=F("level")) | Q(notified_at__lt=Now() - again))


class Alert(models.Model):
    """One finding of the health check that is not in order, from its first sight until some time after its last."""

    about = models.CharField(_("about"), max_length=150, primary_key=True)
    level = models.PositiveSmallIntegerField(_("level"))
    sentence = models.TextField(_("what a person must do"))
    since = models.DateTimeField(_("since"), db_default=Now())
    seen_at = models.DateTimeField(_("last seen"), db_default=Now())
    notified_level = models.PositiveSmallIntegerField(_("level people were told"), default=0)
    notified_at = models.DateTimeField(_("people were told"), null=True, blank=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.sentence
