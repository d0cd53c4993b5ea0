"""What was won: one row per award, frozen as it was won."""

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from awards.models.draw import PERSON_LENGTH, Draw
from awards.models.prize import Kind, Prize

if TYPE_CHECKING:
    from awards.models.claim import Claim
    from awards.models.coupon import Coupon
    from awards.models.ledger import PointsEntry, VendorOrder


REASON_LENGTH = 300


class AwardStatus(models.TextChoices):
    """From won to issued; or closed in another way, and then never issued.

    Revoked by a manager, expired, or closed by the operator of its message: compensated otherwise, or cancelled.
    """

    WON = "won", _("won")
    ISSUED = "issued", _("issued")
    REVOKED = "revoked", _("revoked")
    EXPIRED = "expired", _("expired")
    COMPENSATED = "compensated", _("compensated otherwise")
    CANCELLED = "cancelled", _("cancelled")


TAKEN_BACK = frozenset({AwardStatus.REVOKED, AwardStatus.EXPIRED, AwardStatus.CANCELLED})
"""What counts as taken back in the statistics, and against no budget and no limit of wins."""


class AwardQuerySet(models.QuerySet["Award"]):
    """Awards, and the ways out of the status *won*. Each asks for the version that was read."""

    def issue(self, award: "Award") -> bool:
        """Mark ``award`` as issued if it still is as it was read; tell whether it was."""
        return self._settle(award, status=AwardStatus.ISSUED, issued_at=Now())

    def revoke(self, award: "Award", *, reason: str = "") -> bool:
        """Mark ``award`` as revoked if it still is as it was read; tell whether it was."""
        return self._settle(award, status=AwardStatus.REVOKED, reason=reason)

    def revoke_issued(self, award: "Award", *, reason: str) -> bool:
        """Mark ``award``, whose points are taken back, as revoked if it still is as it was read."""
        issued = self.filter(status=AwardStatus.ISSUED, kind=Kind.POINTS)
        return issued._change(award, status=AwardStatus.REVOKED, issued_at=None, reason=reason)

    def claim(self, award: "Award") -> bool:
        """Mark ``award`` as claimed if it still can be, by the database's clock; tell whether it could."""
        return self._unclaimed().filter(claim_until__gt=Now())._change(award, claimed_at=Now())

    def expire(self, award: "Award") -> bool:
        """Mark ``award`` as expired if its time is over and nobody has claimed it; tell whether it was so."""
        return self._unclaimed().filter(claim_until__lte=Now())._change(award, status=AwardStatus.EXPIRED)

    def with_clock(self) -> Self:
        """Read the database's time with each award, as ``clock``."""
        return self.annotate(clock=Now())

    def kept(self) -> Self:
        """Keep what was not taken back."""
        return self.exclude(status__in=TAKEN_BACK)

    def _unclaimed(self) -> "AwardQuerySet":
        return self.filter(status=AwardStatus.WON, claimed_at__isnull=True)

    def close_by_hand(self, award: "Award", status: AwardStatus, *, stock_returned: bool) -> bool:
        """Close ``award`` as an operator has done with its message; tell whether it still was as it was read."""
        issued_at = Now() if status == AwardStatus.ISSUED else None
        return self._change(
            award, status=status, closed_from=award.status, issued_at=issued_at, stock_returned=stock_returned
        )

    def reopen(self, award: "Award") -> bool:
        """Take the same back; tell whether the award still was as it was read."""
        return self._change(award, status=award.closed_from, closed_from="", issued_at=None, stock_returned=False)

    def _settle(self, award: "Award", **changes: object) -> bool:
        return self.filter(status=AwardStatus.WON)._change(award, **changes)

    def _change(self, award: "Award", **changes: object) -> bool:
        return self.filter(pk=award.pk, version=award.version).update(version=F("version") + 1, **changes) == 1


