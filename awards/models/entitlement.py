"""Rights to draw: earned by an order, or given by a manager. A draw uses up one."""

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from awards.models.campaign import Campaign
from awards.models.draw import PERSON_LENGTH, Draw

SOURCE_LENGTH = 100


class EntitlementQuerySet(models.QuerySet["Entitlement"]):
    """Entitlements, and how one is used."""

    def usable(self) -> Self:
        """Keep those by which one can draw now, by the database's clock."""
        in_time = Q(expires_at__isnull=True) | Q(expires_at__gt=Now())
        return self.filter(in_time, used_at__isnull=True, withdrawn_at__isnull=True)

    def next_of(self, campaign: Campaign, person: str) -> "Entitlement | None":
        """Return the entitlement that a person uses next: the one that ends first, then the oldest."""
        mine = self.usable().filter(campaign=campaign, person=person)
        return mine.order_by(F("expires_at").asc(nulls_last=True), "pk").first()

    def use(self, entitlement: "Entitlement") -> bool:
        """Use it up if it still can be used; tell whether it could."""
        return self.usable().filter(pk=entitlement.pk).update(used_at=Now()) == 1

    def withdraw(self) -> int:
        """Take back those that nobody has used, and return how many."""
        return self.filter(used_at__isnull=True, withdrawn_at__isnull=True).update(withdrawn_at=Now())

    def with_clock(self) -> Self:
        """Read the database's time with each, as ``clock``."""
        return self.annotate(clock=Now())


class Entitlement(models.Model):
    """One right of one person to one draw in one campaign. Its ``source`` earns one in a campaign."""

    clock: datetime
    """Not stored: when the row was read, if it was read ``with_clock``."""

    public_id = models.UUIDField(_("public id"), unique=True, default=uuid.uuid4, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, db_index=False, verbose_name=_("campaign"))
    person = models.CharField(_("person"), max_length=PERSON_LENGTH)
    source = models.CharField(
        _("earned by"),
        max_length=SOURCE_LENGTH,
        help_text=_("Such as an order's number. The same again in this campaign gives no second draw."),
    )
    given_by = models.CharField(_("given by"), max_length=150)
    given_at = models.DateTimeField(_("given"), db_default=Now())
    expires_at = models.DateTimeField(_("valid until"), null=True, blank=True)
    used_at = models.DateTimeField(_("used"), null=True, blank=True)
    draw = models.OneToOneField(Draw, on_delete=models.PROTECT, null=True, blank=True, verbose_name=_("draw"))
    withdrawn_at = models.DateTimeField(_("taken back"), null=True, blank=True)

    objects = EntitlementQuerySet.as_manager()

    if TYPE_CHECKING:
        campaign_id: int
        draw_id: int | None

    class Meta:
        verbose_name = _("entitlement")
        verbose_name_plural = _("entitlements")
        default_permissions = ("view",)
        permissions = [("give_entitlement", _("Can give and take back entitlements"))]
        constraints = [
            models.UniqueConstraint(fields=["campaign", "source"], name="awards_entitlement_source_once"),
            models.CheckConstraint(condition=~Q(person="") & ~Q(source=""), name="awards_entitlement_named"),
            models.CheckConstraint(
                condition=Q(used_at__isnull=True, draw__isnull=True)
                | Q(used_at__isnull=False, withdrawn_at__isnull=True),
                name="awards_entitlement_used",
            ),
        ]
        indexes = [
            models.Index(fields=["person", "campaign"], name="awards_entitlement_person_idx"),
        ]

    def __str__(self) -> str:
        return str(self.public_id)


class EntitlementImport(models.Model):
    """A list of entitlements that workers write: how far it has come. Its lines go as they are written."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, verbose_name=_("campaign"))
    actor = models.CharField(_("by whom"), max_length=150)
    at = models.DateTimeField(_("when"), db_default=Now())
    expires_at = models.DateTimeField(_("valid until"), null=True)
    lines = models.PositiveIntegerField(_("lines"))
    done = models.PositiveIntegerField(_("written"), default=0)
    added = models.PositiveIntegerField(_("new"), default=0)

    class Meta:
        verbose_name = _("import of entitlements")
        verbose_name_plural = _("imports of entitlements")
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=Q(done__lte=F("lines"), added__lte=F("done")), name="awards_import_counts")
        ]

    def __str__(self) -> str:
        return f"{self.campaign} ({self.pk})"

    @property
    def known(self) -> int:
        """How many lines had been there before."""
        return self.done - self.added

    @property
    def is_done(self) -> bool:
        """Whether every line is written."""
        return self.done == self.lines


class ImportPart(models.Model):
    """Some lines of an import that are not written yet. The row goes together with their writing."""

    part_of = models.ForeignKey(EntitlementImport, on_delete=models.CASCADE, related_name="parts")
    lines = models.JSONField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)
