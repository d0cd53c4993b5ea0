"""Codes to hand out: a pool for each prize of that kind, one code for each award."""

from typing import TYPE_CHECKING, Optional

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from awards.models.award import Award
from awards.models.prize import Prize

CODE_LENGTH = 64


def mask_code(code: str) -> str:
    """Return a code of which only the end can be read, and nothing of a short one."""
    shown = 4 if len(code) >= 12 else 2 if len(code) >= 8 else 0
    return f"••••{code[len(code) - shown :]}"


class CouponQuerySet(models.QuerySet["Coupon"]):
    """Codes, free and issued, and how one leaves the pool."""

    def free(self) -> "CouponQuerySet":
        """Keep the codes that nobody has."""
        return self.filter(award__isnull=True)

    def hand_out(self, award: Award) -> Optional["Coupon"]:
        """Give ``award`` the oldest free code of its prize and return it; None if the pool is empty.

        Codes that others are taking at this moment are passed over, not waited for. Call it inside a transaction.
        """
        pool = self.filter(prize_id=award.prize_id).free().select_for_update(skip_locked=True)
        coupon = pool.order_by("id").first()
        if coupon is None or not self.filter(pk=coupon.pk).free().update(award=award, issued_at=Now()):
            return None
        return coupon


class Coupon(models.Model):
    """One code. Once an award has it, it is that award's for ever. Its text is the masked code, as logs may show it."""

    prize = models.ForeignKey(Prize, on_delete=models.PROTECT, db_index=False, verbose_name=_("prize"))
    code = models.CharField(_("code"), max_length=CODE_LENGTH)
    award = models.OneToOneField(Award, on_delete=models.PROTECT, null=True, blank=True, verbose_name=_("award"))
    added_at = models.DateTimeField(_("added"), db_default=Now())
    issued_at = models.DateTimeField(_("issued at"), null=True, blank=True)

    objects = CouponQuerySet.as_manager()

    if TYPE_CHECKING:
        award_id: int | None

    class Meta:
        verbose_name = _("coupon")
        verbose_name_plural = _("coupons")
        default_permissions = ("view",)
        permissions = [("keep_codes", _("Can add and withdraw codes"))]
        constraints = [
            models.UniqueConstraint(fields=["prize", "code"], name="awards_coupon_code_once"),
            models.CheckConstraint(condition=~Q(code=""), name="awards_coupon_code"),
            models.CheckConstraint(
                condition=Q(award__isnull=True, issued_at__isnull=True)
                | Q(award__isnull=False, issued_at__isnull=False),
                name="awards_coupon_issued",
            ),
        ]
        indexes = [models.Index(fields=["prize", "id"], condition=Q(award__isnull=True), name="awards_coupon_free_idx")]

    def __str__(self) -> str:
        return self.masked

    @property
    def masked(self) -> str:
        """The code as people may see it who did not win it."""
        return mask_code(self.code)
