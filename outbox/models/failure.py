"""Failures that are one and the same: what they are, how many, and what people are doing about them."""

from typing import Any, Self

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Q, Sum
from django.db.models.functions import Coalesce, Now
from django.db.models.sql.compiler import SQLCompiler
from django.utils.translation import gettext_lazy as _

from outbox.models.state import EngineQuerySet
from outbox.policy import Reason
from outbox.topics import NAME_LENGTH

HOURS_KEPT = 24
"""Hours of which the failures are counted one by one, the one that is not over included."""
THIS_HOUR = {
    "postgresql": "FLOOR(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) / 3600)::integer",
    "sqlite": "CAST(STRFTIME('%%s', 'now') AS integer) / 3600",
}
"""The hour that it is, counted from 1970 on, by vendor; in a statement that takes parameters."""


class ThisHour(models.Func):
    """The hour that it is, counted from 1970 on."""

    template = THIS_HOUR["postgresql"]
    output_field = models.IntegerField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_context: Any) -> Any:
        """Return the same for SQLite."""
        return self.as_sql(compiler, connection, template=THIS_HOUR["sqlite"].replace("%", "%%"))


class GroupState(models.TextChoices):
    """What people have decided about a group of failures."""

    NEW = "new", _("new")
    INVESTIGATING = "investigating", _("being looked into")
    WAITING = "waiting", _("waiting for a fix")
    IGNORED = "ignored", _("ignored until it grows")
    FIXED = "fixed", _("fixed")


class FailureGroupQuerySet(EngineQuerySet["FailureGroup"]):
    """Groups of failures, on the engine's database."""

    def with_totals(self) -> "models.QuerySet[FailureGroup]":
        """Add ``total``, how many attempts ended this way, and ``last_at``, when the last one did."""
        return self.annotate(total=Sum("counts__count"), last_at=models.Max("counts__last_at"))

    def family_of(self, fingerprint: str) -> Self:
        """Keep the group that stands for ``fingerprint``, and what is merged into it."""
        root = FailureGroup.objects.filter(pk=fingerprint).standing_for()
        return self.filter(Q(pk__in=root) | Q(merged_into__in=root))

    def standing_for(self) -> "models.QuerySet[FailureGroup, Any]":
        """Return the fingerprints of the groups that stand for these: their own, or what they are merged into."""
        return self.values(root=Coalesce("merged_into", F("pk"), output_field=models.CharField()))

    def with_members(self, fingerprint: str) -> Self:
        """Keep the group of that fingerprint, and what is merged into it."""
        return self.filter(Q(pk=fingerprint) | Q(merged_into=fingerprint))


class FailureGroup(models.Model):
    """Failures of one cause, recognised by their fingerprint."""

    fingerprint = models.CharField(_("fingerprint"), max_length=64, primary_key=True)
    consumer = models.CharField(_("consumer"), max_length=NAME_LENGTH)
    exception = models.CharField(_("exception"), max_length=200, default="", blank=True)
    place = models.CharField(_("place"), max_length=200, default="", blank=True)
    reason = models.CharField(
        _("why the machine gave up"), max_length=17, choices=Reason, default="", db_default="", blank=True
    )
    title = models.CharField(_("what happened"), max_length=300)
    state = models.CharField(_("state"), max_length=13, choices=GroupState, default=GroupState.NEW)
    ignored_up_to = models.PositiveIntegerField(_("ignored up to"), null=True, blank=True)
    regressions = models.PositiveIntegerField(_("came back"), default=0)
    owner = models.CharField(_("owner"), max_length=150, default="", blank=True)
    ticket = models.CharField(_("ticket"), max_length=300, default="", blank=True)
    note = models.TextField(_("note"), default="", blank=True)
    first_at = models.DateTimeField(_("first"), db_default=Now())
    merged_into = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="members",
        verbose_name=_("merged into"),
    )
    """The group that people take it for one with: that stands for both wherever they are read. One step, no chain."""
    revision = models.PositiveIntegerField(_("operator changes"), default=0)

    objects = FailureGroupQuerySet.as_manager()

    class Meta:
        verbose_name = _("failure group")
        verbose_name_plural = _("failure groups")
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return f"{self.consumer}: {self.title}"


class FailureCountQuerySet(EngineQuerySet["FailureCount"]):
    """The counters of failure groups, on the engine's database."""


class FailureCount(models.Model):
    """A share of a group's count. Worker processes count in different slots, so that a storm makes no hot row."""

    id = models.BigAutoField(primary_key=True)
    group = models.ForeignKey(FailureGroup, on_delete=models.CASCADE, related_name="counts", db_index=False)
    slot = models.PositiveSmallIntegerField()
    count = models.BigIntegerField(default=0)
    last_at = models.DateTimeField()

    objects = FailureCountQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["group", "slot"], name="outbox_failurecount_once")]

    def __str__(self) -> str:
        return f"{self.group_id} {self.slot}: {self.count}"


class FailureHourQuerySet(EngineQuerySet["FailureHour"]):
    """The failures of single hours, on the engine's database."""

    def lately(self) -> Self:
        """Keep the last ``HOURS_KEPT``."""
        return self.filter(hour__gt=ThisHour() - HOURS_KEPT)


class FailureHour(models.Model):
    """A share of what a group has failed in one hour, counted in slots as the group's count is."""

    id = models.BigAutoField(primary_key=True)
    group = models.ForeignKey(FailureGroup, on_delete=models.CASCADE, related_name="hours", db_index=False)
    hour = models.IntegerField()
    """Counted from 1970 on."""
    slot = models.PositiveSmallIntegerField()
    count = models.BigIntegerField(default=0)

    objects = FailureHourQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["group", "hour", "slot"], name="outbox_failurehour_once")]
        indexes = [models.Index(fields=["hour"], name="outbox_failurehour_hour")]

    def __str__(self) -> str:
        return f"{self.group_id} {self.hour} {self.slot}: {self.count}"
