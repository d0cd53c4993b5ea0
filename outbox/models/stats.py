"""What happened in each minute, counted once, so that no page and no scrape ever counts the message table itself.

``MinuteStat`` is a minute of one consumer, for charts. ``TotalStat`` is everything that was ever counted for it, for
counters that may only grow. ``outbox.rollup`` writes both in one transaction.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Self

from django.db import models
from django.db.models import Max, Sum
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.state import EngineQuerySet
from outbox.topics import NAME_LENGTH

MINUTE = timedelta(minutes=1)
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0)
"""Upper bounds of the latency buckets, in seconds; one more takes the rest. What is stored depends on their order."""

COUNTED = ("successes", "failed", "rejected", "snoozed", "unavailable", "lost", "late", "exhausted")
"""The counters of a minute. Success and exhaustion are counted in messages, the others in attempts."""


def no_latencies() -> list[int]:
    """Return the empty histogram: one count for each of ``BOUNDS``, and one for the rest."""
    return [0] * (len(BOUNDS) + 1)


class Counts(models.Model):
    """How many messages and attempts of one consumer ended how, and how long the successes took."""

    successes = models.BigIntegerField(_("successes"), default=0)
    failed = models.BigIntegerField(_("failed attempts"), default=0)
    rejected = models.BigIntegerField(_("rejected"), default=0)
    snoozed = models.BigIntegerField(_("not ready"), default=0)
    unavailable = models.BigIntegerField(_("unavailable"), default=0)
    lost = models.BigIntegerField(_("worker lost"), default=0)
    late = models.BigIntegerField(_("too late"), default=0)
    exhausted = models.BigIntegerField(_("exhausted"), default=0)
    latency_sum = models.FloatField(_("seconds to success, summed"), default=0.0)
    latency_max = models.FloatField(_("seconds to success, longest"), default=0.0)
    latency_counts = models.JSONField(_("successes per latency bucket"), default=no_latencies)

    class Meta:
        abstract = True


class MinuteStatQuerySet(EngineQuerySet["MinuteStat"]):
    """Minutes, for charts."""

    def within(self, span: timedelta) -> Self:
        """Keep the minutes that began in the last ``span``."""
        return self.filter(minute__gt=Now() - span)

    def per_consumer(self) -> list[dict[str, Any]]:
        """Sum over the minutes: for each consumer the counters, and ``seconds`` and ``slowest`` of the successes."""
        sums = {f"{name}_sum": Sum(name) for name in COUNTED}
        took = {"seconds": Sum("latency_sum"), "slowest": Max("latency_max")}
        rows = self.values("consumer").annotate(**took, **sums).order_by("consumer")
        return [{name.removesuffix("_sum"): value for name, value in row.items()} for row in rows]


class MinuteStat(Counts):
    """One minute of one consumer."""

    id = models.BigAutoField(primary_key=True)
    minute = models.DateTimeField(_("minute"))
    consumer = models.CharField(_("consumer"), max_length=NAME_LENGTH)

    objects = MinuteStatQuerySet.as_manager()

    class Meta:
        verbose_name = _("minute")
        verbose_name_plural = _("minutes")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["minute", "consumer"], name="outbox_minutestat_once")]

    def __str__(self) -> str:
        return f"{self.consumer} {self.minute:%Y-%m-%d %H:%M}"


class TotalStatQuerySet(EngineQuerySet["TotalStat"]):
    """Totals, on the engine's database."""


class TotalStat(Counts):
    """Everything that was ever counted for one consumer; no pruning takes anything away from it."""

    consumer = models.CharField(_("consumer"), max_length=NAME_LENGTH, primary_key=True)

    objects = TotalStatQuerySet.as_manager()

    class Meta:
        verbose_name = _("total")
        verbose_name_plural = _("totals")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.consumer


def add_latencies(*histograms: Sequence[int]) -> list[int]:
    """Return the sum of histograms, bucket by bucket."""
    return [sum(counts) for counts in zip(no_latencies(), *histograms, strict=True)]