class Award(models.Model):
    """One thing won by one person. Kind, value and article number are those of the day it was won.

    Nothing that issuing changes is indexed, so that an award becomes *issued* by a HOT update.
    """

    clock: datetime
    """Not stored: when the row was read, if it was read ``with_clock``."""

    public_id = models.UUIDField(_("public id"), unique=True, default=uuid.uuid4, editable=False)
    draw = models.OneToOneField(Draw, on_delete=models.PROTECT, verbose_name=_("draw"))
    prize = models.ForeignKey(Prize, on_delete=models.PROTECT, verbose_name=_("prize"))
    person = models.CharField(_("person"), max_length=PERSON_LENGTH)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    value = models.DecimalField(_("value"), max_digits=12, decimal_places=2)
    vendor_sku = models.CharField(_("vendor's article number"), max_length=64, blank=True, default="")
    status = models.CharField(_("status"), max_length=11, choices=AwardStatus, default=AwardStatus.WON)
    closed_from = models.CharField(
        _("closed by hand from"), max_length=11, choices=AwardStatus, blank=True, default="", db_default=""
    )
    """What it was before the operator of its message closed it; empty if nobody has."""
    stock_returned = models.BooleanField(_("back in stock"), default=False, db_default=False)
    piece = models.PositiveIntegerField(_("piece"), null=True, blank=True, editable=False)
    """Which piece of its prize it is, if Redis has handed it out. No number is given twice."""
    stock_written = models.BooleanField(_("taken off the stock"), default=True, db_default=True, editable=False)
    """False while the prize's row does not say yet that the piece is gone."""
    budgeted = models.BooleanField(_("counts against the budget"), default=False, db_default=False, editable=False)
    claim_until = models.DateTimeField(_("to be claimed until"), null=True, blank=True)
    """By when its winner must say where to send it; None if that is not needed."""
    claimed_at = models.DateTimeField(_("claimed at"), null=True, blank=True)
    reason = models.CharField(
        _("reason"), max_length=REASON_LENGTH, blank=True, default="", db_default="", editable=False
    )
    """Why a manager revoked it."""
    version = models.PositiveIntegerField(_("version"), default=1)
    won_at = models.DateTimeField(_("won at"), db_default=Now())
    issued_at = models.DateTimeField(_("issued at"), null=True, blank=True)

    objects = AwardQuerySet.as_manager()

    if TYPE_CHECKING:
        claim: "Claim"
        pointsentry: "PointsEntry"
        vendororder: "VendorOrder"
        coupon: "Coupon"

    class Meta:
        verbose_name = _("award")
        verbose_name_plural = _("awards")
        default_permissions = ("view",)
        permissions = [("revoke_award", _("Can revoke awards"))]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="awards_award_kind"),
            models.UniqueConstraint(fields=["prize", "piece"], name="awards_award_piece_once"),
            models.CheckConstraint(condition=Q(value__gte=0), name="awards_award_value"),
            models.CheckConstraint(condition=Q(status__in=AwardStatus.values), name="awards_award_status"),
            models.CheckConstraint(
                condition=Q(status="issued", issued_at__isnull=False)
                | Q(
                    status__in=["won", "revoked", "expired", "compensated", "cancelled"],
                    issued_at__isnull=True,
                ),
                name="awards_award_issued",
            ),
            models.CheckConstraint(
                condition=Q(claimed_at__isnull=True) | Q(claim_until__isnull=False), name="awards_award_claimed"
            ),
            models.CheckConstraint(
                condition=Q(closed_from="", stock_returned=False)
                | Q(closed_from__in=["won", "revoked", "expired"], status__in=["issued", "compensated", "cancelled"]),
                name="awards_award_closed",
            ),
        ]
        indexes = [
            models.Index(fields=["person"], name="awards_award_person_idx"),
            models.Index(fields=["won_at"], name="awards_award_won_at_idx"),
            models.Index(fields=["prize"], condition=Q(stock_written=False), name="awards_award_unwritten_idx"),
        ]

    def __str__(self) -> str:
        return str(self.public_id)

    @property
    def is_unclaimed(self) -> bool:
        """Whether it waits for its winner to say where to send it."""
        return self.status == AwardStatus.WON and self.claim_until is not None and self.claimed_at is None

    @property
    def points(self) -> int:
        """How many points the award is worth, if it is one of points."""
        return int(self.value)
