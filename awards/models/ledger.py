"""What issuing leaves behind, one row per award: the points' ledger, and the orders placed with the vendor."""

import uuid
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Greatest, Now
from django.utils.translation import gettext_lazy as _

from awards.models.award import Award
from awards.models.draw import PERSON_LENGTH

IDEMPOTENCY_KEY_LENGTH = 64
ORDER_NUMBER_LENGTH = 100


class PointsAccountQuerySet(models.QuerySet["PointsAccount"]):
    """Accounts, and how points reach them."""

    def credit(self, person: str, points: int) -> None:
        """Add ``points`` to the account of ``person``, which is opened if there is none yet.

        One statement for an account that exists. Two workers who open the same account at once both succeed.
        """
        account = self.filter(pk=person)
        if account.update(balance=F("balance") + points):
            return
        self.bulk_create([self.model(person=person)], ignore_conflicts=True)
        account.update(balance=F("balance") + points)

    def take_back(self, person: str, points: int, *, into_debt: bool) -> bool:
        """Take ``points`` from the account, and below 0 only ``into_debt``; tell whether that could be done."""
        account = self.filter(pk=person)
        if not into_debt:
            return account.filter(balance__gte=points).update(balance=F("balance") - points) == 1
        limit = Greatest(F("debt_limit"), points - F("balance"))
        return account.update(balance=F("balance") - points, debt_limit=limit) == 1


class PointsAccount(models.Model):
    """How many points a person has: always the sum of the account's entries."""

    person = models.CharField(_("person"), max_length=PERSON_LENGTH, primary_key=True)
    balance = models.BigIntegerField(_("balance"), default=0)
    debt_limit = models.PositiveBigIntegerField(_("may be in debt by"), default=0, db_default=0)
    """How far below 0 points of campaigns that allow it were taken back."""
    opened_at = models.DateTimeField(_("opened"), db_default=Now())

    objects = PointsAccountQuerySet.as_manager()

    if TYPE_CHECKING:
        pointsentry_set: models.Manager["PointsEntry"]

    class Meta:
        verbose_name = _("points account")
        verbose_name_plural = _("points accounts")
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=Q(balance__gte=0 - F("debt_limit")), name="awards_account_balance")
        ]

    def __str__(self) -> str:
        return self.person


class PointsEntry(models.Model):
    """Points credited for an award, or a counter-entry that takes such a credit back.

    Unique per award and per credit, and per transfer and account: whatever happens twice, the points do not.
    """

    account = models.ForeignKey(PointsAccount, on_delete=models.PROTECT, db_index=False, verbose_name=_("account"))
    award = models.OneToOneField(Award, on_delete=models.PROTECT, null=True, blank=True, verbose_name=_("award"))
    """What a credit is for; None for a counter-entry."""
    takes_back = models.OneToOneField(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="counter_entry",
        verbose_name=_("takes back"),
    )
    transfer = models.UUIDField(_("transfer"), default=uuid.uuid4, editable=False)
    points = models.BigIntegerField(_("points"))
    booked_at = models.DateTimeField(_("booked"), db_default=Now())

    class Meta:
        verbose_name = _("points entry")
        verbose_name_plural = _("points entries")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["transfer", "account"], name="awards_entry_transfer_once"),
            models.CheckConstraint(
                condition=Q(award__isnull=False, takes_back__isnull=True, points__gte=1)
                | Q(award__isnull=True, takes_back__isnull=False, points__lte=-1),
                name="awards_entry_points",
            ),
        ]
        indexes = [models.Index(fields=["account"], name="awards_entry_account_idx")]

    def __str__(self) -> str:
        return f"{self.points:+d}"


class VendorOrder(models.Model):
    """An order that the vendor has confirmed. Unique per award, per order number and per idempotency key."""

    award = models.OneToOneField(Award, on_delete=models.PROTECT, verbose_name=_("award"))
    number = models.CharField(_("vendor's order number"), max_length=ORDER_NUMBER_LENGTH)
    idempotency_key = models.CharField(_("idempotency key"), max_length=IDEMPOTENCY_KEY_LENGTH)
    sku = models.CharField(_("vendor's article number"), max_length=64)
    recorded_at = models.DateTimeField(_("recorded"), db_default=Now())

    class Meta:
        verbose_name = _("vendor order")
        verbose_name_plural = _("vendor orders")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["number"], name="awards_order_number_once"),
            models.UniqueConstraint(fields=["idempotency_key"], name="awards_order_key_once"),
            models.CheckConstraint(condition=~Q(number="") & ~Q(idempotency_key=""), name="awards_order_named"),
        ]

    def __str__(self) -> str:
        return self.number
